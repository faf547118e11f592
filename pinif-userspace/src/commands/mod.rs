//! The subcommands, a file each.

pub mod audit;
pub mod demo;
pub mod doctor;
pub mod policy;
