//! The picovrrp command.
fn main() {}
