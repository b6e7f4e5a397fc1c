//! Single stories by name.
