//! What a finding says of where its traffic belongs.

use std::sync::Arc;

use crate::findings::{
    explain::Home,
    finding::{Finding, SentBy},
    kinds::Row,
    ways::{Reach, Way},
};

/// Whether there is a process that could bind its socket.
pub(in crate::findings) fn is_owned(finding: &Finding) -> bool {
    match finding.origin {
        SentBy::Socket => true,
        SentBy::Kernel | SentBy::None => false,
    }
}

/// Where the traffic belongs: what the kind says, or else what the rule allows.
pub(in crate::findings) fn home(finding: &Finding, row: &Row) -> Home {
    if let Some(own) = (row.home)(&finding.place) {
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
    let home = &finding.ways.home;
    let direct = home.iter().find(|way| way.reach == Reach::Direct);
    let any = direct.or_else(|| home.iter().find(|way| way.reach != Reach::Nowhere));
    match any {
        Some(way) => Reached::By(way.clone()),
        None if home.is_empty() => Reached::Unknown,
        None => Reached::Nowhere,
    }
}

/// Whether a socket leaves by the interface where it belongs once it is bound to that, as far as is known.
pub(in crate::findings) fn holds_when_bound(finding: &Finding) -> bool {
    !matches!(reached(finding), Reached::By(way) if !way.holds)
}

/// The interfaces where it belongs and that reach its destination; all of them where that is not known.
pub(super) fn home_that_reaches(finding: &Finding, row: &Row) -> Home {
    match reached(finding) {
        Reached::By(way) => Home::of(&way.interface),
        Reached::Unknown | Reached::Nowhere => home(finding, row),
    }
}

/// Where it left, or arrived.
pub(in crate::findings) fn egress(finding: &Finding) -> Arc<str> {
    match &finding.place.interface {
        Some(interface) => Arc::clone(interface),
        None => finding.egress_interface().into(),
    }
}
