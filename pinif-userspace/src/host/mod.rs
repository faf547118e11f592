//! All that pinif knows of the host: namespaces, interfaces, addresses, routes, sockets, processes, and what the
//! kernel allows. Everything here reads; nothing changes the host.

pub mod addresses;
pub(crate) mod attributes;
mod btf;
pub(crate) mod capabilities;
pub mod cgroups;
pub(crate) mod conntrack;
pub(crate) mod entrance;
pub(crate) mod executables;
pub(crate) mod gaps;
pub(crate) mod groups;
pub(crate) mod inode;
pub(crate) mod kernel_types;
pub mod links;
pub(crate) mod listing;
pub mod lower_devices;
pub mod namespaces;
pub(crate) mod neighbours;
pub(crate) mod netdevice;
pub(crate) mod netlink;
pub mod netns;
pub mod network;
pub(crate) mod nft;
pub(crate) mod numbering;
pub(crate) mod pid_namespace;
pub mod processes;
pub(crate) mod raw;
pub mod routes;
pub mod rules;
pub(crate) mod running;
pub(crate) mod socket_options;
pub mod sockets;
mod tables;
pub(crate) mod tunnels;
pub(crate) mod type_text;
pub(crate) mod users;
mod wireguard;
