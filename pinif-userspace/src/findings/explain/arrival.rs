//! The words for what arrived where it should not.

use super::{CauseKind, Circumstance, address, capital, listed};
use crate::findings::finding::Origin;

/// What happened.
pub(super) fn explanation(c: &Circumstance<'_>) -> String {
    let arrived = c.egress_interface;
    let destination = address(c.destination);
    let packet = format!("{} from {}", c.traffic(), c.source_endpoint());
    let mut text = match (c.source_owner, c.rule) {
        (Some(owner), _) => {
            let mut text = format!(
                "{} arrived by {arrived}, but {destination} is an address of {owner} alone",
                capital(&packet)
            );
            if let Some(zone) = c.contained_zone {
                text.push_str(&format!(
                    ", and zone {zone}, which holds {owner}, is contained"
                ));
            }
            text.push('.');
            if c.rule.is_some() {
                let rule = c.rule_text();
                text.push_str(&format!(
                    " {rule} keeps what would answer it to {} as well.",
                    c.allowed()
                ));
            }
            text
        }
        (None, Some(_)) => format!(
            "{} lets what goes to {} leave by {} only, but {packet} arrived by {arrived}.",
            c.rule_text(),
            c.source_address(),
            c.allowed()
        ),
        (None, None) => format!(
            "{} arrived by {arrived}, but belongs to {}.",
            capital(&packet),
            c.contained_zone
                .map_or("a contained zone".to_owned(), |zone| format!(
                    "the contained zone {zone}"
                ))
        ),
    };
    text.push(' ');
    text.push_str(&taker(c));
    text
}

/// Who takes it. What netfilter makes of it nobody asks.
fn taker(c: &Circumstance<'_>) -> String {
    let dropped = c
        .causes
        .iter()
        .any(|cause| drops(&cause.kind, c.egress_interface));
    if dropped {
        return format!(
            "rp_filter, strict on {0}, drops this packet as routes are now, but none whose source is routed by {0}.",
            c.egress_interface
        );
    }
    match (c.origin, c.process, c.bound_device) {
        (Origin::Socket, Some(process), Some(bound)) => {
            format!("{process}'s socket, bound to {bound}, takes it.")
        }
        (Origin::Socket, Some(process), None) => {
            format!("{process}'s socket, bound to no device, takes it.")
        }
        (Origin::Socket, None, _) => "A socket of no known process takes it.".to_owned(),
        (Origin::Kernel, ..) => "The kernel itself takes it, or a raw socket.".to_owned(),
        (Origin::None, ..) => {
            "No socket takes it: none is there, or those that are there are bound to other devices."
                .to_owned()
        }
    }
}

/// Whether the reverse path filter drops it, as routes are now.
fn drops(cause: &CauseKind, arrived: &str) -> bool {
    match cause {
        CauseKind::StrictReversePath { routed_by, .. } => routed_by.as_deref() != Some(arrived),
        _ => false,
    }
}

/// The mend.
pub(super) fn remedy(c: &Circumstance<'_>, home: &str) -> String {
    let arrived = c.egress_interface;
    let pin = match c.origin {
        Origin::Socket if c.bound_device.is_none() => {
            format!(
                ", and bind the socket to {home} with SO_BINDTODEVICE, which then hears no other interface"
            )
        }
        Origin::Socket | Origin::Kernel | Origin::None => String::new(),
    };
    if c.source_owner.is_some() {
        let arp = c
            .causes
            .iter()
            .any(|cause| matches!(cause.kind, CauseKind::AnswersArp { .. }));
        let arp = if arp {
            format!(
                "; set net.ipv4.conf.{arrived}.arp_ignore to 1, so that {arrived} does not answer for it"
            )
        } else {
            String::new()
        };
        return format!(
            "drop on {arrived} what is for addresses that {arrived} does not have (nft: iifname {arrived} fib daddr . \
             iif type != {{ local, broadcast, multicast }} drop), or put {home} into a VRF{pin}{arp}"
        );
    }
    let is_routed_here = c
        .causes
        .iter()
        .any(|cause| matches!(cause.kind, CauseKind::Route(_)));
    if is_routed_here {
        return format!(
            "give {} a route by {home}: it is answered by {arrived}, where this host sends to it{pin}",
            c.source_address()
        );
    }
    let allow = match c.only_via {
        [] => String::new(),
        zones => format!(", or let {arrived} be of zone {}", listed(zones, "or")),
    };
    format!(
        "drop on {arrived} what comes from {} (set net.ipv4.conf.{arrived}.rp_filter to 1, or nft: iifname {arrived} fib \
         saddr . iif oif missing drop){pin}{allow}",
        c.source_address()
    )
}
