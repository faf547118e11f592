//! What keeps out what arrives where it should not.

use std::{fmt, net::IpAddr, sync::Arc};

use super::{
    Home,
    nft::{TABLE, line as nft, name as quoted},
};
use crate::text::{shell::word, words::listed};

/// What keeps a packet out, or makes that it arrives where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepOut {
    /// Drop what arrives for an address that the interface does not have.
    DropForeignAddresses {
        /// Where it arrives.
        arrived: Arc<str>,
        /// The interface that has the address.
        home: Home,
        /// Let the interface not answer ARP requests for it.
        quiet_arp: bool,
    },
    /// Route what answers, where the host itself sends to the source by the interface.
    RouteBack {
        /// The source.
        source: Option<IpAddr>,
        /// Where it arrives.
        arrived: Arc<str>,
        /// Where it belongs.
        home: Home,
    },
    /// Drop what comes from a source that is not routed by the interface.
    DropForeignSources {
        /// The source.
        source: Option<IpAddr>,
        /// What it is for: the local address, and the IP protocol's number.
        local: Option<(IpAddr, u8)>,
        /// Where it arrives.
        arrived: Arc<str>,
        /// The zones that the interface could be of.
        zones: Vec<Arc<str>>,
    },
}

impl KeepOut {
    /// The lines of a shell that do it.
    pub(super) fn commands(&self) -> Vec<String> {
        let (arrived, rule) = match self {
            Self::DropForeignAddresses { arrived, .. } => (arrived, FOREIGN_ADDRESS.to_owned()),
            Self::DropForeignSources { arrived, local, .. } => (arrived, foreign_source(*local)),
            Self::RouteBack { .. } => return Vec::new(),
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
        // With slashes, since a name may have dots.
        let quiet = is_answering.then(|| {
            format!(
                "sysctl -w {}=1",
                word(&format!("net/ipv4/conf/{arrived}/arp_ignore"))
            )
        });
        std::iter::once(keep).chain(quiet).collect()
    }
}

impl fmt::Display for KeepOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DropForeignAddresses {
                arrived,
                home,
                quiet_arp,
            } => {
                write!(
                    f,
                    "drop on {arrived} what is for addresses that {arrived} does not have (nft: iifname {arrived} fib daddr type \
                     local fib daddr . iif type != {{ local, broadcast, multicast }} drop), or put {home} into a VRF"
                )?;
                if *quiet_arp {
                    write!(
                        f,
                        "; set net.ipv4.conf.{arrived}.arp_ignore to 1, so that {arrived} does not answer for it"
                    )?;
                }
                Ok(())
            }
            Self::RouteBack {
                source,
                arrived,
                home,
            } => {
                write!(
                    f,
                    "give {} a route via {home}: it is answered via {arrived}, where this host sends to it",
                    self::source(*source)
                )
            }
            Self::DropForeignSources {
                source,
                local,
                arrived,
                zones,
            } => {
                let what = local.map_or_else(String::new, |(address, _)| format!(" for {address}"));
                write!(
                    f,
                    "drop on {arrived} what comes{what} from {} and from others that are not routed via {arrived}, also where that is so \
                     on purpose (net.ipv4.conf.{arrived}.rp_filter set to 1 drops it whatever it is for)",
                    self::source(*source)
                )?;
                match &zones[..] {
                    [] => Ok(()),
                    zones => write!(f, ", or let {arrived} be of zone {}", listed(zones, "or")),
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
    let local = local.map_or_else(String::new, |(address, protocol)| {
        let family = if address.is_ipv4() { "ip" } else { "ip6" };
        format!("{family} daddr {address} meta l4proto {protocol} ")
    });
    format!("{local}fib saddr . iif oif missing")
}

fn source(from: Option<IpAddr>) -> String {
    from.map_or("an unknown source".to_owned(), |from| from.to_string())
}
