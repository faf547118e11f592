//! The remedies of packets that left where they should not.

use pinif_ebpf::verdict::Kind;

use super::{
    binding::{bound_as_a_whole, bound_home, named_no_other, run_home, unpinned},
    dropping::dropped,
    egress,
    encapsulation::is_led_by_header,
    facts::{demands_device, has_no_way},
    home, is_owned,
    routes::{instead_of, moved_tunnel, route_home, translation, undecided},
};
use crate::{
    findings::{
        explain::{
            CauseKind, Home, KeepOut, Remedy, Setting,
            phrases::{destination_address, packet_info},
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
    if is_owned(finding) && demands_device(finding, row) {
        return bound_as_a_whole(finding, row);
    }
    let mut all = Vec::new();
    let number = || {
        source.map(|address| Remedy::Number {
            interface: egress(finding),
            has_another: ways.source.is_some(),
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
            return or_answered(all, finding, row);
        }
        ChosenBy::Nat => {
            all.extend(translated(finding));
            all.extend(route_home(finding, row));
            return or_answered(all, finding, row);
        }
        ChosenBy::Asked | ChosenBy::Program | ChosenBy::Unknown
            if is_owned(finding) && ways.is_reply =>
        {
            return answered_there(finding, row);
        }
        ChosenBy::Program | ChosenBy::Unknown | ChosenBy::Asked | ChosenBy::Tunnel => {}
    }
    if is_owned(finding) {
        all.extend(configured(finding).map(Remedy::Configure));
    } else {
        all.extend(moved_tunnel(finding, finding.ways.source).map(Remedy::MoveTunnel));
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

/// These; where there is none of an answer, which NAT does not change, what else there is for it.
fn or_answered(all: Vec<Remedy>, finding: &Finding, row: &Row) -> Vec<Remedy> {
    match (&all[..], finding.ways.is_reply) {
        ([], true) if is_owned(finding) => answered_there(finding, row),
        ([], true) => vec![dropped(finding, row)],
        _ => all,
    }
}

/// Of what a rule keeps elsewhere: what leads it there.
pub(in crate::findings) fn where_it_belongs(finding: &Finding, row: &Row) -> Vec<Remedy> {
    if is_owned(finding) && demands_device(finding, row) {
        return unpinned(finding, row);
    }
    let mut all = Vec::new();
    all.extend(route_home(finding, row));
    if is_owned(finding) {
        all.extend(run_home(finding));
        all.extend(bound_home(finding, row));
        all.extend(named_no_other(finding));
        if finding.ways.is_reply && all.is_empty() {
            // It has an address of elsewhere, and would be an answer with no other.
            all.push(dropped(finding, row));
            all.extend(allowed(finding));
        }
    } else if all.is_empty() || has_no_way(finding) {
        let is_answer = finding.ways.is_reply && all.is_empty();
        all.push(dropped(finding, row));
        all.extend(allowed(finding).filter(|_| is_answer));
    }
    all
}

/// Of a server's answer, which has the address that was asked: it is led there by a route, or by what binds it to where it was asked.
/// Another address, chosen by the program or by NAT, would be no answer.
fn answered_there(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let home = home(finding, row);
    if has_no_way(finding) {
        return vec![undecided(finding, row, None)];
    }
    let mut all = route_home(finding, row);
    if finding.also.contains(Kind::ReplyEscape) {
        all.push(Remedy::AnswerThere(home, packet_info(finding)));
    } else if finding.bound_address == finding.flow.map(|flow| flow.source.address) {
        // A listener that is bound to the address serves there alone: the device takes nothing from it.
        all.extend(run_home(finding));
        all.extend(bound_home(finding, row));
    }
    all
}

/// That the rule allows what is asked for there. An address that is wrong there, no rule makes right.
fn allowed(finding: &Finding) -> Option<Remedy> {
    let rule = finding.place.rule.as_ref()?.name.clone()?;
    (finding.kind != Kind::AddressEscape).then(|| Remedy::Allow {
        rule,
        egress: egress(finding),
        bound: None,
    })
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

/// NAT, where the interface has an address that it can give, and the packet is none that NAT leaves as it is.
fn translated(finding: &Finding) -> Option<Remedy> {
    let has_address = finding.ways.source.is_some() && !finding.ways.is_reply;
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
    let (route, interface) = (finding.route_taken()?, egress(finding));
    let source = finding.ways.source?;
    let home = Home::of(&interface);
    let way = Way {
        interface,
        reach: route.via.map_or(Reach::Direct, |gateway| Reach::Via {
            gateway,
            is_onlink: route.is_onlink,
        }),
        silent: None,
        holds: true,
        is_for_unbound: false,
        source: Some(source),
        network: route.prefix,
        instead: Vec::new(),
        table: None,
    };
    let to = vec![service.into()];
    Some(Remedy::Route(instead_of(None, to, home, Some(way))))
}

/// Another source on the route that gave it this one.
fn source_on_route(finding: &Finding) -> Option<Remedy> {
    let (route, source) = (finding.route_taken()?, finding.ways.source?);
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

/// Another address by the program, where that leads where it may leave.
pub(super) fn use_source(finding: &Finding) -> Option<Remedy> {
    let ways = &finding.ways;
    let is_asked = !ways.home.is_empty() || ways.source.is_some();
    // What a header leads elsewhere gets its source from the route of its own destination.
    let or_none = ways.is_right_without && !is_led_by_header(finding);
    let address = ways.source.filter(|_| ways.is_led_there);
    let is_right = address.is_some() || or_none || !is_asked;
    is_right.then(|| Remedy::UseSource {
        address,
        or_none,
        packet_info: packet_info(finding),
        in_header: ways.writes_header,
        egress: egress(finding),
    })
}

/// Keep out what the kernel answers, where that arrived by the interface that the answer left by: then there is no answer.
pub(in crate::findings) fn unasked(finding: &Finding) -> Vec<Remedy> {
    let mut arrived = finding.related().iter();
    let owner = arrived.find_map(|one| {
        let is_of_nobody = matches!(one.subject.as_deref(), Some(Subject::Receiver { .. }));
        one.owner.clone().filter(|_| is_of_nobody)
    });
    let Some(owner) = owner.filter(|_| !is_owned(finding)) else {
        return Vec::new();
    };
    let drop = KeepOut::DropForeignAddresses {
        arrived: egress(finding),
        quiet_arp: false,
    };
    vec![
        Remedy::Enforce {
            arrived: egress(finding),
            alerts: None,
        },
        // Without its answer, what arrived is a finding still.
        Remedy::KeepOutUnseen(drop),
        Remedy::KeepOut(KeepOut::IntoVrf(Home::of(&owner))),
    ]
}
