//! Which route encapsulated a packet. What leaves is the outer one: its destination is the first segment's, its source one of the route's
//! interface (`set_tun_src`), and it is routed by these (`seg6_output`).

use std::net::IpAddr;

use super::{
    links::links_down,
    routing::{DSCP, described, leads_out},
    tunnel::tunnel_of,
};
use crate::{
    findings::{
        decode::Sighted,
        explain::{self, Cause, CauseKind},
        scene::{LookUp, Scene},
    },
    host::routes::{Route, RouteQuery},
};

/// What an outer packet has in it (RFC 8986, 10.1).
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const ETHERNET: u8 = 143;

/// What made a packet leave that a route encapsulated; nothing of others.
pub(in crate::findings) fn encapsulated(
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<Vec<Cause>> {
    let by = by_route(sighted, scene)?;
    let headers = sighted.headers?;
    let choice = look_up(&RouteQuery {
        source: Some(headers.source),
        input: sighted.forwarded_from(),
        mark: sighted.mark,
        tos: headers.tos & DSCP,
        ..RouteQuery::to(headers.destination)
    });
    let choice = choice.ok().filter(|one| leads_out(one, sighted.egress));
    let route = choice.map(|one| described(&one, sighted.egress, scene));
    let route = route.map(|route| Cause::certain(CauseKind::Route(route)));
    let route: Vec<Cause> = route.into_iter().collect();
    let mut causes = links_down(sighted, scene, &route);
    causes.push(by);
    causes.extend(route);
    Some(causes)
}

/// The route that encapsulated a packet; certain where no other may have.
pub(super) fn by_route(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    let headers = sighted.headers?;
    let is_outer =
        headers.destination.is_ipv6() && matches!(headers.protocol, IPV4 | IPV6 | ETHERNET);
    if !is_outer || tunnel_of(sighted, scene).is_some() {
        return None;
    }
    let all = (scene.encapsulating)(headers.destination);
    let is_of_family = |route: &&Route| match headers.protocol {
        IPV4 => route.prefix.addr().is_ipv4(),
        IPV6 => route.prefix.addr().is_ipv6(),
        _ => true,
    };
    let own = |route: &Route| {
        let interface = route.output.unwrap_or_default();
        let own = scene.network.addresses.of(interface);
        own.map(|own| own.address).filter(|own| match own {
            IpAddr::V6(own) => !own.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        })
    };
    let has_source = |route: &&Route| own(route).any(|own| own == headers.source);
    let mut fitting: Vec<&Route> = all.iter().filter(is_of_family).collect();
    if fitting.iter().any(has_source) {
        fitting.retain(has_source);
    }
    let (first, others) = fitting.split_first()?;
    Some(Cause {
        certain: others.is_empty(),
        kind: CauseKind::Encapsulated {
            route: explain::Route::of(first, &scene.network.links),
            is_set: !has_source(first) && own(first).next().is_some(),
        },
    })
}
