//! The remedies of packets whose interface was chosen otherwise than by a route: by the program, or by the kernel for it.

use std::net::IpAddr;

use super::{
    binding,
    dropping::dropped,
    facts::{Reached, has_no_way, holds_when_bound, home, home_that_reaches, is_owned, reached},
    leaving::{configured, use_source},
    routes::route_home,
};
use crate::findings::{
    explain::{
        CauseKind, EndSubflow, Home, Meets, Remedy, Setting, SubflowBy,
        phrases::{destination_address, packet_info},
    },
    finding::Finding,
    kinds::Row,
};

/// Of a program that names the interface with its packets; nothing where none reaches the destination from where they belong.
pub(super) fn named(finding: &Finding, row: &Row, how: &'static str) -> Option<Vec<Remedy>> {
    if !is_owned(finding) {
        return Some(route_home(finding, row));
    }
    if has_no_way(finding) {
        return None;
    }
    let home = home_that_reaches(finding, row);
    let mut all = Vec::new();
    if let Reached::By(way) = reached(finding)
        && way.holds
    {
        all.push(binding::held_to(finding, way.interface, Meets::of(how)));
    } else {
        all.extend(route_home(finding, row));
    }
    all.push(Remedy::BindAndNameNoOther(home, how));
    Some(all)
}

/// Of a group whose interface the program's address chose: an address of where it belongs chooses that.
pub(super) fn picked(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let Reached::By(way) = reached(finding) else {
        return use_source(finding).into_iter().collect();
    };
    if let Some(both) = binding::picked(finding, row, &way) {
        return vec![both];
    }
    let setting = configured(finding).zip(way.source);
    let setting = setting.map(|(setting, value)| Setting { value, ..setting });
    let other = Remedy::UseSource {
        address: way.source,
        or_none: finding.ways.is_right_without,
        packet_info: packet_info(finding),
        in_header: finding.ways.writes_header,
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

/// Of a device that the program is to be given by its name; nothing where none reaches the destination from where it belongs.
pub(super) fn device_named(finding: &Finding, row: &Row, address: IpAddr) -> Option<Vec<Remedy>> {
    let home = home_that_reaches(finding, row);
    let reaches = holds_when_bound(finding) && !has_no_way(finding);
    reaches.then(|| vec![Remedy::NameDevice(home, address)])
}

/// Of what the kernel sends on each link, whatever the routes are: the rule is too wide, or it is not to be sent there.
pub(super) fn on_link(finding: &Finding, row: &Row, what: &'static str) -> Vec<Remedy> {
    let to = destination_address(finding);
    let rule = finding.place.rule.as_ref();
    let rule = rule.and_then(|rule| rule.name.clone());
    let except = to
        .zip(rule)
        .map(|(to, rule)| Remedy::Except { what, to, rule });
    except.into_iter().chain([dropped(finding, row)]).collect()
}

/// Of what the kernel reports for a program that joined a group. Some groups of IPv6 it joins itself, for each address that it has.
pub(super) fn joined(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let groups = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Groups { groups, .. } => Some(groups.clone()),
        _ => None,
    });
    let is_ipv6 = destination_address(finding).is_some_and(|to| to.is_ipv6());
    if groups.is_none() && is_ipv6 {
        return on_link(finding, row, "reports of groups");
    }
    let home = home(finding, row);
    let first = match &home {
        Home::Interfaces(names) => names.first().cloned(),
        Home::Zones(_) | Home::Unknown => None,
    };
    let route = first.map(|interface| Remedy::JoinByRoute {
        groups: groups.unwrap_or_default(),
        interface,
    });
    let there = joined_there(finding, home);
    route.into_iter().chain([there]).collect()
}

/// Where the program names the interface with the group that it joins.
pub(super) fn joined_there(finding: &Finding, home: Home) -> Remedy {
    Remedy::JoinThere {
        home,
        is_ipv6: destination_address(finding).is_some_and(|to| to.is_ipv6()),
    }
}
