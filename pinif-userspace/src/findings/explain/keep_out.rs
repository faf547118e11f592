//! What keeps out what arrives where it should not.

use std::{fmt, net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::{
    Home,
    nft::{TABLE, line as nft, name as quoted},
    phrases::shown,
};
use crate::text::{shell::word, words::listed};

/// What keeps a packet out, or makes that it arrives where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepOut {
    /// Drop what arrives for an address that the interface does not have.
    DropForeignAddresses {
        /// Where it arrives.
        arrived: Arc<str>,
        /// Let the interface not answer ARP requests for it.
        quiet_arp: bool,
    },
    /// Let the interface not answer ARP requests for it: neighbours send it elsewhere.
    QuietArp {
        /// Where it arrives.
        arrived: Arc<str>,
    },
    /// Put the interface that has the address into a VRF.
    IntoVrf(Home),
    /// Drop what comes from a source to which the host itself sends by the interface. A route elsewhere would not keep it out.
    DropSource {
        /// The source: all of the rule's network, where it has no other traffic.
        source: Option<IpNet>,
        /// What it is for, as in the next.
        local: Option<(IpAddr, u8)>,
        /// Where it arrives.
        arrived: Arc<str>,
    },
    /// Drop what comes from a source that is not routed by the interface.
    DropForeignSources {
        /// The source.
        source: Option<IpAddr>,
        /// What it is for: the local address, and the IP protocol's number.
        local: Option<(IpAddr, u8)>,
        /// Where it arrives.
        arrived: Arc<str>,
    },
    /// Let the interface be of a zone that the rule allows.
    OfZone {
        /// Where it arrives.
        arrived: Arc<str>,
        /// The zones.
        zones: Vec<Arc<str>>,
    },
}

impl KeepOut {
    /// The lines of a shell that do it.
    pub(super) fn commands(&self) -> Vec<String> {
        let (arrived, rule) = match self {
            Self::QuietArp { arrived } => return vec![quiet_arp(arrived)],
            Self::DropForeignAddresses { arrived, .. } => (arrived, FOREIGN_ADDRESS.to_owned()),
            Self::DropForeignSources { arrived, local, .. } => (arrived, foreign_source(*local)),
            Self::DropSource {
                source: Some(source),
                arrived,
                local,
            } => {
                let family = family(source.addr());
                let source = shown(*source);
                (
                    arrived,
                    format!("{family} saddr {source}{}", received(*local)),
                )
            }
            Self::DropSource { source: None, .. } | Self::IntoVrf(_) | Self::OfZone { .. } => {
                return Vec::new();
            }
        };
        let Some(name) = quoted(arrived) else {
            return Vec::new();
        };
        let keep = nft(&format!(
            "add table inet {TABLE}; add chain inet {TABLE} arrive {{ type filter hook prerouting priority -310; }}; add rule inet \
             {TABLE} arrive iifname {name} {rule} drop"
        ));
        let is_answering = matches!(
            self,
            Self::DropForeignAddresses {
                quiet_arp: true,
                ..
            }
        );
        let quiet = is_answering.then(|| quiet_arp(arrived));
        std::iter::once(keep).chain(quiet).collect()
    }
}

impl fmt::Display for KeepOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DropForeignAddresses { arrived, quiet_arp } => {
                write!(
                    f,
                    "drop on {arrived} what is for addresses that {arrived} does not have (nft: iifname {arrived} fib daddr type \
                     local fib daddr . iif type != {{ local, broadcast, multicast }} drop)"
                )?;
                if *quiet_arp {
                    write!(
                        f,
                        "; set net.ipv4.conf.{arrived}.arp_ignore to 1, so that {arrived} does not answer for it"
                    )?;
                }
                Ok(())
            }
            Self::QuietArp { arrived } => write!(
                f,
                "set net.ipv4.conf.{arrived}.arp_ignore to 1, so that {arrived} does not answer for it"
            ),
            Self::IntoVrf(home) => write!(f, "put {home} into a VRF"),
            Self::DropSource {
                source,
                local,
                arrived,
            } => {
                let source = source.map_or("an unknown source".to_owned(), shown);
                write!(
                    f,
                    "drop on {arrived} what comes{} from {source}, to which this host sends via {arrived}",
                    whom(*local)
                )
            }
            Self::OfZone { arrived, zones } => {
                write!(f, "let {arrived} be of zone {}", listed(zones, "or"))
            }
            Self::DropForeignSources {
                source,
                local,
                arrived,
            } => {
                let what = whom(*local);
                write!(
                    f,
                    "drop on {arrived} what comes{what} from {} and from others that are not routed via {arrived}, also where that is so \
                     on purpose",
                    self::source(*source)
                )?;
                match source {
                    // IPv6 has no such setting.
                    Some(IpAddr::V6(_)) => Ok(()),
                    _ => write!(
                        f,
                        " (net.ipv4.conf.{arrived}.rp_filter set to 1 drops it whatever it is for)"
                    ),
                }
            }
        }
    }
}

/// What is for an address that the interface does not have. What is not this host's own is forwarded, and none of its business.
const FOREIGN_ADDRESS: &str =
    "fib daddr type local fib daddr . iif type != { local, broadcast, multicast }";

/// What comes from a source that is not routed by the interface, and is for this.
fn foreign_source(local: Option<(IpAddr, u8)>) -> String {
    format!("{} fib saddr . iif oif missing", received(local))
        .trim_start()
        .to_owned()
}

fn quiet_arp(arrived: &str) -> String {
    format!("sysctl -w {}=1", of_interface(arrived, "arp_ignore"))
}

/// A setting of an interface for IPv4, as a word of a shell: with slashes, since a name may have dots.
pub(super) fn of_interface(interface: &str, setting: &str) -> String {
    word(&format!("net/ipv4/conf/{interface}/{setting}")).into_owned()
}

/// What is for this address and protocol, behind a space.
fn received(local: Option<(IpAddr, u8)>) -> String {
    local.map_or_else(String::new, |(address, protocol)| {
        format!(
            " {} daddr {address} meta l4proto {protocol}",
            family(address)
        )
    })
}

/// The same in words.
fn whom(local: Option<(IpAddr, u8)>) -> String {
    local.map_or_else(String::new, |(address, _)| format!(" for {address}"))
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip6" }
}

fn source(from: Option<IpAddr>) -> String {
    from.map_or("an unknown source".to_owned(), |from| from.to_string())
}
