//! The sender of the tests.
fn main() {}
