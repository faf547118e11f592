//! The remedies of packets whose interface was chosen otherwise than by a route: by the program, or by the kernel for it.

use super::{
    facts::{Reached, home, home_that_reaches, is_owned, reached},
    leaving::{configured, route_home, run_home, use_source},
};
use crate::findings::{
    explain::{CauseKind, EndSubflow, Home, Meets, Remedy, Setting, SubflowBy},
    finding::Finding,
    kinds::Row,
};

/// Of a program that names the interface with its packets.
pub(super) fn named(finding: &Finding, row: &Row, how: &'static str) -> Vec<Remedy> {
    if !is_owned(finding) {
        return route_home(finding, row);
    }
    let home = home_that_reaches(finding, row);
    let mut all = Vec::new();
    if let Reached::By(way) = reached(finding)
        && way.holds
    {
        all.push(Remedy::RunBy {
            interface: way.interface,
            meets: Meets::Dropped,
        });
    } else {
        all.extend(route_home(finding, row));
    }
    all.push(Remedy::BindAndNameNoOther(home, how));
    all
}

/// Of a group whose interface the program's address chose: an address of where it belongs chooses that.
pub(super) fn picked(finding: &Finding) -> Vec<Remedy> {
    let Reached::By(way) = reached(finding) else {
        return use_source(finding).into_iter().collect();
    };
    let setting = configured(finding).zip(way.source);
    let setting = setting.map(|(setting, value)| Setting { value, ..setting });
    let other = Remedy::UseSource {
        address: way.source,
        or_none: finding.ways.is_right_without,
        egress: way.interface,
    };
    let setting = setting.map(Remedy::Configure);
    setting.into_iter().chain([other]).collect()
}

/// Of a subflow that the path manager made: it makes none, or, to an address that the peer announced, by a route to that.
pub(super) fn subflow(finding: &Finding, row: &Row, by: &SubflowBy) -> Vec<Remedy> {
    let end = Remedy::EndSubflow(EndSubflow {
        by: by.clone(),
        home: home(finding, row),
    });
    let is_announced = matches!(by, SubflowBy::Announced(_));
    let is_reached = matches!(reached(finding), Reached::By(_));
    let route = (is_announced && is_reached).then(|| route_home(finding, row));
    std::iter::once(end)
        .chain(route.into_iter().flatten())
        .collect()
}

/// Of what the kernel reports for a program that joined a group.
pub(super) fn joined(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let groups = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Groups { groups, .. } => Some(groups.clone()),
        _ => None,
    });
    let home = home(finding, row);
    let first = match &home {
        Home::Interfaces(names) => names.first().cloned(),
        Home::Zones(_) | Home::Unknown => None,
    };
    let route = first.map(|interface| Remedy::JoinByRoute {
        groups: groups.unwrap_or_default(),
        interface,
    });
    route.into_iter().chain([Remedy::JoinThere(home)]).collect()
}

/// Of a socket that was bound to another device before.
pub(super) fn bound_once(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let run = run_home(finding).map(|run| match run {
        Remedy::RunBy { interface, .. } => Remedy::RunBy {
            interface,
            meets: Meets::Refused,
        },
        other => other,
    });
    let mut all: Vec<Remedy> = run.into_iter().collect();
    all.push(Remedy::BindOnce(home_that_reaches(finding, row)));
    all
}
