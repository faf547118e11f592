//! `device-escape`: bound to one device, left via another that is none of its lower devices.

use std::net::IpAddr;

use pinif_ebpf::packet::protocol;

use super::{Row, headline, row};
use crate::{
    findings::{
        cause::{bound_vrf, described, leads_out, mirror, questions, subflow},
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
    host::{links::Links, routes::table_name},
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
    subflow(sighted, scene)
        .or_else(|| vrf_miss(sighted, scene, look_up))
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
    choice::by_causes(finding, &ROW)
        .unwrap_or_else(|| vec![Remedy::FindOverride(choice::home(finding, &ROW))])
}

fn foreseen(latent: &Latent) -> String {
    let bound = latent.finding.bound_device();
    let bound = bound.unwrap_or("another device");
    format!(
        ", which is not a lower device of {bound} (port, trunk, underlay), to which it is bound"
    )
}
