//! Which remedy a finding has. The cause decides where it is known; otherwise the kind, which gives its row.

use std::sync::Arc;

use pinif_ebpf::verdict::Kind;

use super::{CauseKind, EndSubflow, Home, NewRoute, Remedy, Then, phrases::destination_address};
use crate::findings::{
    finding::{Finding, SentBy},
    kinds::Row,
};

/// What the first cause calls for that calls for something.
pub(in crate::findings) fn by_causes(finding: &Finding, row: &Row) -> Option<Remedy> {
    let mut causes = finding.causes.iter();
    causes.find_map(|cause| by_cause(finding, row, &cause.kind))
}

/// What a cause calls for; nothing where it leaves the remedy to the kind.
fn by_cause(finding: &Finding, row: &Row, cause: &CauseKind) -> Option<Remedy> {
    let home = || home(finding, row);
    let bound = &finding.place.bound_device;
    Some(match cause {
        CauseKind::PktinfoOverride => Remedy::ClearPktinfo(home()),
        CauseKind::ScopeOverride => Remedy::SetScope {
            home: home(),
            is_bound: bound.is_some(),
        },
        CauseKind::PacketSocket => Remedy::SetLinkIndex(home()),
        CauseKind::LinkDown(link) => restored(finding, row, link, false),
        CauseKind::LinkGone(link) => restored(finding, row, link, true),
        CauseKind::Route(_) | CauseKind::NoRoute(_) => return rerouted(finding, row),
        CauseKind::VrfMiss { vrf, table, .. } => Remedy::RouteInVrf {
            to: destination_address(finding),
            vrf: vrf.clone(),
            table: table.clone(),
        },
        CauseKind::Named { how, .. } if is_owned(finding) && bound.is_none() => {
            Remedy::BindAndNameNoOther(home(), how)
        }
        CauseKind::Named { .. } => Remedy::Route(route(finding, row)),
        CauseKind::Subflow(by) => Remedy::EndSubflow(EndSubflow {
            by: by.clone(),
            home: home(),
        }),
        CauseKind::GroupJoin { .. } => Remedy::JoinThere(home()),
        CauseKind::Rebound { .. } => Remedy::BindOnce(home()),
        CauseKind::BindRefused { device, error } => Remedy::AskWhyRefused {
            device: device.clone(),
            error,
        },
        CauseKind::AddressForDevice(address) => Remedy::NameDevice(home(), *address),
        CauseKind::NeverPinned => Remedy::Bind(home()),
        CauseKind::Mirror => unmirrored(finding, row),
        CauseKind::Forwarded {
            is_translated: true,
            ..
        } if finding.kind == Kind::AddressEscape => {
            Remedy::Retranslate(egress(finding), route(finding, row))
        }
        CauseKind::Forwarded { .. } => Remedy::DropForwarded(egress(finding), route(finding, row)),
        CauseKind::Kernel(_) => Remedy::RouteForKernel(route(finding, row)),
        CauseKind::QdiscBypass => Remedy::EndBypass(finding.place.interface.clone()),
        CauseKind::Xdp => Remedy::EndXdpSocket,
        CauseKind::NotAttached { .. } => Remedy::Attach,
        CauseKind::Removed(_) => Remedy::KeepAttached,
        CauseKind::Ahead(_) => Remedy::Reorder,
        CauseKind::XdpProgram(_) => Remedy::AuditXdpTargets,
        CauseKind::Pktgen => Remedy::EndPktgen,
        CauseKind::Netconsole => Remedy::EndNetconsole,
        CauseKind::NotLookedFor { .. } => Remedy::Permit,
        CauseKind::Bound(_)
        | CauseKind::Crossed { .. }
        | CauseKind::WeakHost { .. }
        | CauseKind::AsymmetricRoute
        | CauseKind::NoReversePath { .. }
        | CauseKind::StrictReversePath { .. }
        | CauseKind::AnswersArp { .. }
        | CauseKind::Unknown => return None,
    })
}

/// A link that should have carried it must come back; a pinned socket would not have left.
fn restored(finding: &Finding, row: &Row, link: &str, is_gone: bool) -> Remedy {
    let then = match (is_owned(finding), finding.dropped) {
        (false, true) => Then::Nothing,
        (false, false) => Then::DropAt(egress(finding)),
        (true, _) => Then::Bind(home(finding, row)),
    };
    Remedy::Restore {
        link: link.to_owned(),
        is_gone,
        then,
    }
}

/// A route misleads only what is not bound to a device; where a bound device is demanded, only binding will do.
fn rerouted(finding: &Finding, row: &Row) -> Option<Remedy> {
    let is_bound = finding.place.bound_device.is_some();
    match (row.demands_device, is_owned(finding)) {
        (true, _) => Some(Remedy::Bind(home(finding, row))),
        (false, false) => Some(Remedy::Route(route(finding, row))),
        (false, true) => (!is_bound).then(|| bind_or_route(finding, row)),
    }
}

/// Whether there is a process that could bind its socket.
pub(in crate::findings) fn is_owned(finding: &Finding) -> bool {
    match finding.origin {
        SentBy::Socket => true,
        SentBy::Kernel | SentBy::None => false,
    }
}

/// Bind the socket, or give its destination another route.
pub(in crate::findings) fn bind_or_route(finding: &Finding, row: &Row) -> Remedy {
    Remedy::BindOrRoute(home(finding, row), route(finding, row))
}

/// Another route; where a rule chose the table, the rule is the other way to fix it.
pub(in crate::findings) fn route(finding: &Finding, row: &Row) -> NewRoute {
    let by_rule = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Route(route) => Some((route.rule.clone()?, route.table.clone())),
        _ => None,
    });
    NewRoute {
        to: destination_address(finding),
        home: home(finding, row),
        by_rule,
    }
}

/// Remove what takes the packets of a device to another.
pub(in crate::findings) fn unmirrored(finding: &Finding, row: &Row) -> Remedy {
    Remedy::RemoveRedirect {
        from: home(finding, row),
        to: egress(finding),
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

/// Where it left, or arrived.
pub(in crate::findings) fn egress(finding: &Finding) -> Arc<str> {
    match &finding.place.interface {
        Some(interface) => Arc::clone(interface),
        None => finding.egress_interface().into(),
    }
}
