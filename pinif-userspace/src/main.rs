//! The `pinif` command.
fn main() {}
