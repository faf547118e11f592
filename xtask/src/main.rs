//! build tasks
fn main() {}
