//! Holding sockets to a device, for `pinif run` and `pinif pin`: the cgroup, the interface by its name, and the sockets
//! that were there before.

pub mod cgroup;
pub mod follow;
pub mod report;
pub mod sockets;
mod target;

pub use target::Target;
