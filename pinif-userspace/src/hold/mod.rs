//! Holding sockets to a device, for `pinif run` and `pinif pin`: the cgroup, the interface by its name, and the sockets
//! that were there before.

pub(crate) mod cgroup;
pub(crate) mod follow;
pub(crate) mod report;
pub(crate) mod sockets;
mod target;

pub use target::Target;
