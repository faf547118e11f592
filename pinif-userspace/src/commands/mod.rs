//! The subcommands, a file each.

pub(crate) mod accept;
mod asking;
pub mod audit;
mod choice;
pub mod complaint;
pub(crate) mod demo;
pub(crate) mod detach;
pub(crate) mod doctor;
pub mod explain;
mod finding_row;
pub(crate) mod findings;
pub(crate) mod foresee;
mod form;
pub(crate) mod history;
pub(crate) mod matrix;
pub(crate) mod metrics;
mod occasion;
pub(crate) mod pin;
pub(crate) mod policy;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod settings;
mod signals;
pub(crate) mod sockets;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod top;
