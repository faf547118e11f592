//! The mend of a finding. The cause decides where it is known; otherwise the kind.

use pinif_ebpf::verdict::Kind;

use super::{CauseKind, Circumstance, address, arrival, listed};
use crate::findings::{finding::Origin, gaps::ANY_INTERFACE};

/// The mend, as an order to the reader, without a full stop.
pub(super) fn of(c: &Circumstance<'_>) -> String {
    match c.kind {
        Kind::DeviceEscape
        | Kind::AddressEscape
        | Kind::PolicyEscape
        | Kind::Unpinned
        | Kind::Unaudited => c
            .causes
            .iter()
            .find_map(|cause| by_cause(c, &cause.kind))
            .unwrap_or_else(|| by_kind(c)),
        // Whatever else may be true: these have one mend.
        Kind::CopyEscape | Kind::CrossedBind | Kind::IngressEscape => by_kind(c),
    }
}

/// What a cause calls for; `None` where it leaves the mend to the kind.
fn by_cause(c: &Circumstance<'_>, cause: &CauseKind) -> Option<String> {
    let home = home(c);
    Some(match cause {
        CauseKind::PktinfoOverride => {
            format!("send without IP_PKTINFO's ipi_ifindex, or set it to {home}")
        }
        CauseKind::ScopeOverride if c.bound_device.is_some() => {
            format!("set sin6_scope_id to the index of {home}, or to 0")
        }
        CauseKind::ScopeOverride => format!("set sin6_scope_id to the index of {home}"),
        CauseKind::PacketSocket => format!("send with the index of {home} in sll_ifindex"),
        CauseKind::LinkDown(device) => returned(c, &format!("bring {device} up")),
        CauseKind::LinkGone(device) => returned(c, &format!("bring {device} back")),
        CauseKind::Route(_) => return routed(c),
        CauseKind::VrfMiss { vrf, table, .. } => format!(
            "give {} a route in table {table} of the VRF {vrf}, and end that table with an unreachable default route, so \
             that nothing falls through to another",
            destination(c)
        ),
        CauseKind::Named { how, .. } if owned(c) && c.bound_device.is_none() => {
            format!("{}, and let the program name no other ({how})", pin(c))
        }
        CauseKind::Named { .. } => route(c),
        CauseKind::Rebound { .. } => {
            format!("bind the socket to {home} once, before it sends, and leave it bound")
        }
        CauseKind::BindRefused { device, error } => format!(
            "find out why SO_BINDTODEVICE to {device} fails ({error}), and let the program stop when it does"
        ),
        CauseKind::AddressForDevice(address) => {
            format!("give the program the name {home} instead of the address {address}")
        }
        CauseKind::NeverPinned => pin(c),
        CauseKind::Mirror => untwine(c),
        CauseKind::Forwarded { .. } => {
            format!(
                "drop it in the forward chain when it would leave by {}, or {}",
                c.egress_interface,
                route(c)
            )
        }
        CauseKind::KernelReply => {
            format!(
                "{}: what the kernel sends by itself follows the routing table",
                route(c)
            )
        }
        CauseKind::QdiscBypass => format!(
            "let the program send without PACKET_QDISC_BYPASS, or take CAP_NET_RAW from it; an nft chain at the netdev egress \
             hook of {} sees its packets",
            at(c)
        ),
        CauseKind::Xdp => {
            "audit the next hop, or take CAP_NET_RAW from the program if it is not to send so".to_owned()
        }
        CauseKind::NotAttached { .. } => {
            "remove what keeps pinif from being attached, as the error says".to_owned()
        }
        CauseKind::Ahead(_) => {
            "start pinif after what it is to see, or let it return TC_ACT_UNSPEC; bpftool net and tc filter show the order"
                .to_owned()
        }
        CauseKind::XdpProgram(_) => {
            "audit the next hop, or the interfaces that it redirects to; bpftool net shows the program".to_owned()
        }
        CauseKind::Pktgen => "end pktgen (rmmod pktgen), or audit the next hop".to_owned(),
        CauseKind::Netconsole => {
            "send the log by a program (a syslog daemon), or audit the next hop".to_owned()
        }
        CauseKind::NotLookedFor { .. } => {
            "give pinif what it lacks, as the error says; pinif doctor lists what this kernel and these privileges allow"
                .to_owned()
        }
        CauseKind::Bound(_)
        | CauseKind::Crossed { .. }
        | CauseKind::WeakHost { .. }
        | CauseKind::AnotherWay
        | CauseKind::NoReversePath { .. }
        | CauseKind::StrictReversePath { .. }
        | CauseKind::AnswersArp { .. }
        | CauseKind::Unknown => return None,
    })
}

fn by_kind(c: &Circumstance<'_>) -> String {
    let Circumstance {
        egress_interface: egress,
        ..
    } = c;
    let home = home(c);
    match c.kind {
        Kind::DeviceEscape => format!(
            "look in the program for what chooses an interface for each packet (IP_PKTINFO, sin6_scope_id), and on \
             {home} for tc and nft rules that redirect"
        ),
        Kind::CopyEscape => untwine(c),
        Kind::AddressEscape | Kind::PolicyEscape if !owned(c) => route(c),
        Kind::AddressEscape => format!("{}, or {}", pin(c), route(c)),
        Kind::PolicyEscape => match c.bound_device {
            Some(bound) => format!(
                "bind the socket to {home} instead of {bound}, or let the rule allow {egress}"
            ),
            None => pin(c),
        },
        Kind::Unpinned => pin(c),
        Kind::CrossedBind => {
            let bound = c.bound_device.unwrap_or("the bound device");
            match c.source_owner {
                Some(owner) => {
                    format!("bind the socket to an address of {bound}, or to the device {owner}")
                }
                None => format!("bind the socket to an address of {bound}"),
            }
        }
        Kind::IngressEscape => arrival::remedy(c, &home),
        Kind::Unaudited => {
            "audit the next hop; pinif doctor tells what cannot be seen here".to_owned()
        }
    }
}

/// A link that should have carried it must come back; a pinned socket would not have left.
fn returned(c: &Circumstance<'_>, back: &str) -> String {
    if !owned(c) && c.dropped {
        return back.to_owned();
    }
    if !owned(c) {
        return format!(
            "{back}, and drop on {} what must not leave by it",
            c.egress_interface
        );
    }
    format!(
        "{back}, and {}: a bound socket leaves by no other interface",
        pin(c)
    )
}

/// A route leads astray only what is not bound to a device; to demand a bound device, only binding will do.
fn routed(c: &Circumstance<'_>) -> Option<String> {
    match (c.kind, owned(c), c.bound_device) {
        (Kind::Unpinned, ..) => Some(pin(c)),
        (_, false, _) => Some(route(c)),
        (_, true, None) => Some(format!("{}, or {}", pin(c), route(c))),
        (_, true, Some(_)) => None,
    }
}

/// Whether there is a process that could bind its socket.
fn owned(c: &Circumstance<'_>) -> bool {
    match c.origin {
        Origin::Socket => true,
        Origin::Kernel | Origin::None => false,
    }
}

fn pin(c: &Circumstance<'_>) -> String {
    format!("bind the socket to {} with SO_BINDTODEVICE", home(c))
}

/// Another route; where a rule chose the table, the rule is the other way to mend it.
fn route(c: &Circumstance<'_>) -> String {
    let (destination, home) = (destination(c), home(c));
    let by_rule = c.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Route(route) => Some((route.rule.as_ref()?, &route.table)),
        _ => None,
    });
    match by_rule {
        Some((rule, table)) => format!(
            "give {destination} a route by {home} in table {table}, or keep it out of {rule}"
        ),
        None => format!("give {destination} a route by {home}"),
    }
}

fn destination<'a>(c: &Circumstance<'a>) -> &'a str {
    if c.destination.is_empty() {
        "the destination"
    } else {
        address(c.destination)
    }
}

/// The interface of a gap.
fn at<'a>(c: &Circumstance<'a>) -> &'a str {
    match c.egress_interface {
        ANY_INTERFACE => "each interface",
        interface => interface,
    }
}

fn untwine(c: &Circumstance<'_>) -> String {
    let home = home(c);
    format!(
        "remove the tc or nft rule on {home} that takes its packets to {}",
        c.egress_interface
    )
}

/// Where the traffic belongs: the bound device, the owner of its source address, or what the rule allows.
fn home(c: &Circumstance<'_>) -> String {
    let by_policy = || match (c.only_via_interfaces, c.only_via) {
        ([], []) => None,
        ([], zones) => Some(format!("an interface of zone {}", listed(zones, "or"))),
        (interfaces, _) => Some(listed(interfaces, "or")),
    };
    let own = match c.kind {
        Kind::PolicyEscape | Kind::Unpinned => None,
        Kind::DeviceEscape | Kind::CopyEscape => c.bound_device,
        Kind::AddressEscape | Kind::CrossedBind | Kind::IngressEscape | Kind::Unaudited => {
            c.source_owner
        }
    };
    own.map(str::to_owned)
        .or_else(by_policy)
        .unwrap_or_else(|| "the intended interface".to_owned())
}
