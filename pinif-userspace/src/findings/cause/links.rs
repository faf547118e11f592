//! What the state of the interfaces says of a packet.

use std::net::IpAddr;

use pinif_ebpf::key::IfIndex;

use crate::{
    findings::{
        decode::Sighted,
        explain::{Cause, CauseKind},
        scene::Scene,
    },
    host::links::Link,
};

/// The interfaces that the traffic should have left via, and that are down or gone.
pub(in crate::findings) fn links_down(sighted: &Sighted, scene: &Scene<'_>) -> Vec<Cause> {
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
    let runs = |link: &&&Link| link.up && link.running && (scene.runs)(&link.name).unwrap_or(true);
    let (up, down): (Vec<&Link>, Vec<&Link>) = meant.iter().partition(runs);
    let none_runs = up.is_empty();
    let down = down
        .into_iter()
        .filter(|link| none_runs || reaches(sighted, scene, link.index))
        .map(|link| Cause::certain(CauseKind::LinkDown(link.name.clone())));
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
