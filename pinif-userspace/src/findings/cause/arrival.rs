//! Why a packet could come in by an interface outside its zone.

use std::net::IpAddr;

use super::{LookUp, Scene, described, leads_out};
use crate::{
    findings::{
        decode::Sighted,
        explain::{Cause, CauseKind},
    },
    host::{
        entrance::{Entrance, ReversePath},
        routes::RouteQuery,
    },
};

/// What let it in, as far as this machine's settings do.
pub(super) fn causes(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    let Some(headers) = sighted.headers else {
        return Vec::new();
    };
    let mut causes = Vec::new();
    let arrived = (scene.name)(sighted.egress);
    match sighted.source_owner {
        Some(owner) => causes.push(Cause::certain(CauseKind::WeakHost {
            owner: (scene.name)(owner),
        })),
        None => causes.push(way_back(sighted, headers.source, scene, look_up)),
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
                source: headers.source.to_string(),
                routed_by: route
                    .ok()
                    .and_then(|choice| choice.route.output)
                    .map(scene.name),
            }
        }
    };
    causes.push(Cause::certain(kind));
    if sighted.source_owner.is_some() && answers_neighbours(scene, sighted, entrance) {
        causes.push(Cause::certain(CauseKind::AnswersArp {
            interface: arrived,
            address: headers.destination.to_string(),
        }));
    }
    causes
}

/// Why it came by this way: the host itself sends to its source by it, or somebody outside chose it.
fn way_back(
    sighted: &Sighted,
    source: IpAddr,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Cause {
    match look_up(&RouteQuery::to(source)) {
        Ok(choice) if leads_out(&choice, sighted.egress) => {
            Cause::certain(CauseKind::Route(described(&choice, sighted.egress, scene)))
        }
        _ => Cause::likely(CauseKind::AnotherWay),
    }
}

/// Whether the sender is a neighbour on the interface, to whom an ARP reply may have shown the way.
fn answers_neighbours(scene: &Scene<'_>, sighted: &Sighted, entrance: Entrance) -> bool {
    let is_neighbour = sighted.headers.is_some_and(|headers| {
        scene.network.addresses.of(sighted.egress).any(|local| {
            ipnet::IpNet::new(local.address, local.prefix_len)
                .is_ok_and(|network| network.contains(&headers.source))
        })
    });
    is_neighbour && entrance.answers_arp_for_all
}
