//! Packets that are to be dropped where they leave.

use std::{net::IpAddr, sync::Arc};

use crate::findings::explain::nft::{TABLE, line as nft, name as quoted};

/// Which packets are to be dropped: those of which all of this is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where they leave.
    pub egress: Arc<str>,
    /// The interface that they came in by, where they are forwarded.
    pub arrived: Option<Arc<str>>,
    /// What they are.
    pub what: Option<Traffic>,
    /// Their source, where that is what is wrong.
    pub source: Option<IpAddr>,
    /// Their destination, where that is what is wrong.
    pub to: Option<IpAddr>,
}

/// What packets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// A RST of TCP.
    TcpReset,
    /// ICMP or ICMPv6 that answers: no program sends it.
    IcmpReply,
    /// Neighbour discovery (RFC 4861).
    NeighbourDiscovery,
    /// Reports of groups by MLD (RFC 3810).
    ListenerReports,
    /// A tunnel's outer packets, in UDP.
    Tunnel {
        /// The port by which they are known.
        port: Port,
    },
    /// All of an IP protocol, by its number.
    Protocol(u8),
}

/// A port, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The sender's.
    Source(u16),
    /// The receiver's.
    Destination(u16),
}

impl Dropped {
    /// All that leaves by an interface.
    pub fn at(egress: Arc<str>) -> Self {
        Self {
            egress,
            arrived: None,
            what: None,
            source: None,
            to: None,
        }
    }

    /// The line of a shell that drops them, in a chain of this hook; none where neither source nor destination is known
    /// of what may be everything that leaves there.
    pub(super) fn command(&self, hook: &str) -> Option<String> {
        let is_ipv6 = match (self.source.or(self.to), self.what) {
            (Some(address), _) => address.is_ipv6(),
            (None, Some(what)) if what.is_of_link() => true,
            (None, _) => return None,
        };
        let mut wanted = String::new();
        if let Some(arrived) = &self.arrived {
            wanted.push_str(&format!(" iifname {}", quoted(arrived)?));
        }
        wanted.push_str(&format!(" oifname {}", quoted(&self.egress)?));
        for (address, name) in [(self.source, "saddr"), (self.to, "daddr")] {
            if let Some(address) = address {
                let family = if address.is_ipv4() { "ip" } else { "ip6" };
                wanted.push_str(&format!(" {family} {name} {address}"));
            }
        }
        if let Some(what) = self.what {
            wanted.push_str(&format!(" {}", what.matched(is_ipv6)));
        }
        // After `srcnat`: it has the source that it leaves with.
        Some(nft(&format!(
            "add table inet {TABLE}; add chain inet {TABLE} {hook} {{ type filter hook {hook} priority 101; }}; add rule inet \
             {TABLE} {hook}{wanted} drop"
        )))
    }
}

impl Traffic {
    /// Whether the kernel sends it on each link that has IPv6, by itself and to many addresses.
    pub const fn is_of_link(self) -> bool {
        matches!(self, Self::NeighbourDiscovery | Self::ListenerReports)
    }

    /// How nft(8) matches it.
    fn matched(self, is_ipv6: bool) -> String {
        match self {
            Self::TcpReset => "tcp flags & rst == rst".to_owned(),
            // A program sends requests alone: the kernel answers, and reports errors.
            Self::IcmpReply if is_ipv6 => "icmpv6 type { destination-unreachable, packet-too-big, \
                                           time-exceeded, parameter-problem, echo-reply }"
                .to_owned(),
            Self::IcmpReply => "icmp type != echo-request".to_owned(),
            Self::NeighbourDiscovery => "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, \
                                         nd-neighbor-advert, nd-redirect }"
                .to_owned(),
            Self::ListenerReports => "icmpv6 type { mld-listener-report, mld-listener-done, \
                                      mld2-listener-report }"
                .to_owned(),
            Self::Tunnel {
                port: Port::Source(port),
            } => format!("udp sport {port}"),
            Self::Tunnel {
                port: Port::Destination(port),
            } => format!("udp dport {port}"),
            Self::Protocol(number) => format!("meta l4proto {number}"),
        }
    }
}
