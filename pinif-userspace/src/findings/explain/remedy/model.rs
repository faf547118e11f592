//! The remedies that there are, as data.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::{dropped::Dropped, meets::Meets, service::ServicePin};
use crate::{
    findings::{
        explain::{EndSubflow, Home, KeepOut, PacketInfo, Route},
        ways::Way,
    },
    host::nft::NftRule,
};

/// What fixes a finding: an order to the reader. Names are as the system says them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Bind the socket to the device.
    Bind(Home),
    /// Bind it to the device, and let the program name no other interface with what it sends, by this option.
    BindAndNameNoOther(Home, &'static str),
    /// Bind it to the device, and to an address of that.
    BindBoth {
        /// The device.
        device: Arc<str>,
        /// An address of it.
        address: IpAddr,
    },
    /// Bind it to the device, since a bound socket does not leave by another.
    BindToStay(Home),
    /// Bind it once, before it sends.
    BindOnce(Home),
    /// Bind it to another device, or change the rule.
    BindInstead {
        /// Where the traffic belongs.
        home: Home,
        /// An address of that, where the program has bound it to one of elsewhere.
        address: Option<IpAddr>,
        /// The device that it is bound to.
        bound: Arc<str>,
        /// The interface that the rule could allow.
        egress: Arc<str>,
    },
    /// Change the rule, or bind to another device.
    Allow {
        /// The rule.
        rule: Arc<str>,
        /// The interface that it could allow.
        egress: Arc<str>,
        /// The device that it is bound to, if it is.
        bound: Option<Arc<str>>,
    },
    /// Bind it to any device that the rule allows.
    BindToAllowed(Arc<str>),
    /// Let address and device be of one interface.
    Uncross {
        /// The bound device.
        bound: Option<Arc<str>>,
        /// An address of it, where it has one.
        bound_address: Option<IpAddr>,
        /// The interface that has the address.
        owner: Option<Arc<str>>,
    },
    /// Let the program answer by the interface that was asked.
    AnswerThere(Home, PacketInfo),
    /// Find out why the device was refused.
    AskWhyRefused {
        /// The device.
        device: String,
        /// The error.
        error: &'static str,
    },
    /// Name the device to the program, not an address.
    NameDevice(Home, IpAddr),
    /// Do not override the device with this.
    ClearPktinfo(Home, PacketInfo),
    /// Set `sin6_scope_id` to the device's index, or to none where a bound device remains.
    SetScope {
        /// The device.
        home: Home,
        /// Whether the socket is bound to it.
        is_bound: bool,
    },
    /// Set `sll_ifindex` to the device's index.
    SetLinkIndex(Home),
    /// Name the interface in the option that joins a group.
    JoinThere {
        /// The interface.
        home: Home,
        /// The group is of IPv6.
        is_ipv6: bool,
    },
    /// Look for what overrides the device.
    FindOverride(Home),
    /// Give the destination another route.
    Route(NewRoute),
    /// The same, where the packet's source address does not belong there: translate it as well.
    RouteAndTranslate(NewRoute, Translation),
    /// The same of a tunnel's outer packets, whose source the tunnel's settings have: change that as well.
    RouteAndMoveTunnel(NewRoute, MovedTunnel),
    /// Keep the destination out of a rule.
    OutOfRule(OutOfRule),
    /// Nothing reaches the destination from where it belongs: somebody has to decide.
    Decide {
        /// The destination.
        to: Option<IpAddr>,
        /// Where it belongs.
        home: Home,
        /// The rule that could allow it to leave where it left, and that interface.
        allow: Option<(Arc<str>, Arc<str>)>,
        /// A route leads there that no bound socket follows, and the rule demands one.
        is_for_unbound: bool,
    },
    /// A route encapsulates what a rule keeps in, and the outer packets leave elsewhere: somebody has to decide.
    NotEncapsulated {
        /// The destination of what is inside.
        to: Option<IpAddr>,
        /// What the route is for.
        route: IpNet,
        /// Where it belongs.
        home: Home,
        /// Where the outer packets leave.
        egress: Arc<str>,
        /// The rule, if it has a name.
        rule: Option<Arc<str>>,
    },
    /// Start the program by `pinif run`.
    RunBy {
        /// The interface.
        interface: Arc<str>,
        /// What else the program meets.
        meets: Meets,
    },
    /// Pin the service that the program belongs to, which runs.
    PinService(ServicePin),
    /// Change a setting of the program.
    Configure(Setting),
    /// Let the program use another source address, or none.
    UseSource {
        /// An address of the interface where it left, where that leads there.
        address: Option<IpAddr>,
        /// Without one, the kernel gives it the right one.
        or_none: bool,
        /// By what the program names it, beside `bind()`.
        packet_info: PacketInfo,
        /// The program writes it in a header of its own.
        in_header: bool,
        /// That interface.
        egress: Arc<str>,
    },
    /// Translate the source where it leaves.
    Translate(Translation),
    /// Let the route give packets another source.
    SourceOnRoute(Route, IpAddr),
    /// Give an interface an address: this one, at least.
    Number {
        /// The interface.
        interface: Arc<str>,
        /// It has one that packets could have.
        has_another: bool,
        /// The address.
        address: IpAddr,
    },
    /// Give a tunnel another local address: one of the interface where it left.
    MoveTunnel(MovedTunnel),
    /// Give what a route encapsulates an address of the interface where it leaves.
    OuterSource(OuterSource),
    /// All of these, of which none does it alone.
    Together(Vec<Remedy>),
    /// Drop it where it leaves.
    DropLeaving(Dropped),
    /// Keep out of a rule what the kernel sends on each link that has IPv6, by an exception before it.
    Except {
        /// What it is.
        what: &'static str,
        /// Where it goes.
        to: IpAddr,
        /// The rule.
        rule: Arc<str>,
    },
    /// Delete a rule of nftables.
    DeleteRule(NftRule),
    /// Give groups a route, before the program joins them.
    JoinByRoute {
        /// The groups.
        groups: Vec<IpAddr>,
        /// Where it is to lead.
        interface: Arc<str>,
    },
    /// Change what routes groups.
    RouteGroups {
        /// Of IPv6.
        is_ipv6: bool,
    },
    /// Give the destination a route by another interface than this.
    RouteAway(String, Arc<str>),
    /// Give the destination a route in the VRF's table.
    RouteInVrf {
        /// The destination.
        to: Option<IpAddr>,
        /// The VRF device.
        vrf: String,
        /// Its table.
        table: String,
    },
    /// Drop what is forwarded.
    DropForwarded(Dropped),
    /// Of what a device on top of this interface sends, for another namespace or a virtual machine: neither routes nor forwarding here
    /// have a say in it.
    EndAbove(String),
    /// Bring a link back.
    Restore {
        /// The link.
        link: String,
        /// Why it carries nothing.
        lost: Lost,
        /// What else is to be done.
        then: Then,
    },
    /// Keep the kernel from making a subflow of Multipath TCP.
    EndSubflow(EndSubflow),
    /// Remove what redirects a device's packets.
    RemoveRedirect {
        /// The device.
        from: Home,
        /// Where its packets were taken to.
        to: Arc<str>,
        /// The rule of nftables that does, where that is known.
        rule: Option<Box<NftRule>>,
    },
    /// Keep out what arrived.
    KeepOut(KeepOut),
    /// The same by netfilter, of what the kernel itself receives, or nobody: pinif sees it before that, and nothing shows what becomes of it.
    KeepOutUnseen(KeepOut),
    /// Enforce the policy, which drops what arrived.
    Enforce {
        /// Where it arrives.
        arrived: Arc<str>,
        /// The rule that must not say `action = "alert"` then.
        alerts: Option<Arc<str>>,
    },
    /// Of what is kept out already, by pinif itself: end it where it is sent.
    EndAtSender,
    /// Let each of two interfaces answer ARP requests for its own addresses alone.
    AnswerForOwn([String; 2]),
    /// Let a packet socket not bypass the queueing disciplines; this interface's netdev hook sees it.
    EndBypass(Option<Arc<str>>),
    /// Of an AF_XDP socket.
    EndXdpSocket,
    /// Remove what refuses pinif.
    Attach,
    /// Start pinif before what is asked first.
    Reorder,
    /// Keep others from removing what is pinif's.
    KeepAttached,
    /// Of an XDP program.
    AuditXdpTargets,
    /// Of pktgen.
    EndPktgen,
    /// Of netconsole.
    EndNetconsole,
    /// Give pinif what it lacks to look for something.
    Permit,
    /// Audit where it can be seen.
    AuditNextHop,
}

/// Why a link carries nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The administrator has set it down.
    Down {
        /// The route to the destination comes back with it.
        is_near: bool,
        /// It has none of the addresses of IPv6 left that a packet there would want (`addrconf_ifdown`; they stay with `keep_addr_on_down`).
        is_bare: bool,
    },
    /// It is up, and has no carrier: no command here gives it one.
    Carrier,
    /// It is not there any more.
    Gone,
}

/// What else there is to do when a link is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// Drop at this interface what must not leave by it.
    DropAt(Arc<str>),
    /// Bind the socket.
    Bind(Home),
    /// Lead its traffic by it alone.
    Route(Box<NewRoute>),
}

/// A route that destinations lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoute {
    /// The destinations: networks, or hosts; none where they are not known.
    pub to: Vec<IpNet>,
    /// Where it is to lead.
    pub home: Home,
    /// The way there, where it is known.
    pub way: Option<Way>,
    /// The table that it lacks in, where a rule chose that: its name and its number.
    pub table: Option<(String, u32)>,
    /// The type of service of the route that it takes the place of; zero where that is for all packets.
    pub tos: u8,
    /// The sources that this route is for; none where it is for all.
    pub from: Option<IpNet>,
    /// The metric of the route that it takes the place of.
    pub metric: Option<u32>,
    /// The route that was taken, where one that leads home is behind it already, with all that a table distinguishes them by, and all others
    /// of these that lead elsewhere instead: to be deleted. To replace one by another of these is refused (EEXIST), or replaces that other
    /// (`fib_table_insert`, `fib6_add_rt2node`).
    pub instead: Vec<Route>,
    /// The routes that other destinations of the finding lack, which another route led out.
    pub and: Vec<Self>,
    /// What else the finding has seen.
    pub beside: Beside,
}

/// Destinations that are to be kept out of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfRule {
    /// The destinations, as in [`NewRoute`].
    pub to: Vec<IpNet>,
    /// The rule, as `rule 100 (fwmark 0x7)`.
    pub rule: String,
    /// Its place.
    pub priority: Option<u32>,
    /// The table that leads where it belongs.
    pub table: u32,
    /// The routes that others lack, as in [`NewRoute`].
    pub and: Vec<NewRoute>,
    /// What else the finding has seen.
    pub beside: Beside,
}

/// What of a finding a remedy does nothing for: one wrong place may have several causes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Beside {
    /// Nothing that is known.
    #[default]
    Nothing,
    /// What no rule, or another one, leads: the remedy is for what this rule leads, and it is not known whether that is all.
    OtherRules,
    /// These destinations: it is not known what led them out, or how they are reached from where they belong.
    These(Vec<IpAddr>),
    /// These destinations were seen just now, and routing is not asked about them yet.
    Unasked(Vec<IpAddr>),
}

/// Packets whose source is to be translated where they leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The source that they have before; all of what leaves there where that is not known.
    pub source: Option<IpAddr>,
    /// They are of IPv6.
    pub is_ipv6: bool,
    /// Where they leave.
    pub egress: Arc<str>,
}

/// A tunnel that is to have another local address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTunnel {
    /// The tunnel's device.
    pub device: String,
    /// Its kind, as `ip link` writes it.
    pub kind: String,
    /// The address.
    pub address: IpAddr,
}

/// What gives outer packets an address of the interface where they leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OuterSource {
    /// The route that they lack to leave there; none where they do.
    pub first: Option<Box<NewRoute>>,
    /// The route that encapsulates.
    pub route: Route,
    /// The interface.
    pub interface: Arc<str>,
    /// An address of it, where one is set for all that is encapsulated (`ip sr tunsrc`); none where the route's own interface gives it.
    pub set: Option<IpAddr>,
}

/// A setting of a program that pinif knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The program.
    pub program: &'static str,
    /// The setting, as its documentation writes it.
    pub name: &'static str,
    /// The address that it is to be.
    pub value: IpAddr,
}
