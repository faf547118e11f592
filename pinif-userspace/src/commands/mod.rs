//! The subcommands, a file each.

pub mod audit;
pub mod complaint;
pub mod demo;
pub mod detach;
pub mod doctor;
pub mod explain;
pub mod foresee;
mod occasion;
pub mod pin;
pub mod policy;
pub mod run;
mod signals;
pub mod sockets;
