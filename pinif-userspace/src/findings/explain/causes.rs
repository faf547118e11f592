//! Why a packet left where it left: the causes that pinif distinguishes, and their words.

use std::{fmt, net::IpAddr};

use super::{Route, SubflowBy};
use crate::{
    findings::{removal::Removal, subject::KernelPacket},
    host::gaps::Detector,
};

/// A cause, and how sure it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    /// What it is.
    pub kind: CauseKind,
    /// Whether the machine's state proves it. What is concluded from the absence of other causes is not certain, and
    /// the words say so.
    pub certain: bool,
}

impl Cause {
    /// A cause that was seen.
    pub const fn certain(kind: CauseKind) -> Self {
        Self {
            kind,
            certain: true,
        }
    }

    /// A cause that fits best, without proof.
    pub const fn likely(kind: CauseKind) -> Self {
        Self {
            kind,
            certain: false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of what is unknown there is nothing to be sure of.
        if !self.certain && self.kind != CauseKind::Unknown {
            f.write_str("most likely ")?;
        }
        self.kind.fmt(f)
    }
}

/// What made a packet leave where it left. Names of interfaces, tables and errors are as the system says them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CauseKind {
    /// `sendmsg()` with `IP_PKTINFO`: `ip_cmsg_send` takes `ipi_ifindex` without a look at the bound device.
    PktinfoOverride,
    /// IPv6 `sendto()` with the `sin6_scope_id` of another interface.
    ScopeOverride,
    /// An `AF_PACKET` socket: `sll_ifindex` alone says where its packets leave.
    PacketSocket,
    /// This interface, by which the traffic should leave, is down.
    LinkDown(String),
    /// This interface, by which the traffic should leave, is there no more.
    LinkGone(String),
    /// The routing table chose.
    Route(Route),
    /// The kernel does not say which route it would take: this is its answer.
    NoRoute(String),
    /// The VRF's table has no route there, and the rules went on to another table's.
    VrfMiss {
        /// The VRF device.
        vrf: String,
        /// Its table.
        table: String,
        /// The route that was taken instead.
        route: Route,
    },
    /// The process named the interface for this packet, or a route did that is gone.
    Named {
        /// How it is named: `IP_PKTINFO or IP_UNICAST_IF`.
        how: &'static str,
        /// The interface.
        interface: String,
        /// Where the kernel would send it; `None`, nowhere.
        routed: Option<String>,
    },
    /// The kernel's path manager made a subflow of Multipath TCP.
    Subflow(SubflowBy),
    /// The process was to join a group, which the kernel would have reported by IGMP or MLD.
    GroupJoin {
        /// The interface that it named; `None`, a route would have chosen one.
        interface: Option<String>,
    },
    /// The socket was bound to another device than before.
    Rebound {
        /// The device before; `None`, it was bound to none.
        from: Option<String>,
        /// The device since then; `None`, it was unbound.
        to: Option<String>,
    },
    /// The kernel refused to bind the socket to a device, and the process sent nevertheless.
    BindRefused {
        /// The device.
        device: String,
        /// The error, such as `EPERM`.
        error: &'static str,
    },
    /// The program took this address, which it was given for an interface, for a device's name first, which no device
    /// has; and then it bound the socket to the address (`curl --interface ADDRESS`).
    AddressForDevice(IpAddr),
    /// The process bound the socket to this device.
    Bound(String),
    /// The process bound the socket to one interface's address and to another's device: both calls succeed.
    Crossed {
        /// The address of `bind()`.
        address: IpAddr,
        /// The one interface that has it.
        owner: String,
        /// The bound device.
        device: String,
    },
    /// The process never bound the socket to a device.
    NeverPinned,
    /// A `tc mirred`, `nft dup`, `nft fwd` or TEE took the packet, or a copy of it, to another interface.
    Mirror,
    /// The packet came in by another interface, or from another network namespace, and was forwarded.
    Forwarded {
        /// Where it came in.
        from: Option<String>,
        /// Its source is an address of this host, which NAT gave it.
        is_translated: bool,
    },
    /// The kernel itself sent it.
    Kernel(KernelPacket),
    /// A packet socket with `PACKET_QDISC_BYPASS`: its packets pass no hook.
    QdiscBypass,
    /// An AF_XDP socket: its packets pass no hook.
    Xdp,
    /// The programs could not be attached to this interface.
    NotAttached {
        /// The interface.
        interface: String,
        /// Why not.
        error: String,
    },
    /// A part of pinif was removed.
    Removed(Removal),
    /// Something is asked before pinif, and what it ends, pinif does not see.
    Ahead(String),
    /// An XDP program, which may send by any interface.
    XdpProgram(String),
    /// The kernel's traffic generator.
    Pktgen,
    /// The kernel's log by UDP.
    Netconsole,
    /// It is not known whether there is any of these.
    NotLookedFor {
        /// What was looked for.
        what: Detector,
        /// Why it could not be.
        error: String,
    },
    /// A packet for any local address is accepted on any interface (the weak host model, RFC 1122, 3.3.4.2), and so on another
    /// than the one that has the address.
    WeakHost {
        /// The one interface that has it.
        owner: String,
    },
    /// It arrived on another interface than its replies may leave via.
    AsymmetricRoute,
    /// The kernel does not ask whether the source is routed via the interface that a packet arrived on (`rp_filter`).
    NoReversePath {
        /// The interface.
        interface: String,
        /// It asks whether there is a route at all.
        loose: bool,
    },
    /// The kernel drops what arrives by an interface that its source is not routed by (`rp_filter` of 1).
    StrictReversePath {
        /// The interface.
        interface: String,
        /// The source.
        source: IpAddr,
        /// The interface that the source is routed by now.
        routed_by: Option<String>,
    },
    /// The interface answers ARP requests for an address that another has (`arp_ignore` of 0).
    AnswersArp {
        /// The interface.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// The machine's state does not show it.
    Unknown,
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PktinfoOverride => f.write_str("IP_PKTINFO override"),
            Self::ScopeOverride => f.write_str("sin6_scope_id override"),
            Self::PacketSocket => {
                f.write_str("packet socket, which chooses its interface by sll_ifindex")
            }
            Self::LinkDown(device) => write!(f, "link {device} is down"),
            Self::LinkGone(device) => write!(f, "link {device} is gone"),
            Self::Route(route) => route.fmt(f),
            Self::NoRoute(answer) => f.write_str(answer),
            Self::VrfMiss { vrf, table, route } => write!(
                f,
                "table {table} of the VRF {vrf} has no route there, so it took {route}"
            ),
            Self::Named {
                how,
                interface,
                routed,
            } => {
                write!(
                    f,
                    "the program named {interface} ({how}), or a route that is gone did: "
                )?;
                match routed {
                    Some(other) => write!(f, "the kernel routes it via {other} now"),
                    None => f.write_str("the kernel has no route for it now"),
                }
            }
            Self::Subflow(by) => by.fmt(f),
            Self::GroupJoin {
                interface: Some(interface),
            } => write!(f, "the process was to join the group on {interface}"),
            Self::GroupJoin { interface: None } => f.write_str(
                "the process was to join the group without naming an interface, so that a route would choose it",
            ),
            Self::Rebound { from, to } => rebound(f, from.as_deref(), to.as_deref()),
            Self::BindRefused { device, error } => {
                write!(f, "SO_BINDTODEVICE to {device} was refused ({error})")
            }
            Self::AddressForDevice(address) => write!(
                f,
                "the program was given the address {address} for an interface, and bound the socket to that alone"
            ),
            Self::Bound(device) => write!(f, "the process bound the socket to {device}"),
            Self::Crossed {
                address,
                owner,
                device,
            } => write!(
                f,
                "bind() to {address} of {owner}, and SO_BINDTODEVICE to {device}"
            ),
            Self::NeverPinned => f.write_str("the process never bound the socket to a device"),
            Self::Mirror => {
                f.write_str("a mirror, redirect or duplicate (tc mirred, nft dup or fwd)")
            }
            Self::Forwarded {
                from,
                is_translated,
            } => forwarded(f, from.as_deref(), *is_translated),
            Self::Kernel(what) => f.write_str(by_kernel(*what)),
            Self::QdiscBypass => f.write_str("packet socket with PACKET_QDISC_BYPASS"),
            Self::Xdp => f.write_str("AF_XDP socket"),
            Self::NotAttached { interface, error } => {
                write!(f, "{interface} could not be attached ({error})")
            }
            Self::Removed(removal) => removal.fmt(f),
            Self::Ahead(what) => write!(f, "{what} comes before pinif"),
            Self::XdpProgram(program) => write!(f, "XDP program {program}"),
            Self::Pktgen => f.write_str("pktgen"),
            Self::Netconsole => f.write_str("netconsole"),
            Self::NotLookedFor { what, error } => {
                write!(f, "{what} could not be looked for ({error})")
            }
            Self::WeakHost { owner } => write!(
                f,
                "Linux accepts a packet for {owner}'s address on any interface (weak host model)"
            ),
            Self::AsymmetricRoute => f.write_str(
                "a sender or router outside sent it this way: routes are not symmetric, or the source is forged",
            ),
            Self::NoReversePath {
                interface,
                loose: false,
            } => write!(f, "rp_filter is off on {interface}"),
            Self::NoReversePath {
                interface,
                loose: true,
            } => write!(
                f,
                "rp_filter is loose on {interface}: a route to the source by any interface will do"
            ),
            Self::StrictReversePath {
                interface,
                source,
                routed_by,
            } => strict(f, interface, *source, routed_by.as_deref()),
            Self::AnswersArp { interface, address } => {
                write!(f, "arp_ignore is 0 on {interface}, which answers for {address}")
            }
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What the kernel sends by itself. Only some of it is a reply.
const fn by_kernel(what: KernelPacket) -> &'static str {
    match what {
        KernelPacket::TcpReset | KernelPacket::Icmp => "the kernel's own reply",
        KernelPacket::NeighbourDiscovery => "neighbour discovery by the kernel",
        KernelPacket::GroupMembership => "the kernel's report of group memberships (IGMP, MLD)",
        KernelPacket::Tunnel => "the outer packet of a tunnel",
        KernelPacket::NotIp => "no IP packet, and sent by the kernel itself",
        KernelPacket::Other => "sent by the kernel itself",
    }
}

fn rebound(f: &mut fmt::Formatter<'_>, from: Option<&str>, to: Option<&str>) -> fmt::Result {
    match (from, to) {
        (Some(from), Some(to)) => write!(f, "socket was rebound from {from} to {to}"),
        (Some(from), None) => write!(f, "socket was unbound from {from}"),
        (None, Some(to)) => write!(f, "socket was bound to {to} late"),
        (None, None) => f.write_str("socket was rebound"),
    }
}

fn forwarded(f: &mut fmt::Formatter<'_>, from: Option<&str>, is_translated: bool) -> fmt::Result {
    f.write_str("forwarded")?;
    if let Some(from) = from {
        write!(f, " from {from}")?;
    }
    if is_translated {
        f.write_str(", its source translated (NAT)")?;
    }
    Ok(())
}

fn strict(
    f: &mut fmt::Formatter<'_>,
    interface: &str,
    source: IpAddr,
    routed_by: Option<&str>,
) -> fmt::Result {
    write!(f, "rp_filter is strict on {interface}, ")?;
    match routed_by {
        Some(by) if by == interface => write!(f, "but {source} is routed via it"),
        Some(by) => write!(f, "and {source} is routed via {by}: the kernel drops it"),
        None => write!(f, "and {source} has no route: the kernel drops it"),
    }
}

/// All of them in words, the first in the chain of events first.
pub(in crate::findings) fn text(causes: &[Cause]) -> String {
    if causes.is_empty() {
        return CauseKind::Unknown.to_string();
    }
    causes
        .iter()
        .map(Cause::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
