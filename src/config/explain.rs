//! What a configuration means.
