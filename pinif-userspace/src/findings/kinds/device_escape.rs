//! `device-escape`: bound to one device, left via another that is none of its lower devices.

use std::net::IpAddr;

use pinif_ebpf::packet::protocol;

use super::{Row, headline, row};
use crate::{
    findings::{
        cause::{bound_vrf, described, encapsulated, leads_out, mirror, questions, subflow},
        decode::Sighted,
        explain::{
            Cause, CauseKind, PacketInfo, Remedy, choice,
            phrases::{left, sender, traffic},
            takes_scope,
        },
        finding::Finding,
        latent::Latent,
        scene::{LookUp, Scene},
    },
    host::{
        links::Links,
        routes::{Choice, RouteQuery, table_name},
    },
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: false,
    does: "left via",
    fate: "left",
    page: include_str!("../../../kinds/device-escape.md"),
    sender: headline::sender,
    what: headline::sender,
    foreseen,
    causes,
    home: row::bound_device,
    explanation,
    remedies,
};

fn causes(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    if let Some(causes) = encapsulated(sighted, scene, look_up) {
        return causes;
    }
    subflow(sighted, scene)
        .or_else(|| vrf_miss(sighted, scene, look_up))
        .or_else(|| next_hop_group(sighted, scene, look_up))
        .or_else(|| override_of(sighted, scene))
        .into_iter()
        .collect()
}

/// A socket of a VRF whose packet was routed by another table: the VRF's own has no route for it, and the rules go on to the next.
fn vrf_miss(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Option<Cause> {
    let vrf = bound_vrf(sighted, scene)?;
    let table = vrf.vrf_table?;
    let choice = questions(sighted, scene)
        .iter()
        .filter_map(|query| look_up(query).ok())
        .find(|choice| choice.route.table != table && leads_out(choice, sighted.egress))?;
    Some(Cause::certain(CauseKind::VrfMiss {
        vrf: vrf.name.clone(),
        table: table_name(table, &Links::default()),
        route: described(&choice, sighted.egress, scene),
    }))
}

/// A route of IPv6 by a group of next-hop objects, of which the kernel takes any for each flow, whatever its socket is bound to
/// (`fib6_select_path`).
fn next_hop_group(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Option<Cause> {
    let is_group = |choice: &Choice| {
        let route = &choice.route;
        let is_of_any = route.prefix.addr().is_ipv6() && route.next_hop.is_some();
        is_of_any && route.hops.len() > 1 && leads_out(choice, sighted.egress)
    };
    let questions = questions(sighted, scene).into_iter();
    let bound = questions.map(|query| RouteQuery {
        output: query.output.or(sighted.bound),
        ..query
    });
    let choice = bound
        .filter(|query| query.output.is_some())
        .filter_map(|query| look_up(&query).ok())
        .find(is_group)?;
    Some(Cause {
        certain: choice.route.output == Some(sighted.egress),
        kind: CauseKind::Route(described(&choice, sighted.egress, scene)),
    })
}

/// How a socket's packet can leave by another device than the one that it is bound to; nothing where its headers are not known.
fn override_of(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    if sighted.family == libc::AF_PACKET {
        return Some(Cause::certain(CauseKind::PacketSocket));
    }
    let headers = sighted.headers?;
    let mirrored = || mirror(sighted.egress, &(scene.nft)(), false);
    // A TCP socket takes no interface with a message, nor does the kernel let it keep a route through another device.
    if headers.protocol == protocol::TCP {
        return Some(mirrored());
    }
    Some(match headers.destination {
        IpAddr::V4(_) => {
            // With `ipi_ifindex` the kernel chooses a source address of that interface, unless the socket has its own.
            let by_message =
                CauseKind::PktinfoOverride(PacketInfo::of(sighted.family, headers.destination));
            let of_egress = scene.network.sole_owner(headers.source) == Some(sighted.egress);
            if of_egress && sighted.bound_address.is_none() {
                Cause::certain(by_message)
            } else if sighted.bound_address.is_some() {
                Cause::likely(by_message)
            } else {
                mirrored()
            }
        }
        IpAddr::V6(address) if takes_scope(address) => Cause::certain(CauseKind::ScopeOverride),
        IpAddr::V6(_) => mirrored(),
    })
}

fn explanation(finding: &Finding) -> String {
    let egress = finding.egress_interface();
    let bound = finding.bound_device().unwrap_or("another interface");
    format!(
        "{} is bound to {bound}, but its {} {} {egress}, which is not a lower device of {bound} (port, trunk, underlay).",
        sender(finding),
        traffic(finding),
        left(finding),
    )
}

fn remedies(finding: &Finding) -> Vec<Remedy> {
    if let Some(remedies) = choice::by_causes(finding, &ROW) {
        return remedies;
    }
    let routes = choice::routed_home(finding, &ROW);
    if routes.is_empty() {
        return vec![Remedy::FindOverride(choice::home(finding, &ROW))];
    }
    routes
}

fn foreseen(latent: &Latent) -> String {
    let bound = latent.finding.bound_device();
    let bound = bound.unwrap_or("another device");
    format!(
        ", which is not a lower device of {bound} (port, trunk, underlay), to which it is bound"
    )
}
