//! What pinif reads and others write, damaged and read again: the policy file, and packets. None of it makes pinif
//! panic, or takes long, and packets are read as others read them.
//!
//! `cargo xtask fuzz` tries it for long; the tests try a little, the same each time.

pub mod packets;
pub mod policy;
