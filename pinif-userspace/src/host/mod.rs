//! All that pinif knows of the host: namespaces, interfaces, addresses, routes, sockets, processes, and what the
//! kernel allows. Everything here reads; nothing changes the host.

pub mod addresses;
pub(crate) mod attributes;
mod btf;
pub mod capabilities;
pub mod entrance;
pub mod executables;
pub mod gaps;
pub mod kernel_types;
pub mod links;
pub mod lower_devices;
pub mod namespaces;
pub mod netdevice;
pub(crate) mod netlink;
pub mod netns;
pub mod network;
pub mod numbering;
pub mod processes;
pub mod routes;
pub mod rules;
pub mod running;
pub mod sockets;
mod tables;
pub mod tunnels;
mod wireguard;
