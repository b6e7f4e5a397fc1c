//! Linux. The only unsafe code of the crate.
