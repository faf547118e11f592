//! What fixes a finding: the remedies that there are, and their words.

use std::{fmt, net::IpAddr, sync::Arc};

use super::{EndSubflow, Home, KeepOut};

/// What fixes a finding: an order to the reader. Names are as the system says them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Bind the socket to the device.
    Bind(Home),
    /// Bind it to the device or give the destination another route.
    BindOrRoute(Home, NewRoute),
    /// Bind it to the device, and let the program name no other interface with what it sends, by this option.
    BindAndNameNoOther(Home, &'static str),
    /// Bind it to the device, since a bound socket does not leave by another.
    BindToStay(Home),
    /// Bind it once, before it sends.
    BindOnce(Home),
    /// Bind it to another device, or change the rule.
    BindInstead {
        /// Where the traffic belongs.
        home: Home,
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
        /// The device that it is bound to.
        bound: Arc<str>,
    },
    /// Bind it to any device that the rule allows.
    BindToAllowed(Arc<str>),
    /// Let address and device be of one interface.
    Uncross {
        /// The bound device.
        bound: Option<Arc<str>>,
        /// The interface that has the address.
        owner: Option<Arc<str>>,
    },
    /// Find out why the device was refused.
    AskWhyRefused {
        /// The device.
        device: String,
        /// The error.
        error: &'static str,
    },
    /// Name the device to the program, not an address.
    NameDevice(Home, IpAddr),
    /// Do not override the device with `IP_PKTINFO`.
    ClearPktinfo(Home),
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
    JoinThere(Home),
    /// Look for what overrides the device.
    FindOverride(Home),
    /// Give the destination another route.
    Route(NewRoute),
    /// The same, of what the kernel sends by itself.
    RouteForKernel(NewRoute),
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
    /// Drop what is forwarded, or route it.
    DropForwarded(Arc<str>, NewRoute),
    /// Give what is forwarded another source by NAT where it leaves, or route it.
    Retranslate(Arc<str>, NewRoute),
    /// Bring a link back.
    Restore {
        /// The link.
        link: String,
        /// It is not there any more; otherwise, it is down.
        is_gone: bool,
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
    },
    /// Keep out what arrived.
    KeepOut(KeepOut),
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

/// What else there is to do when a link is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// Drop at this interface what must not leave by it.
    DropAt(Arc<str>),
    /// Bind the socket.
    Bind(Home),
}

/// A route that a destination lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoute {
    /// The destination.
    pub to: Option<IpAddr>,
    /// Where it is to lead.
    pub home: Home,
    /// The rule that chose the table, and the table: the rule is the other way to fix it.
    pub by_rule: Option<(String, String)>,
}

impl fmt::Display for NewRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to, home) = (destination(self.to), &self.home);
        match &self.by_rule {
            Some((rule, table)) => write!(
                f,
                "give {to} a route via {home} in table {table}, or keep it out of {rule}"
            ),
            None => write!(f, "give {to} a route via {home}"),
        }
    }
}

impl fmt::Display for Remedy {
    /// An order to the reader, without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(home) => bind(f, home),
            Self::BindOrRoute(home, route) => {
                bind(f, home)?;
                write!(f, ", or {route}")
            }
            Self::BindAndNameNoOther(home, option) => {
                bind(f, home)?;
                write!(f, ", and let the program name no other ({option})")
            }
            Self::BindToStay(home) => {
                bind(f, home)?;
                f.write_str(STAYS)
            }
            Self::BindOnce(home) => write!(
                f,
                "bind the socket to {home} once, before it sends, and leave it bound"
            ),
            Self::BindInstead {
                home,
                bound,
                egress,
            } => write!(
                f,
                "bind the socket to {home} instead of {bound}, or let the rule allow {egress}"
            ),
            Self::Allow {
                rule,
                egress,
                bound,
            } => write!(
                f,
                "let rule {rule} allow {egress}, or bind the socket to another device than {bound}"
            ),
            Self::BindToAllowed(rule) => write!(
                f,
                "bind the socket to an interface that rule {rule} allows, with SO_BINDTODEVICE"
            ),
            Self::Uncross { bound, owner } => {
                let bound = bound.as_deref().unwrap_or("the bound device");
                write!(f, "bind the socket to an address of {bound}")?;
                match owner {
                    Some(owner) => write!(f, ", or to the device {owner}"),
                    None => Ok(()),
                }
            }
            Self::AskWhyRefused { device, error } => write!(
                f,
                "find out why SO_BINDTODEVICE to {device} fails ({error}), and let the program stop when it does"
            ),
            Self::NameDevice(home, address) => write!(
                f,
                "give the program the name {home} instead of the address {address}"
            ),
            Self::JoinThere(home) => write!(
                f,
                "name {home} where the program joins the group (imr_ifindex, ipv6mr_interface, gr_interface)"
            ),
            Self::ClearPktinfo(home) => write!(
                f,
                "send without IP_PKTINFO's ipi_ifindex, or set it to {home}"
            ),
            Self::SetScope { home, is_bound } => {
                let or_none = if *is_bound { ", or to 0" } else { "" };
                write!(f, "set sin6_scope_id to the index of {home}{or_none}")
            }
            Self::SetLinkIndex(home) => write!(f, "send with the index of {home} in sll_ifindex"),
            Self::FindOverride(home) => write!(
                f,
                "look in the program for what chooses an interface for each packet (IP_PKTINFO, sin6_scope_id), and on \
                 {home} for tc and nft rules that redirect"
            ),
            Self::Route(route) => route.fmt(f),
            Self::RouteForKernel(route) => write!(
                f,
                "{route}: what the kernel sends by itself follows the routing table"
            ),
            Self::RouteAway(to, egress) => {
                write!(f, "give {to} a route via another interface than {egress}")
            }
            Self::RouteInVrf { to, vrf, table } => write!(
                f,
                "give {} a route in table {table} of the VRF {vrf}, and end that table with an unreachable default route, so \
                 that nothing falls through to another",
                destination(*to)
            ),
            Self::DropForwarded(egress, route) => write!(
                f,
                "drop it in the forward chain when it would leave via {egress}, or {route}"
            ),
            Self::Retranslate(egress, route) => write!(
                f,
                "translate its source to an address of {egress} where it leaves by that (nft: oifname {egress} masquerade), or {route}"
            ),
            Self::Restore {
                link,
                is_gone,
                then,
            } => {
                let back = if *is_gone { "back" } else { "up" };
                write!(f, "bring {link} {back}")?;
                match then {
                    Then::Nothing => Ok(()),
                    Then::DropAt(egress) => {
                        write!(f, ", and drop on {egress} what must not leave via it")
                    }
                    Then::Bind(home) => {
                        f.write_str(", and ")?;
                        bind(f, home)?;
                        f.write_str(STAYS)
                    }
                }
            }
            Self::EndSubflow(remedy) => remedy.fmt(f),
            Self::RemoveRedirect { from, to } => write!(
                f,
                "remove the tc or nft rule on {from} that takes its packets to {to}"
            ),
            Self::KeepOut(remedy) => remedy.fmt(f),
            Self::EndBypass(interface) => write!(
                f,
                "let the program send without PACKET_QDISC_BYPASS, or take CAP_NET_RAW from it; an nft chain at the netdev \
                 egress hook of {} sees its packets",
                interface.as_deref().unwrap_or("each interface")
            ),
            Self::EndXdpSocket => f.write_str(
                "audit the next hop, or take CAP_NET_RAW from the program if it is not to send so",
            ),
            Self::Attach => {
                f.write_str("remove what keeps pinif from being attached, as the error says")
            }
            Self::KeepAttached => f.write_str(
                "find the program that removes BPF links, filters and qdiscs of others here (an agent of container networking, a \
                 script with tc qdisc del or bpftool), and keep it from pinif's; it has CAP_NET_ADMIN or CAP_BPF",
            ),
            Self::Reorder => f.write_str(
                "start pinif after what it is to see, or let it return TC_ACT_UNSPEC; bpftool net and tc filter show the order",
            ),
            Self::AuditXdpTargets => f.write_str(
                "audit the next hop, or the interfaces that it redirects to; bpftool net shows the program",
            ),
            Self::EndPktgen => f.write_str("end pktgen (rmmod pktgen), or audit the next hop"),
            Self::EndNetconsole => {
                f.write_str("send the log by a program (a syslog daemon), or audit the next hop")
            }
            Self::Permit => f.write_str(
                "give pinif what it lacks, as the error says; pinif doctor lists what this kernel and these privileges allow",
            ),
            Self::AuditNextHop => {
                f.write_str("audit the next hop; pinif doctor lists what cannot be seen here")
            }
        }
    }
}

const STAYS: &str = ": a bound socket leaves via no other interface";

fn bind(f: &mut fmt::Formatter<'_>, home: &Home) -> fmt::Result {
    write!(f, "bind the socket to {home} with SO_BINDTODEVICE")
}

fn destination(to: Option<IpAddr>) -> String {
    to.map_or("the destination".to_owned(), |to| to.to_string())
}
