//! Holding sockets to a device, for `pinif run` and `pinif pin`: the cgroup, the interface by its name, and the sockets
//! that were there before.

pub mod cgroup;
pub mod follow;
pub mod sockets;
mod target;
pub mod tell;

pub use target::Target;
