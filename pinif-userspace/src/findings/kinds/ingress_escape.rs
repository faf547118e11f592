//! `ingress-escape`: traffic of a contained zone arrived on an interface outside it.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use pinif_ebpf::key::IfIndex;

use super::{Row, headline, row};
use crate::{
    findings::{
        cause::{described, is_neighbour, leads_out},
        decode::Sighted,
        explain::{
            Cause, CauseKind, KeepOut, Remedy, choice,
            phrases::{allowed, process, rule_text, source_address, source_endpoint, traffic},
        },
        finding::{Finding, SentBy},
        scene::{LookUp, Scene},
    },
    host::{
        entrance::{Entrance, ReversePath},
        routes::RouteQuery,
    },
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: false,
    does: "arrived on",
    fate: "arrived",
    page: include_str!("../../../kinds/ingress-escape.md"),
    sender: headline::sender,
    what: |finding| format!("packets from {}", source_address(finding)),
    foreseen: row::nothing,
    causes,
    home: row::source_owner,
    explanation,
    remedies,
};

/// What let it in, as far as this machine's settings do.
fn causes(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    let Some(headers) = sighted.headers else {
        return Vec::new();
    };
    let mut causes = Vec::new();
    let arrived = (scene.name)(sighted.egress);
    match sighted.source_owner {
        Some(owner) => causes.push(Cause::certain(CauseKind::WeakHost {
            owner: (scene.name)(owner),
        })),
        None => causes.push(route_back(sighted, headers.source, scene, look_up)),
    }
    // IPv6 has neither setting.
    let (IpAddr::V4(_), Some(entrance)) = (headers.source, (scene.entrance)(&arrived)) else {
        return causes;
    };
    let kind = match entrance.reverse_path {
        ReversePath::Off => CauseKind::NoReversePath {
            interface: arrived.clone(),
            loose: false,
        },
        ReversePath::Loose => CauseKind::NoReversePath {
            interface: arrived.clone(),
            loose: true,
        },
        ReversePath::Strict => {
            let route = look_up(&RouteQuery {
                mark: sighted.mark,
                ..RouteQuery::to(headers.source)
            });
            CauseKind::StrictReversePath {
                interface: arrived.clone(),
                source: headers.source,
                routed_by: route
                    .ok()
                    .and_then(|choice| choice.route.output)
                    .map(scene.name),
            }
        }
    };
    causes.push(Cause::certain(kind));
    let answers = |owner| answers_neighbours(scene, sighted, owner, entrance);
    if sighted.source_owner.is_some_and(answers) {
        causes.push(Cause::certain(CauseKind::AnswersArp {
            interface: arrived,
            address: headers.destination,
        }));
    }
    causes
}

/// Why it arrived here: the host itself sends to its source via this interface, or somebody outside chose it.
fn route_back(
    sighted: &Sighted,
    source: IpAddr,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Cause {
    match look_up(&RouteQuery::to(source)) {
        Ok(choice) if leads_out(&choice, sighted.egress) => {
            Cause::certain(CauseKind::Route(described(&choice, sighted.egress, scene)))
        }
        _ => Cause::likely(CauseKind::AsymmetricRoute),
    }
}

/// Whether the sender is a neighbour on the interface, which an ARP reply may have led here; or one on the interface that has the address, where
/// both are in one network.
fn answers_neighbours(
    scene: &Scene<'_>,
    sighted: &Sighted,
    owner: IfIndex,
    entrance: Entrance,
) -> bool {
    let is_near = sighted.headers.is_some_and(|headers| {
        let is_near = |interface| is_neighbour(scene, interface, headers.source);
        is_near(sighted.egress) || is_near(owner)
    });
    is_near && entrance.answers_arp_for_all
}

fn explanation(finding: &Finding) -> String {
    let place = &finding.place;
    let arrived = finding.egress_interface();
    let source = source_endpoint(finding);
    let packet = format!("{} from {source}", head(traffic(finding), finding));
    let mut text = match (&place.source_owner, &place.rule) {
        (Some(owner), rule) => {
            let destination = destination(finding);
            let mut text = format!(
                "{packet} arrived on {arrived}, but {destination} is an address of {owner} alone",
            );
            if let Some(zone) = &place.contained_zone {
                text.push_str(&format!(
                    ", and zone {zone}, which holds {owner}, is contained"
                ));
            }
            text.push('.');
            if rule.as_ref().is_some_and(|rule| rule.name.is_some()) {
                let rule = rule_text(finding);
                text.push_str(&format!(
                    " {rule} keeps what would answer it to {} as well.",
                    allowed(finding)
                ));
            }
            text
        }
        (None, Some(_)) => format!(
            "{} lets what goes to {} leave via {} only, but {} from {source} arrived on {arrived}.",
            rule_text(finding),
            source_address(finding),
            allowed(finding),
            traffic(finding)
        ),
        (None, None) => format!(
            "{packet} arrived on {arrived}, but belongs to {}.",
            place
                .contained_zone
                .as_ref()
                .map_or("a contained zone".to_owned(), |zone| format!(
                    "the contained zone {zone}"
                ))
        ),
    };
    text.push(' ');
    text.push_str(&receiver(finding));
    text
}

fn destination(finding: &Finding) -> String {
    let flow = finding.flow;
    flow.map_or_else(String::new, |flow| flow.destination.address.to_string())
}

/// What stands between TC ingress, where it was seen, and its receiver.
const UNLESS: &str = ", unless netfilter or XFRM drops it first";

/// Who receives it, as far as sockets show: netfilter is not asked.
fn receiver(finding: &Finding) -> String {
    let arrived = finding.egress_interface();
    if finding
        .causes
        .iter()
        .any(|cause| drops(&cause.kind, arrived))
    {
        let drops = if finding.dropped {
            "would drop"
        } else {
            "drops"
        };
        return format!(
            "rp_filter, strict on {arrived}, {drops} this packet as routes are now, but none whose source is routed via \
             {arrived}."
        );
    }
    // It was dropped before any of these could.
    let (receives, unless) = if finding.dropped {
        ("would have received it", "")
    } else {
        ("receives it", UNLESS)
    };
    match (finding.origin, process(finding), finding.bound_device()) {
        (SentBy::Socket, Some(process), Some(bound)) => {
            format!("{process}'s socket, bound to {bound}, {receives}{unless}.")
        }
        (SentBy::Socket, Some(process), None) => {
            format!("{process}'s socket, bound to no device, {receives}{unless}.")
        }
        (SentBy::Socket, None, _) => format!("A socket of no known process {receives}{unless}."),
        (SentBy::Kernel, ..) => format!("The kernel itself {receives}, or a raw socket{unless}."),
        (SentBy::None, ..) => {
            "No socket receives it: none is there, or those that are there are bound to other devices."
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

/// Whatever else may be true, what arrived must be kept out.
fn remedies(finding: &Finding) -> Vec<Remedy> {
    let arrived = choice::egress(finding);
    let source = finding.flow.map(|flow| flow.source.address);
    let has =
        |wanted: fn(&CauseKind) -> bool| finding.causes.iter().any(|cause| wanted(&cause.kind));
    if finding.place.source_owner.is_some() {
        let into_vrf = Remedy::KeepOut(KeepOut::IntoVrf(choice::home(finding, &ROW)));
        let quiet_arp = has(|cause| matches!(cause, CauseKind::AnswersArp { .. }));
        if finding.dropped {
            let quiet = quiet_arp.then_some(Remedy::KeepOut(KeepOut::QuietArp { arrived }));
            return ended(quiet, [into_vrf]);
        }
        let drop = KeepOut::DropForeignAddresses { arrived, quiet_arp };
        return keeping_out(finding, drop, [into_vrf]);
    }
    let zones = finding.place.rule.as_ref();
    let zones = zones.map_or_else(Vec::new, |rule| rule.only_via.clone());
    let of_zone = (!zones.is_empty()).then(|| {
        Remedy::KeepOut(KeepOut::OfZone {
            arrived: Arc::clone(&arrived),
            zones,
        })
    });
    if finding.dropped {
        return ended(None, of_zone);
    }
    let local = finding
        .flow
        .map(|flow| (flow.destination.address, flow.protocol));
    let drop = if has(|cause| matches!(cause, CauseKind::Route(_))) {
        KeepOut::DropSource {
            source: finding.ways.network.or(source.map(IpNet::from)),
            local,
            arrived,
        }
    } else {
        KeepOut::DropForeignSources {
            source,
            local,
            arrived,
        }
    };
    keeping_out(finding, drop, of_zone)
}

/// What is dropped on the interface already: netfilter would drop it later, and end nothing.
fn ended(before: Option<Remedy>, others: impl IntoIterator<Item = Remedy>) -> Vec<Remedy> {
    let before = before.into_iter().chain([Remedy::EndAtSender]);
    before.chain(others).collect()
}

/// By netfilter, or by pinif itself. That goes first where a drop by netfilter would not end the finding, or would hit others as well.
fn keeping_out(
    finding: &Finding,
    drop: KeepOut,
    others: impl IntoIterator<Item = Remedy>,
) -> Vec<Remedy> {
    let hits_others = matches!(drop, KeepOut::DropForeignSources { .. });
    // For the sake of its zone, it is dropped whatever the rule says.
    let rule = finding.place.rule.as_ref();
    let alerts = rule.filter(|rule| rule.alerts && finding.place.source_owner.is_none());
    let enforce = Remedy::Enforce {
        arrived: choice::egress(finding),
        alerts: alerts.and_then(|rule| rule.name.clone()),
    };
    let drop = dropping(finding, drop);
    let both = if hits_others || matches!(drop, Remedy::KeepOutUnseen(_)) {
        [enforce, drop]
    } else {
        [drop, enforce]
    };
    both.into_iter().chain(others).collect()
}

/// Whether that ends the finding: of what a program receives, the hook at the socket says so.
fn dropping(finding: &Finding, drop: KeepOut) -> Remedy {
    match finding.origin {
        SentBy::Socket => Remedy::KeepOut(drop),
        SentBy::Kernel | SentBy::None => Remedy::KeepOutUnseen(drop),
    }
}

/// The same at the head of a sentence.
fn head(traffic: String, finding: &Finding) -> String {
    if finding.flow.is_none() {
        "Traffic".to_owned()
    } else {
        traffic
    }
}
