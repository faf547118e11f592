//! The subcommands, a file each.

pub mod audit;
pub mod complaint;
pub(crate) mod demo;
pub(crate) mod detach;
pub(crate) mod doctor;
pub mod explain;
pub(crate) mod foresee;
mod occasion;
pub(crate) mod pin;
pub(crate) mod policy;
pub(crate) mod run;
pub(crate) mod settings;
mod signals;
pub(crate) mod sockets;
