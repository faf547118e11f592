//! What led the other destinations of a finding out. There is one sighting of a finding, that of its first packet: of the others, no more is
//! known than where they went.

use std::{net::IpAddr, sync::Arc};

use pinif_ebpf::sample::Destination;

use super::{
    offers::homes,
    reach::ways,
    routing::{Asked, described, leads_out},
};
use crate::{
    findings::{
        decode::Sighted,
        explain::{Cause, CauseKind, Route},
        finding::Finding,
        scene::{LookUp, Scene},
        ways::{OtherDestination, Way, Ways},
    },
    host::routes::RouteQuery,
};

/// No more routes than these are named beside the first packet's.
const MOST: usize = 4;

/// Asks about the destinations that a finding has seen by now, and that were not asked about; nothing where there are none, or where no route
/// led the first packet out ([`Finding::route_asked_of_others`]). The kind says where they belong where that is not the rule's to say.
pub(in crate::findings) fn others(
    finding: &Finding,
    sighted: &Sighted,
    home: Option<&Arc<str>>,
    seen: &[Destination],
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<(Vec<Cause>, Ways)> {
    let (taken, of_first) = (finding.route_asked_of_others()?, Asked::of(sighted, scene)?);
    let first = of_first.with.destination;
    let (mut causes, mut all) = (finding.causes.to_vec(), Ways::clone(&finding.ways));
    let asked = all.others.len();
    let home = homes(sighted, &finding.place, home);
    for destination in seen {
        let address = destination.address.ip();
        if address == first || all.other(address).is_some() {
            continue;
        }
        let plain = RouteQuery {
            uid: sighted.owner.as_ref().map(|owner| owner.uid),
            ..RouteQuery::to(address)
        };
        let toward = of_first.toward(destination);
        let mut by = |mark, tos| {
            let query = RouteQuery {
                mark,
                tos,
                ..toward.clone()
            };
            let choice = look_up(&query).ok()?;
            let is_out = leads_out(&choice, sighted.egress);
            is_out.then(|| described(&choice, sighted.egress, scene))
        };
        let (as_first, by_itself) = (by(toward.mark, toward.tos), by(0, 0));
        let is_as_first = as_first
            .as_ref()
            .is_some_and(|route| route.is_beside(taken));
        // What leads all that goes there out is to be put right, whatever led these packets.
        let other = by_itself.or(as_first).filter(|route| route != taken);
        if let Some(route) = other {
            add(&mut causes, address, route);
        }
        let asked = RouteQuery {
            mark: toward.mark,
            tos: toward.tos,
            ..plain.clone()
        };
        let ways = ways(&home, [&plain, &asked], sighted, scene, look_up);
        all.others.push(OtherDestination {
            address,
            is_as_first,
            way: Way::first(ways.iter(), true).cloned(),
        });
    }
    (all.others.len() > asked).then_some((causes, all))
}

fn add(causes: &mut Vec<Cause>, address: IpAddr, by: Route) {
    let mut routes = 0;
    for cause in causes.iter_mut() {
        if let CauseKind::RouteOfOthers { to, route } = &mut cause.kind {
            if *route == by {
                to.push(address);
                return;
            }
            routes += 1;
        }
    }
    if routes < MOST {
        causes.push(Cause::likely(CauseKind::RouteOfOthers {
            to: vec![address],
            route: by,
        }));
    }
}
