//! The remedies of packets that left where they should not.

use std::net::IpAddr;

use super::{
    dropping::dropped,
    egress,
    facts::{Reached, home_that_reaches, reached},
    home, is_owned,
};
use crate::{
    findings::{
        explain::{
            CauseKind, Home, KeepOut, Meets, NewRoute, OutOfRule, Remedy, Route, Setting,
            Translation, phrases::destination_address,
        },
        finding::Finding,
        kinds::Row,
        subject::Subject,
        ways::{ChosenBy, Reach, Way},
    },
    host::nft::Does,
};

/// The option of a program that says which address it sends from, as its documentation writes it.
const SETTINGS: [(&str, &str); 14] = [
    ("chronyd", "bindacqaddress"),
    ("curl", "--interface"),
    ("dig", "-b"),
    ("haproxy", "source"),
    ("iperf3", "--bind"),
    ("named", "query-source"),
    ("nc", "-s"),
    ("nginx", "proxy_bind"),
    ("ping", "-I"),
    ("snmpd", "clientaddr"),
    ("socat", "bind="),
    ("ssh", "BindAddress"),
    ("unbound", "outgoing-interface"),
    ("wget", "--bind-address"),
];

/// Of a packet that has another interface's address where it left: what gives it one of that interface, or leads it to the other.
pub(in crate::findings) fn away_from_source(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let source = finding.flow.map(|flow| flow.source.address);
    let ways = &finding.ways;
    let mut all = Vec::new();
    let number = || {
        source.map(|address| Remedy::Number {
            interface: egress(finding),
            address,
        })
    };
    match ways.chosen_by {
        ChosenBy::Route => {
            all.extend(source_on_route(finding));
            all.extend(number());
            return all;
        }
        ChosenBy::Kernel => {
            all.extend(number());
            return all;
        }
        ChosenBy::Before => {
            all.extend(unmarked(finding));
            all.extend(translated(finding));
            all.extend(route_of_service(finding));
            all.extend(route_home(finding, row));
            return all;
        }
        ChosenBy::Nat => {
            all.extend(translated(finding));
            all.extend(route_home(finding, row));
            return all;
        }
        ChosenBy::Program | ChosenBy::Unknown => {}
    }
    if is_owned(finding) {
        all.extend(configured(finding).map(Remedy::Configure));
    } else {
        all.extend(moved_tunnel(finding));
    }
    all.extend(route_home(finding, row));
    if is_owned(finding) {
        all.extend(run_home(finding));
        all.extend(translated(finding));
        all.extend(use_source(finding));
        all.extend(bound_home(finding, row));
    } else {
        all.push(dropped(finding, row));
    }
    all
}

/// Of what a rule keeps elsewhere: what leads it there.
pub(in crate::findings) fn where_it_belongs(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let mut all = Vec::new();
    all.extend(route_home(finding, row));
    if is_owned(finding) {
        all.extend(run_home(finding));
        all.extend(bound_home(finding, row));
    } else if all.is_empty() || has_no_way(finding) {
        all.push(dropped(finding, row));
    }
    all
}

/// A route to where it belongs, or that its destination is kept out of the rule that led elsewhere; where nothing reaches it from there,
/// that somebody has to decide. Nothing where the destination is a neighbour where it left, and belongs to no rule.
pub(in crate::findings) fn route_home(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let is_of_address = (row.home)(&finding.place).is_some();
    if is_of_address && finding.ways.is_near && has_no_way(finding) {
        return Vec::new();
    }
    let to = destination_address(finding);
    let taken = route_taken(finding);
    let table = taken.and_then(|route| {
        let is_by_rule = route.rule.is_some();
        is_by_rule.then(|| (route.table.clone(), route.table_number))
    });
    let route = |way: Option<Way>| NewRoute {
        to,
        home: home(finding, row),
        way,
        table: table.clone(),
    };
    let way = match reached(finding) {
        Reached::Unknown => return vec![Remedy::Route(route(None))],
        Reached::Nowhere if is_of_address => return Vec::new(),
        Reached::Nowhere => {
            let rule = finding.place.rule.as_ref();
            let rule = rule.and_then(|rule| rule.name.clone());
            return vec![Remedy::Decide {
                to,
                home: home(finding, row),
                allow: rule.map(|rule| (rule, egress(finding))),
            }];
        }
        Reached::By(way) => way,
    };
    let translation = keeps_foreign_source(finding, &way).then(|| Translation {
        egress: way.interface.clone(),
        ..translation(finding)
    });
    let out = taken.and_then(|route| {
        Some(Remedy::OutOfRule(OutOfRule {
            to,
            rule: route.rule.clone()?,
            priority: route.priority,
            table: way.table.filter(|&table| table != route.table_number)?,
        }))
    });
    match translation {
        Some(translation) => vec![Remedy::RouteAndTranslate(route(Some(way)), translation)],
        None => std::iter::once(Remedy::Route(route(Some(way))))
            .chain(out)
            .collect(),
    }
}

/// The same, where an interface is known where it belongs and that reaches its destination.
pub(in crate::findings) fn reached_home(finding: &Finding, row: &Row) -> Option<Vec<Remedy>> {
    matches!(reached(finding), Reached::By(_)).then(|| route_home(finding, row))
}

/// The same of what a route led elsewhere although its socket is bound: to a VRF, whose routes are asked.
pub(in crate::findings) fn routed_home(finding: &Finding, row: &Row) -> Vec<Remedy> {
    match route_taken(finding) {
        Some(_) => route_home(finding, row),
        None => Vec::new(),
    }
}

/// Whether a packet that goes where it belongs would have an address there that is not of there: the program chose it.
fn keeps_foreign_source(finding: &Finding, way: &Way) -> bool {
    let Some(flow) = finding.flow else {
        return false;
    };
    let is_chosen = finding.ways.chosen_by == ChosenBy::Program;
    let owner = finding.place.source_owner.as_deref();
    is_chosen
        && way
            .source
            .is_some_and(|source| source != flow.source.address)
        && owner.is_some_and(|owner| owner != &*way.interface)
}

/// What an unpinned socket lacks.
pub(in crate::findings) fn unpinned(finding: &Finding, row: &Row) -> Vec<Remedy> {
    if has_no_way(finding) {
        return route_home(finding, row);
    }
    let mut all = Vec::new();
    if !row.demands_device {
        all.extend(route_home(finding, row));
    }
    all.extend(run_home(finding));
    all.push(Remedy::Bind(home_that_reaches(finding, row)));
    all
}

/// Remove what takes the packets of a device to another.
pub(in crate::findings) fn unmirrored(finding: &Finding, row: &Row) -> Remedy {
    let rule = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Mirror(rule) => rule.clone(),
        _ => None,
    });
    Remedy::RemoveRedirect {
        from: home(finding, row),
        to: egress(finding),
        rule,
    }
}

/// The packets of a finding, as NAT is to change them where they left: those with the source that they had before it changed them.
pub(super) fn translation(finding: &Finding) -> Translation {
    let flow = finding.flow.map(|flow| flow.source.address);
    let mut is_changed = finding.ways.chosen_by == ChosenBy::Nat;
    let before = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Translated { source, .. } => *source,
        CauseKind::Forwarded {
            is_translated: true,
            source,
            ..
        } => {
            is_changed = true;
            *source
        }
        _ => None,
    });
    Translation {
        source: before.or(flow.filter(|_| !is_changed)),
        is_ipv6: flow.is_some_and(|flow| flow.is_ipv6()),
        egress: egress(finding),
    }
}

/// NAT, where the interface has an address that it can give.
fn translated(finding: &Finding) -> Option<Remedy> {
    let has_address = finding.ways.source.is_some();
    let is_group = destination_address(finding).is_some_and(|to| to.is_multicast());
    (has_address && !is_group).then(|| Remedy::Translate(translation(finding)))
}

/// A route for the destination that it had before NAT, such as a service's address, by the interface where it left: the kernel then chooses
/// an address of that. It is routed anew by the destination that NAT gives it (`nf_nat_ipv4_local_fn`).
fn route_of_service(finding: &Finding) -> Option<Remedy> {
    let service = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Translated {
            destination: Some(destination),
            ..
        } => Some(*destination),
        _ => None,
    })?;
    let (route, interface) = (route_taken(finding)?, egress(finding));
    let source = finding.ways.source?;
    Some(Remedy::Route(NewRoute {
        to: Some(service),
        home: Home::of(&interface),
        way: Some(Way {
            interface,
            reach: route.via.map_or(Reach::Direct, |gateway| Reach::Via {
                gateway,
                is_onlink: route.is_onlink,
            }),
            holds: true,
            source: Some(source),
            table: None,
        }),
        table: None,
    }))
}

/// The route that it took, where that is named.
fn route_taken(finding: &Finding) -> Option<&Route> {
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Route(route) => Some(route),
        _ => None,
    })
}

/// Another source on the route that gave it this one.
fn source_on_route(finding: &Finding) -> Option<Remedy> {
    let (route, source) = (route_taken(finding)?, finding.ways.source?);
    Some(Remedy::SourceOnRoute(route.clone(), source))
}

/// The rule that set its mark, where it is known. One that computes marks may set those of other packets, which need them.
fn unmarked(finding: &Finding) -> Vec<Remedy> {
    let rules = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Marked { may_set, .. } => Some(&may_set[..]),
        _ => None,
    });
    match rules {
        Some([only]) if matches!(only.does, Does::Mark(Some(_))) => {
            vec![Remedy::DeleteRule(only.clone())]
        }
        _ => Vec::new(),
    }
}

/// The program's own setting, where it is known.
pub(super) fn configured(finding: &Finding) -> Option<Setting> {
    let process = finding.process.as_ref()?;
    let (program, name) = SETTINGS.iter().find(|(name, _)| *name == process.comm)?;
    Some(Setting {
        program,
        name,
        value: finding.ways.source.filter(|_| finding.ways.is_led_there)?,
    })
}

/// Another local address for the tunnel whose outer packet it is, of the kinds that can change it.
fn moved_tunnel(finding: &Finding) -> Option<Remedy> {
    let address: IpAddr = finding.ways.source?;
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Tunnel {
            device,
            kind: Some(kind),
        } if ["vxlan", "gre", "gretap", "ipip", "sit", "vti", "erspan"].contains(&&**kind) => {
            Some(Remedy::MoveTunnel {
                device: device.clone(),
                kind: kind.clone(),
                address,
            })
        }
        _ => None,
    })
}

/// Another address by the program, where that leads where it may leave.
pub(super) fn use_source(finding: &Finding) -> Option<Remedy> {
    let ways = &finding.ways;
    let is_asked = !ways.home.is_empty() || ways.source.is_some();
    let address = ways.source.filter(|_| ways.is_led_there);
    let is_right = address.is_some() || ways.is_right_without || !is_asked;
    is_right.then(|| Remedy::UseSource {
        address,
        or_none: ways.is_right_without,
        egress: egress(finding),
    })
}

/// Whether it is known that nothing reaches the destination from where it belongs.
fn has_no_way(finding: &Finding) -> bool {
    matches!(reached(finding), Reached::Nowhere)
}

/// `pinif run`, where the interface reaches the destination.
pub(super) fn run_home(finding: &Finding) -> Option<Remedy> {
    match reached(finding) {
        Reached::By(way) if way.holds && !keeps_foreign_source(finding, &way) => {
            Some(Remedy::RunBy {
                interface: way.interface,
                meets: Meets::Nothing,
            })
        }
        _ => None,
    }
}

/// The bound device, where it reaches the destination, or nothing is known of that.
fn bound_home(finding: &Finding, row: &Row) -> Option<Remedy> {
    match reached(finding) {
        Reached::By(way) if !way.holds || keeps_foreign_source(finding, &way) => None,
        Reached::By(_) | Reached::Unknown => Some(Remedy::Bind(home_that_reaches(finding, row))),
        Reached::Nowhere => None,
    }
}

/// Keep out what the kernel answers, where that arrived by the interface that the answer left by: then there is no answer.
pub(in crate::findings) fn unasked(finding: &Finding) -> Option<Remedy> {
    let mut arrived = finding.related().iter();
    let owner = arrived.find_map(|one| {
        let is_of_nobody = matches!(one.subject.as_deref(), Some(Subject::Receiver { .. }));
        one.owner.clone().filter(|_| is_of_nobody)
    })?;
    (!is_owned(finding)).then(|| {
        Remedy::KeepOut(KeepOut::DropForeignAddresses {
            arrived: egress(finding),
            home: Home::of(&owner),
            quiet_arp: false,
        })
    })
}
