//! The subcommands, a file each.

pub mod audit;
pub mod doctor;
pub mod policy;
