//! A laboratory of network namespaces: links, addresses, routes and cgroups made for one purpose, and gone afterwards.
//!
//! `pinif demo`, the tests and the benchmarks build their topologies here. All calls block, and each does its work on a
//! thread of its own that has entered the namespace ([`Namespace::run`]), so the caller's own namespace is never
//! touched. No program of iproute2 is needed.
//!
//! Everything made here is named `pinif-<pid>-<n>-<label>` and held by a guard that removes it when dropped: let the
//! guards live in `main` (or in the test), and return from it on a signal instead of exiting. What a killed process
//! left behind is found by its dead pid and removed by [`sweep()`], which every user calls first.

mod address;
mod bpffs;
mod cgroup;
mod chassis;
mod device;
mod disk;
mod frame;
mod link;
mod name;
mod namespace;
mod netlink;
mod offload;
mod patience;
mod route;
pub mod send;
mod sweep;
mod sysctl;

pub use bpffs::BpfFs;
pub use cgroup::{Cgroup, hierarchy};
pub use chassis::{Chassis, chassis};
pub use device::{Device, LinkKind};
pub use disk::FullDisk;
pub use frame::{Ethernet, Vlan, udp_packet};
pub use link::Counters;
pub use namespace::{FALLBACK_TUNNELS, Namespace};
pub use patience::patience;
pub use route::{Route, Rule};
pub use sweep::sweep;
