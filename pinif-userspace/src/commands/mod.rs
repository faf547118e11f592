//! The subcommands, a file each.

pub mod doctor;
pub mod policy;
