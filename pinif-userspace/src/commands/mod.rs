//! commands
pub mod policy;
