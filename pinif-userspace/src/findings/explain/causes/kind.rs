//! The causes that pinif distinguishes, as data.

use std::net::IpAddr;

use pinif_ebpf::sighting::Origin;

use crate::{
    findings::{
        explain::{PacketInfo, Route, SubflowBy},
        removal::Removal,
        subject::KernelPacket,
    },
    host::{arp_flux::ArpFlux, gaps::Detector, nft::NftRule},
    kernel::attach::Lack,
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

/// What made a packet leave where it left. Names of interfaces, tables and errors are as the system says them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CauseKind {
    /// `sendmsg()` with this: `ip_cmsg_send` takes the index without a look at the bound device.
    PktinfoOverride(PacketInfo),
    /// IPv6 `sendto()` with the `sin6_scope_id` of another interface, to an address that needs one (`__ipv6_addr_needs_scope_id`).
    ScopeOverride,
    /// An `AF_PACKET` socket: `sll_ifindex` alone says where its packets leave.
    PacketSocket,
    /// This interface, by which the traffic should leave, is down.
    LinkDown {
        /// The interface.
        link: String,
        /// The destination is in a network of it, whose route comes back with the link: the kernel removes all others for good
        /// (`fib_sync_down_dev`).
        is_near: bool,
    },
    /// This interface, by which the traffic should leave, is up and has no carrier.
    NoCarrier(String),
    /// This interface, by which the traffic should leave, is there no more.
    LinkGone(String),
    /// The routing table chose.
    Route(Route),
    /// The routing table leads these other destinations out, by this route.
    RouteOfOthers {
        /// The destinations.
        to: Vec<IpAddr>,
        /// The route.
        route: Route,
    },
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
    /// What it answers came in by this interface.
    Asked {
        /// The interface.
        by: String,
    },
    /// The process never bound the socket to a device.
    NeverPinned,
    /// A `tc mirred`, `nft dup`, `nft fwd` or TEE took the packet, or a copy of it, to another interface: this rule of nftables,
    /// where one sends by that.
    Mirror(Option<Box<NftRule>>),
    /// The packet came in by another interface, or from another network namespace, and was forwarded.
    Forwarded {
        /// Where it came in.
        from: Option<String>,
        /// Its source is an address of this host, which NAT gave it.
        is_translated: bool,
        /// The source that it had before, where connection tracking says so.
        source: Option<IpAddr>,
    },
    /// A device on top of this interface sent it, for whoever has that: another network namespace, or a virtual machine. It came in by no
    /// interface here, and no route here led it (`macvlan_queue_xmit`, `ipvlan_queue_xmit`, `vlan_dev_hard_start_xmit`).
    FromAbove(String),
    /// It was forwarded to a group, by a route for groups.
    MulticastRoute {
        /// Of IPv6.
        is_ipv6: bool,
    },
    /// A rule sent it by its mark.
    Marked {
        /// The mark.
        mark: u32,
        /// Who sent the packet: a program, the kernel, or nobody here where it was forwarded.
        by: Origin,
        /// The rules of nftables that may have set it.
        may_set: Vec<NftRule>,
    },
    /// NAT changed its source or its destination; what they were.
    Translated {
        /// The source.
        source: Option<IpAddr>,
        /// The destination.
        destination: Option<IpAddr>,
    },
    /// The route that it took gives packets without a source this one (`src`).
    SourceOfRoute {
        /// The source.
        source: IpAddr,
    },
    /// The interface that it left by has no address that it could have, so that the kernel took another's.
    Unnumbered {
        /// The source.
        source: IpAddr,
        /// The interface.
        interface: String,
    },
    /// The kernel chose the source for the route that the packet had before its mark or its destination was changed.
    SourceBefore {
        /// The source.
        source: IpAddr,
    },
    /// The program sends from an address that no interface has, as this option lets it.
    AnySource {
        /// The source.
        source: IpAddr,
        /// The option.
        option: &'static str,
    },
    /// Its source address, which this interface has, chose that for a group or a broadcast address: no route is asked
    /// (`ip_route_output_key_hash_rcu`).
    SourcePicks {
        /// The source.
        source: IpAddr,
        /// The interface.
        interface: String,
    },
    /// It is the outer packet of this tunnel.
    Tunnel {
        /// The tunnel's device.
        device: String,
        /// Its kind, as `ip link` writes it.
        kind: Option<String>,
    },
    /// It is the outer packet of what this route encapsulated (`seg6_output`): it has an address of the route's own interface, wherever it leaves.
    /// Or the route put a header into it ([`Route::keeps_source`]): it goes to the first segment, with the source that it had.
    Encapsulated {
        /// The route.
        route: Route,
        /// The route's interface does not have its source: a setting gives all of them one (`ip sr tunsrc`).
        is_set: bool,
    },
    /// Programs have joined these groups on the interface.
    Groups {
        /// The interface.
        interface: String,
        /// The groups.
        groups: Vec<IpAddr>,
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
    /// The kernel refused some hooks of the cgroup.
    MissingHooks {
        /// The names of their programs.
        hooks: Vec<&'static str>,
        /// What is lacking without them.
        lacks: Vec<Lack>,
        /// Why.
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
    /// Two interfaces reach the same neighbour, and one answers ARP requests for the other's address.
    ArpFlux(Box<ArpFlux>),
}
