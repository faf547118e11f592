//! The words of causes.

use std::{fmt, net::IpAddr};

use pinif_ebpf::sighting::Origin;

use super::kind::{Cause, CauseKind};
use crate::{
    findings::{explain::route::show_groups, subject::KernelPacket},
    host::{arp_flux::ArpFlux, nft::NftRule},
    text::words::{first_of, listed},
};

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.certain {
            f.write_str("most likely ")?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PktinfoOverride(info) => write!(f, "{info} override"),
            Self::ScopeOverride => f.write_str("sin6_scope_id override"),
            Self::PacketSocket => {
                f.write_str("packet socket, which chooses its interface by sll_ifindex")
            }
            Self::LinkDown { link, .. } => write!(f, "link {link} is down"),
            Self::NoCarrier(device) => write!(f, "link {device} has no carrier"),
            Self::LinkGone(device) => write!(f, "link {device} is gone"),
            Self::Route(route) => route.fmt(f),
            Self::RouteOfOthers { to, route } => write!(f, "{route}, for {}", first_of(to)),
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
                // Several options are a guess.
                let is_guess = how.contains(" or ");
                let guess = if is_guess { ", or a route that is gone did" } else { "" };
                write!(f, "the program named {interface} ({how}){guess}: ")?;
                match routed {
                    Some(other) if other == interface => {
                        f.write_str("no other route leads it elsewhere")
                    }
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
            Self::Asked { by } => write!(f, "it was asked via {by}"),
            Self::NeverPinned => f.write_str("the process never bound the socket to a device"),
            Self::Mirror(None) => {
                f.write_str("a mirror, redirect or duplicate (tc mirred, nft dup or fwd)")
            }
            Self::Mirror(Some(rule)) => {
                write!(f, "a mirror, redirect or duplicate ({rule})")
            }
            Self::Forwarded {
                from,
                is_translated,
                source,
            } => forwarded(f, from.as_deref(), *is_translated, *source),
            Self::FromAbove(interface) => write!(
                f,
                "sent by a device on {interface} (macvlan, macvtap, ipvlan, VLAN) of another network namespace or of a virtual machine"
            ),
            Self::MulticastRoute { is_ipv6 } => write!(
                f,
                "a route for groups (`{}`), which a multicast routing daemon makes",
                show_groups(*is_ipv6)
            ),
            Self::Marked { mark, by, may_set } => marked(f, *mark, *by, may_set),
            Self::Translated {
                source,
                destination,
            } => translated(f, *source, *destination),
            Self::SourceOfRoute { source } => {
                write!(f, "the route gives packets the source {source} (`src`)")
            }
            Self::Unnumbered { source, interface } => write!(
                f,
                "{interface} has no address that the packet could have, so the kernel took {source}"
            ),
            Self::SourceBefore { source } => write!(
                f,
                "the kernel chose the source {source} for another route, before the packet was marked or translated"
            ),
            Self::AnySource { source, option } => write!(
                f,
                "the program sends from {source}, which no interface has ({option})"
            ),
            Self::SourcePicks { source, interface } => write!(
                f,
                "its source {source} is {interface}'s, which chooses the interface for a group or a broadcast address without a route"
            ),
            Self::Tunnel { device, .. } => write!(f, "the tunnel is {device}"),
            Self::Encapsulated { route, .. } if route.keeps_source() => {
                write!(f, "led to its first segment by {route}")
            }
            Self::Encapsulated { route, is_set } => {
                write!(f, "encapsulated by {route}")?;
                match (is_set, &route.device) {
                    (true, _) => f.write_str(", its source set for all (ip sr tunsrc)"),
                    (false, Some(device)) => write!(f, ", which gives it an address of {device}"),
                    (false, None) => Ok(()),
                }
            }
            Self::Groups { interface, groups } => {
                let groups: Vec<String> = groups.iter().map(IpAddr::to_string).collect();
                write!(f, "programs have joined {} on {interface}", listed(&groups, "and"))
            }
            Self::Kernel(what) => f.write_str(by_kernel(*what)),
            Self::QdiscBypass => f.write_str("packet socket with PACKET_QDISC_BYPASS"),
            Self::Xdp => f.write_str("AF_XDP socket"),
            Self::NotAttached { interface, error } => {
                write!(f, "{interface} could not be attached ({error})")
            }
            Self::MissingHooks { hooks, error, .. } => {
                let hooks: Vec<String> = hooks.iter().map(|&hook| hook.to_owned()).collect();
                write!(f, "the kernel refused {} on the cgroup ({error})", listed(&hooks, "and"))
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
            Self::ArpFlux(flux) => arp_flux(f, flux),
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

fn forwarded(
    f: &mut fmt::Formatter<'_>,
    from: Option<&str>,
    is_translated: bool,
    source: Option<IpAddr>,
) -> fmt::Result {
    f.write_str("forwarded")?;
    if let Some(from) = from {
        write!(f, " from {from}")?;
    }
    match source {
        _ if !is_translated => Ok(()),
        Some(source) => write!(f, ", its source {source} translated (NAT)"),
        None => f.write_str(", its source translated (NAT)"),
    }
}

fn marked(f: &mut fmt::Formatter<'_>, mark: u32, by: Origin, may_set: &[NftRule]) -> fmt::Result {
    // What is forwarded has no socket here. The kernel marks its answers as what they answer, and a tunnel's outer packets.
    let sender = match by {
        Origin::Process => Some(("the program", "SO_MARK")),
        Origin::Kernel => Some(("the kernel", "fwmark_reflect, a tunnel's fwmark")),
        Origin::None => None,
    };
    write!(f, "mark {mark:#x}, which ")?;
    let rules: Vec<String> = may_set.iter().take(3).map(NftRule::to_string).collect();
    match (&rules[..], sender) {
        ([], Some((who, how))) => write!(f, "{who} set ({how}), or a rule that pinif did not find"),
        ([], None) => f.write_str("a rule set that pinif did not find"),
        (rules, Some((who, how))) => {
            write!(f, "{} may have set, or {who} ({how})", listed(rules, "or"))
        }
        (rules, None) => write!(f, "{} may have set", listed(rules, "or")),
    }
}

fn translated(
    f: &mut fmt::Formatter<'_>,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
) -> fmt::Result {
    match (source, destination) {
        (Some(source), Some(destination)) => write!(
            f,
            "its source {source} and its destination {destination} were translated (NAT)"
        ),
        (Some(source), None) => write!(f, "its source {source} was translated (NAT)"),
        (None, Some(destination)) => {
            write!(f, "its destination {destination} was translated (NAT)")
        }
        (None, None) => f.write_str("its ports were translated (NAT)"),
    }
}

fn arp_flux(f: &mut fmt::Formatter<'_>, flux: &ArpFlux) -> fmt::Result {
    let (ArpFlux { neighbour, .. }, [name, other]) = (flux, &flux.names);
    match flux.is_foreign {
        true => write!(
            f,
            "neighbour {neighbour}, which is in the network of {other} and routed there, has asked or answered on {name}"
        ),
        false => write!(
            f,
            "neighbour {neighbour} is reached via {name} and via {other}"
        ),
    }?;
    flux.answers.iter().try_for_each(|(interface, address)| {
        write!(
            f,
            "; arp_ignore is 0 on {interface}, which answers for {address}"
        )
    })
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

/// All of them in words, the first in the chain of events first; without any, the state of the machine does not show it.
pub(in crate::findings) fn text(causes: &[Cause]) -> String {
    if causes.is_empty() {
        return "unknown".to_owned();
    }
    causes
        .iter()
        .map(Cause::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
