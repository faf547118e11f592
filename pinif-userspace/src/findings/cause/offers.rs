//! What routing offers a packet beside the way that it took.

use std::sync::Arc;

use pinif_ebpf::{packet::protocol, sighting::Origin, verdict::Kind};

use super::{
    answers::{is_answer, is_reply},
    encapsulation::is_outer_of_route,
    links::is_neighbour,
    reach::{is_allowed, may_have, source, ways},
    routing::{Asked, leads_out},
    source::{who_chose, writes_header},
};
use crate::{
    findings::{
        decode::Sighted,
        finding::{PacketDirection, Place},
        scene::{LookUp, Scene},
        ways::{ChosenBy, Ways},
    },
    host::routes::{RouteQuery, RouteType},
};

/// Asks for the first packet of a finding, whose kind says where it belongs where that is not its rule's to say.
pub(in crate::findings) fn offers(
    sighted: &Sighted,
    place: &Place,
    home: Option<&Arc<str>>,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Ways {
    let (Some(headers), Some(asked)) = (sighted.headers, Asked::of(sighted, scene)) else {
        return Ways::default();
    };
    let network = |of| {
        let rule = sighted.rule?;
        scene.policy.whole_network(rule, of)
    };
    // What arrived is judged by what would answer it.
    if PacketDirection::of(sighted.kind) == PacketDirection::In {
        return Ways {
            network: network(headers.source),
            ..Ways::default()
        };
    }
    if sighted.join {
        return Ways::default();
    }
    let home = homes(sighted, place, home);
    let query = RouteQuery {
        uid: sighted.owner.as_ref().map(|owner| owner.uid),
        ..RouteQuery::to(headers.destination)
    };
    let followed = asked.by_any();
    let asked = RouteQuery {
        source: None,
        input: None,
        ..followed.clone()
    };
    let ways = ways(&home, [&query, &followed], sighted, scene, look_up);
    let there = source(sighted.egress, &query, scene, look_up);
    let is_led_there = there.is_some_and(|there| {
        let choice = look_up(&RouteQuery {
            source: Some(there),
            ..asked.clone()
        });
        choice.is_ok_and(|choice| leads_out(&choice, sighted.egress))
    });
    let without = look_up(&asked).ok();
    let is_right_without = without.is_some_and(|choice| {
        let output = choice
            .route
            .output
            .filter(|_| choice.route.kind != RouteType::Local);
        let fits = |output| {
            let is_allowed = is_allowed(sighted, scene, &(scene.name)(output));
            let source = choice.source;
            is_allowed && source.is_some_and(|source| may_have(source, output, scene))
        };
        output.is_some_and(fits)
    });
    let chosen_by = match sighted.origin {
        Origin::Process | Origin::Kernel => who_chose(sighted, scene, look_up),
        Origin::None if is_outer_of_route(sighted, scene) => ChosenBy::Tunnel,
        Origin::None if is_answer(sighted, scene) => ChosenBy::Asked,
        Origin::None => ChosenBy::Unknown,
    };
    Ways {
        home: ways,
        source: there,
        is_led_there,
        is_right_without,
        chosen_by,
        may_be_named: chosen_by == ChosenBy::Kernel && may_name_source(sighted, scene),
        writes_header: chosen_by == ChosenBy::Program && writes_header(sighted, scene),
        is_mapped: sighted.family == libc::AF_INET6 && headers.destination.is_ipv4(),
        is_reply: chosen_by == ChosenBy::Asked || is_reply(sighted, scene),
        others: Vec::new(),
        network: network(headers.destination),
        is_near: is_neighbour(scene, sighted.egress, headers.destination),
    }
}

/// The interfaces where it belongs.
pub(super) fn homes(sighted: &Sighted, place: &Place, own: Option<&Arc<str>>) -> Vec<Arc<str>> {
    if let Some(own) = own {
        return vec![Arc::clone(own)];
    }
    let allowed = place.rule.as_ref().map(|rule| &rule.interfaces[..]);
    let mut all = allowed.unwrap_or_default().to_vec();
    // The one that has its address needs no translation.
    all.sort_by_key(|name| Some(name) != place.source_owner.as_ref());
    // It left where it may: that one is known to lead there.
    if sighted.kind == Kind::Unpinned
        && let Some(egress) = &place.interface
        && all.contains(egress)
    {
        all = vec![Arc::clone(egress)];
    }
    all
}

/// Whether the program may have named its packet's source: TCP looks at none that it names.
fn may_name_source(sighted: &Sighted, scene: &Scene<'_>) -> bool {
    let Some(headers) = sighted.headers else {
        return false;
    };
    let may_name = sighted.origin == Origin::Process && headers.protocol != protocol::TCP;
    let options = may_name.then(|| (scene.options)()).flatten();
    options.is_some_and(|options| options.may_name_source(headers.destination.is_ipv6()))
}
