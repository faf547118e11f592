//! A laboratory of network namespaces: links, addresses, routes and cgroups made for one purpose, and gone afterwards.
//!
//! `pinif demo`, the tests and the benchmarks build their topologies here. What the demo does not use is in `test_util`, behind the
//! feature of that name: an installed pinif is built without it. All calls block, and each does its work on a thread of its own that
//! has entered the namespace ([`Namespace::run`]), so the caller's own namespace is never touched. No program of iproute2 is needed.
//!
//! Everything made here is named `pinif-<pid>-<n>-<label>` and held by a guard that removes it when dropped: let the
//! guards live in `main` (or in the test), and return from it on a signal instead of exiting. What a killed process
//! left behind is found by the pid, which no process has any more, and removed by [`sweep()`], which every user calls first.

mod address;
mod cgroup;
mod chassis;
mod link;
mod name;
mod namespace;
mod netlink;
mod patience;
mod route;
pub mod send;
mod sweep;
mod sysctl;
#[cfg(feature = "test-util")]
mod test_util;

pub use cgroup::{Cgroup, hierarchy};
pub use chassis::{Chassis, chassis};
pub use link::Counters;
pub use namespace::{FALLBACK_TUNNELS, Namespace};
pub use patience::{is_emulated, patience};
pub use route::{Route, Rule};
pub use sweep::sweep;
#[cfg(feature = "test-util")]
pub use test_util::{
    BpfFs, Device, Ethernet, FullDisk, LinkKind, ServerProcess, Vlan, free_address, socket,
    udp_packet,
};
