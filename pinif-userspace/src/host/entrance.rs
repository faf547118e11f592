//! The settings by which the kernel decides what may come in by an interface (Documentation/networking/ip-sysctl.rst).

use std::{fs, path::Path};

use super::netns::NetNs;

/// Whether an IPv4 packet's source must be routed by the interface that it arrives by (`rp_filter`, RFC 3704).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// 0: nobody asks.
    Off,
    /// 1: the best route to the source must lead out by that interface.
    Strict,
    /// 2: any route to the source, by any interface, will do.
    Loose,
}

/// The settings of one interface, as they are in force: the larger of its own and `all`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// `rp_filter`.
    pub reverse_path: ReversePath,
    /// Whether it answers ARP requests for any local address, on whichever interface that is (`arp_ignore` of 0).
    pub answers_arp_for_all: bool,
    /// Whether it answers ARP requests only of those that are routed via it (`arp_filter`).
    pub filters_arp: bool,
}

/// Reads the settings of an interface; nothing where it is gone, or has no IPv4.
pub fn read(netns: &NetNs, interface: &str) -> Option<Entrance> {
    netns
        .visit(|| {
            let reverse_path = match setting(interface, "rp_filter")? {
                0 => ReversePath::Off,
                1 => ReversePath::Strict,
                _ => ReversePath::Loose,
            };
            Some(Entrance {
                reverse_path,
                answers_arp_for_all: setting(interface, "arp_ignore")? == 0,
                filters_arp: setting(interface, "arp_filter")? != 0,
            })
        })
        .ok()
        .flatten()
}

/// In the calling thread's namespace.
fn setting(interface: &str, name: &str) -> Option<u8> {
    let read = |of: &str| -> Option<u8> {
        let path = Path::new("/proc/sys/net/ipv4/conf").join(of).join(name);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some(read("all")?.max(read(interface)?))
}
