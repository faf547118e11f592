//! What a finding says of where its traffic belongs.

use std::{net::IpAddr, sync::Arc};

use pinif_ebpf::verdict::Kind;

use super::encapsulation::is_led_by_header;
use crate::findings::{
    explain::{Cause, CauseKind, Home, naming, phrases::packet_info},
    finding::{Finding, SentBy},
    kinds::Row,
    ways::{ChosenBy, Reach, Way},
};
use crate::host::neighbours::Unanswered;

/// Whether there is a process that could bind its socket.
pub(in crate::findings) fn is_owned(finding: &Finding) -> bool {
    match finding.origin {
        SentBy::Socket => true,
        SentBy::Kernel | SentBy::None => false,
    }
}

/// Whether a rule that its packets break says where they belong, beside the kind.
pub(in crate::findings) fn breaks_rule(finding: &Finding) -> bool {
    finding.also.contains(Kind::PolicyEscape)
}

/// Whether its address alone says where its packets belong.
pub(super) fn is_of_address(finding: &Finding) -> bool {
    finding.kind == Kind::AddressEscape && !breaks_rule(finding)
}

/// Whether nothing but a bound device fixes it: its rule demands one.
pub(super) fn demands_device(finding: &Finding, row: &Row) -> bool {
    row.demands_device || finding.also.contains(Kind::Unpinned)
}

/// Where the traffic belongs by its kind, whatever its rule says ([`Row::own_home`]).
pub(super) fn own_home<'a>(finding: &'a Finding, row: &Row) -> Option<&'a Arc<str>> {
    row.own_home(&finding.place, finding.also)
}

/// Where the traffic belongs: what the kind says, or else what the rule allows.
pub(in crate::findings) fn home(finding: &Finding, row: &Row) -> Home {
    if let Some(own) = own_home(finding, row) {
        return Home::of(own);
    }
    let Some(rule) = &finding.place.rule else {
        return Home::Unknown;
    };
    match (&rule.interfaces[..], &rule.only_via[..]) {
        ([], []) => Home::Unknown,
        ([], zones) => Home::Zones(zones.to_vec()),
        (interfaces, _) => Home::Interfaces(interfaces.to_vec()),
    }
}

/// Whether it is known how the interfaces where it belongs reach its destination, and the first that does.
pub(super) enum Reached {
    /// It was not asked.
    Unknown,
    /// None does.
    Nowhere,
    /// This one does.
    By(Way),
}

/// The first interface where it belongs that reaches its destination: a neighbour's own link before a router.
pub(super) fn reached(finding: &Finding) -> Reached {
    match first(finding, false) {
        Some(way) => Reached::By(way),
        None if finding.ways.home.is_empty() => Reached::Unknown,
        None => match hop_home(finding) {
            Some(way) => Reached::By(way),
            None => Reached::Nowhere,
        },
    }
}

/// The same of an interface where only what is bound to nothing is led: a route is put right, and nothing is bound.
pub(super) fn reached_unbound(finding: &Finding) -> Option<Way> {
    first(finding, true).filter(|_| finding.route_taken().is_some())
}

fn first(finding: &Finding, is_for_unbound: bool) -> Option<Way> {
    // A neighbour where it left is no business of another link's router, whatever address it was sent from.
    let is_right_there = is_of_address(finding) && finding.ways.is_near;
    let ways = finding.ways.home.iter();
    let ways = ways.filter(|way| way.is_for_unbound == is_for_unbound);
    Way::first(ways, !is_right_there).cloned()
}

/// The next hop where it belongs, of several that the route has which was taken: the kernel leads nothing by it while its link carries
/// nothing.
fn hop_home(finding: &Finding) -> Option<Way> {
    let route = finding.route_taken()?;
    let home = finding.ways.home.iter();
    let mut home = home.filter(|way| !way.is_for_unbound);
    home.find_map(|way| {
        let hop = route.hop_by(&way.interface)?;
        Some(Way {
            reach: hop.via.map_or(Reach::Direct, |gateway| Reach::Via {
                gateway,
                is_onlink: hop.is_onlink,
            }),
            silent: None,
            holds: true,
            network: route.prefix,
            instead: Vec::new(),
            ..way.clone()
        })
    })
}

/// The router that does not answer by which remedies lead its traffic, with the interface where it is and its state; none where each answers.
pub(in crate::findings) fn silent_router(
    finding: &Finding,
) -> Option<(IpAddr, Arc<str>, Unanswered)> {
    let way = match reached(finding) {
        Reached::By(way) => Some(way),
        Reached::Unknown | Reached::Nowhere => reached_unbound(finding),
    };
    let others = finding.ways.others.iter();
    let others = others.filter_map(|other| other.way.as_ref());
    way.iter()
        .chain(others)
        .find_map(|way| match (way.reach, way.silent) {
            (Reach::Via { gateway, .. }, Some(state)) => {
                Some((gateway, Arc::clone(&way.interface), state))
            }
            _ => None,
        })
}

/// Whether it is known that nothing reaches the destination from where it belongs.
pub(in crate::findings) fn has_no_way(finding: &Finding) -> bool {
    matches!(reached(finding), Reached::Nowhere)
}

/// Whether a packet that goes where it belongs would have an address there that is not of there: no route chose it.
pub(super) fn keeps_foreign_source(finding: &Finding, way: &Way) -> bool {
    let is_chosen = matches!(
        finding.ways.chosen_by,
        ChosenBy::Program | ChosenBy::Tunnel | ChosenBy::Asked
    ) || finding.ways.may_be_named;
    is_chosen && is_foreign(finding, way)
}

/// The same of a packet that a route is to lead there. What NAT gives another destination, or another rule a mark, is routed anew by that, with
/// the source that the kernel chose before (`nf_nat_ipv4_local_fn`, `nf_route_table_hook4`): a socket that is bound gets its source by its device,
/// and keeps none.
pub(super) fn keeps_source_on_route(finding: &Finding, way: &Way) -> bool {
    let is_changed = |cause: &Cause| match &cause.kind {
        CauseKind::Translated {
            source,
            destination,
        } => source.is_none() && destination.is_some(),
        CauseKind::Marked { may_set, .. } => !may_set.is_empty(),
        _ => false,
    };
    let is_before = is_owned(finding) && finding.causes.iter().any(is_changed);
    let is_given = is_before || is_led_by_header(finding);
    keeps_foreign_source(finding, way) || is_given && is_foreign(finding, way)
}

/// Whether it has an address that is not of there.
fn is_foreign(finding: &Finding, way: &Way) -> bool {
    let source = finding.flow.map(|flow| flow.source.address);
    let owner = finding.place.source_owner.as_deref();
    let is_other = way.source.zip(source).is_some_and(|(own, its)| own != its);
    is_other && owner.is_some_and(|owner| owner != &*way.interface)
}

/// Whether a socket leaves by the interface where it belongs once it is bound to that, as far as is known.
pub(super) fn holds_when_bound(finding: &Finding) -> bool {
    !matches!(reached(finding), Reached::By(way) if !way.holds)
}

/// The interfaces where it belongs and that reach its destination; all of them where that is not known.
pub(super) fn home_that_reaches(finding: &Finding, row: &Row) -> Home {
    match reached(finding) {
        Reached::By(way) => Home::of(&way.interface),
        Reached::Unknown | Reached::Nowhere => home(finding, row),
    }
}

/// The options by which its program may have named the interface ([`Finding::may_be_named`]).
pub(super) fn may_be_named(finding: &Finding) -> Option<&'static str> {
    let to = finding.flow?.destination.address;
    finding
        .may_be_named()
        .then(|| naming(to, packet_info(finding)))
}

/// Where it left, or arrived.
pub(in crate::findings) fn egress(finding: &Finding) -> Arc<str> {
    match &finding.place.interface {
        Some(interface) => Arc::clone(interface),
        None => finding.egress_interface().into(),
    }
}
