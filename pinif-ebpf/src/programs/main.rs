//! pinif's eBPF programs.
fn main() {}
