//! What the state of the interfaces says of a packet.

use std::net::IpAddr;

use pinif_ebpf::key::IfIndex;

use crate::{
    findings::{
        decode::Sighted,
        explain::{Cause, CauseKind},
        scene::Scene,
    },
    host::{links::Link, running::Runs},
};

/// The interfaces that the traffic should have left via, and that are down, without a carrier, or gone. Of a route that was taken and has
/// next hops by them, those over which the kernel passes.
pub(in crate::findings) fn links_down(
    sighted: &Sighted,
    scene: &Scene<'_>,
    taken: &[Cause],
) -> Vec<Cause> {
    let hop = |link: &Link| {
        let mut taken = taken.iter();
        taken.find_map(|cause| match &cause.kind {
            CauseKind::Route(route) => route.hop_by(&link.name).map(|hop| hop.is_dead),
            _ => None,
        })
    };
    let by_rule = sighted.kind.row().is_of_rule;
    let meant: Vec<&Link> = if by_rule {
        scene.allowed(sighted)
    } else {
        let owner = sighted.source_owner;
        owner
            .and_then(|owner| scene.network.links.get(owner))
            .into_iter()
            .collect()
    };
    // One that went down loses its routes before rtnetlink reports it.
    let runs = |link: &Link| {
        let reported = Runs::of(link.up, link.running);
        (scene.runs)(&link.name).map_or(reported, |now| now.min(reported))
    };
    let all: Vec<(&Link, Runs)> = meant.into_iter().map(|link| (link, runs(link))).collect();
    let none_runs = all.iter().all(|(_, runs)| *runs != Runs::Yes);
    let down = all
        .into_iter()
        .filter(|(link, _)| {
            let is_meant = || none_runs || reaches(sighted, scene, link.index);
            hop(link).unwrap_or_else(is_meant)
        })
        .filter_map(|(link, runs)| match runs {
            Runs::Yes => None,
            Runs::Down => Some(CauseKind::LinkDown {
                link: link.name.clone(),
                is_near: reaches(sighted, scene, link.index),
            }),
            Runs::WithoutCarrier => Some(CauseKind::NoCarrier(link.name.clone())),
        })
        .map(Cause::certain);
    let gone = scene
        .gone
        .iter()
        .filter(|name| none_runs && by_rule && scene.allows(sighted, name));
    down.chain(gone.map(|name| Cause::certain(CauseKind::LinkGone(name.clone()))))
        .collect()
}

/// Whether the destination is a neighbour on an interface.
fn reaches(sighted: &Sighted, scene: &Scene<'_>, interface: IfIndex) -> bool {
    sighted
        .headers
        .is_some_and(|headers| is_neighbour(scene, interface, headers.destination))
}

/// Whether an address is in a network of an interface.
pub(in crate::findings) fn is_neighbour(
    scene: &Scene<'_>,
    interface: IfIndex,
    address: IpAddr,
) -> bool {
    scene.network.addresses.of(interface).any(|local| {
        ipnet::IpNet::new(local.address, local.prefix_len)
            .is_ok_and(|network| network.contains(&address))
    })
}

/// The VRF device that the socket is bound to.
pub(in crate::findings) fn bound_vrf<'a>(
    sighted: &Sighted,
    scene: &'a Scene<'_>,
) -> Option<&'a Link> {
    let link = scene.network.links.get(sighted.bound?)?;
    link.vrf_table.is_some().then_some(link)
}
