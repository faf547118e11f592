//! Which route encapsulated a packet. What leaves goes to the first segment of the route, or to the end of its tunnel, and is routed by that,
//! whatever its socket is bound to (`seg6_output`, `rpl_output`, `ioam6_output`). An outer packet has a source of the route's interface
//! (`set_tun_src`); one that got a header alone keeps its own.

use std::net::IpAddr;

use pinif_ebpf::{packet::protocol, sighting::Origin, verdict::Kind};

use super::{
    links::links_down,
    routing::{DSCP, described, leads_out},
    tunnel::tunnel_of,
};
use crate::{
    findings::{
        decode::{Headers, Sighted},
        explain::{self, Cause, CauseKind},
        scene::{LookUp, Scene},
    },
    host::routes::{EncapsulatedSource, Encapsulation, Route, RouteQuery},
};

/// What an outer packet has in it where that is no IP packet (RFC 8986, 10.1).
const ETHERNET: u8 = 143;

/// What made a packet leave that a route encapsulated; nothing of others, nor of what its program may as well have sent there itself
/// ([`may_be_led`]).
pub(in crate::findings) fn encapsulated(
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<Vec<Cause>> {
    let by = by_route(sighted, scene).filter(|by| by.certain || is_outer(by))?;
    let headers = sighted.headers?;
    let choice = look_up(&asked(sighted, &headers));
    let choice = choice.ok().filter(|one| leads_out(one, sighted.egress));
    let route = choice.map(|one| described(&one, sighted.egress, scene));
    let route = route.map(|route| Cause::certain(CauseKind::Route(route)));
    let route: Vec<Cause> = route.into_iter().collect();
    let mut causes = links_down(sighted, scene, &route);
    causes.push(by);
    causes.extend(route);
    Some(causes)
}

/// What routing is asked for a packet with these headers, which has its source by now.
fn asked(sighted: &Sighted, headers: &Headers) -> RouteQuery {
    RouteQuery {
        source: Some(headers.source),
        input: sighted.forwarded_from(),
        mark: sighted.mark,
        tos: headers.tos & DSCP,
        ..RouteQuery::to(headers.destination)
    }
}

/// What made a packet leave that a route encapsulated and that a rule keeps in: the route leads to its own interface, and what it makes of the
/// packet goes to the first segment. Nothing where the route's interface is the one that it left by: the route says it all then.
pub(in crate::findings) fn inside(
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<Vec<Cause>> {
    let headers = sighted.headers?;
    if sighted.kind != Kind::PolicyEscape || sighted.family == libc::AF_PACKET {
        return None;
    }
    let choice = look_up(&asked(sighted, &headers));
    let route = choice.ok()?.route;
    let is_outer = route
        .encapsulation
        .as_ref()
        .is_some_and(|one| !one.keeps_source());
    (is_outer && route.output != Some(sighted.egress)).then(|| {
        vec![Cause::certain(CauseKind::Encapsulated {
            route: explain::Route::of(&route, &scene.network.links),
            is_set: false,
        })]
    })
}

/// The route that may have led a packet elsewhere by a header; nothing shows whether its program sent it there itself.
pub(super) fn may_be_led(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    by_route(sighted, scene).filter(|by| !by.certain && !is_outer(by))
}

/// Whether a cause is a route that makes an outer packet.
fn is_outer(cause: &Cause) -> bool {
    matches!(&cause.kind, CauseKind::Encapsulated { route, .. } if !route.keeps_source())
}

/// Whether it is the outer packet of a route.
pub(super) fn is_outer_of_route(sighted: &Sighted, scene: &Scene<'_>) -> bool {
    by_route(sighted, scene).is_some_and(|by| is_outer(&by))
}

/// The route that encapsulated a packet; certain where no other may have, and its program could not have sent it so.
pub(super) fn by_route(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    let headers = sighted.headers?;
    // Of what the kernel sends by itself, and of what is forwarded, the other causes say more than a header that may be in it.
    let may_have_header = sighted.origin == Origin::Process;
    let is_outer = matches!(headers.protocol, protocol::IPV4 | protocol::IPV6 | ETHERNET);
    let is_either = headers.destination.is_ipv6() && (is_outer || may_have_header);
    let is_whole = sighted.family == libc::AF_PACKET;
    if !is_either || is_whole || tunnel_of(sighted, scene).is_some() {
        return None;
    }
    let all = (scene.encapsulating)(headers.destination);
    let fits = |route: &&Route| match &route.encapsulation {
        None => false,
        Some(one) if one.keeps_source() => may_have_header,
        Some(Encapsulation { of_frames, .. }) => match headers.protocol {
            protocol::IPV4 => !of_frames && route.prefix.addr().is_ipv4(),
            protocol::IPV6 => !of_frames && route.prefix.addr().is_ipv6(),
            ETHERNET => *of_frames,
            _ => false,
        },
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
    let mut fitting: Vec<&Route> = all.iter().filter(fits).collect();
    if fitting.iter().any(has_source) {
        fitting.retain(has_source);
    }
    let (first, others) = fitting.split_first()?;
    let source = first.encapsulation.as_ref().map(|one| one.source);
    let is_set = source == Some(EncapsulatedSource::InterfaceOrSetting)
        && !has_source(first)
        && own(first).next().is_some();
    // What is bound leaves by no other interface unless something leads it there. It may be named where it is bound to none.
    let is_led = source != Some(EncapsulatedSource::Packet)
        || sighted.bound.is_some_and(|bound| bound != sighted.egress);
    Some(Cause {
        certain: others.is_empty() && is_led,
        kind: CauseKind::Encapsulated {
            route: explain::Route::of(first, &scene.network.links),
            is_set,
        },
    })
}
