//! Who chose a packet's source address: the program, a route, or the kernel where the interface has none.

use std::net::IpAddr;

use pinif_ebpf::{sighting::Origin, verdict::Kind};

use super::{
    answers::{is_answer, is_of_server},
    encapsulation::{is_outer_of_route, may_be_led},
    nat,
    routing::{Asked, bound_source, leads_out},
    tunnel::{is_tunnels, tunnel_of},
};
use crate::{
    findings::{
        decode::Sighted,
        explain::{Cause, CauseKind},
        kinds::Row,
        scene::{LookUp, Scene},
        ways::ChosenBy,
    },
    host::routes::{RouteQuery, RouteType},
};

/// Who chose the source address. Where routing is asked without one, and gives it, it did.
pub(in crate::findings) fn who_chose(
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> ChosenBy {
    let (Some(headers), Some(asked)) = (sighted.headers, Asked::of(sighted, scene)) else {
        return ChosenBy::Unknown;
    };
    if is_outer_of_route(sighted, scene) {
        return ChosenBy::Tunnel;
    }
    let before = nat::before(sighted, scene);
    if let Some(before) = before
        && before.source != headers.source
    {
        return ChosenBy::Nat;
    }
    // What a server accepted has the address that was asked, whether or not its listener was bound to that.
    if is_of_server(sighted, scene) {
        return ChosenBy::Asked;
    }
    if bound_source(sighted) == Some(headers.source) {
        return ChosenBy::Program;
    }
    if let Some(tunnel) = tunnel_of(sighted, scene).filter(|_| is_tunnels(sighted))
        && tunnel.local == Some(headers.source)
    {
        return ChosenBy::Tunnel;
    }
    if is_answer(sighted, scene) {
        return ChosenBy::Asked;
    }
    let Some(without) = asked.without.clone() else {
        return if writes_header(sighted, scene) {
            ChosenBy::Program
        } else {
            ChosenBy::Nat
        };
    };
    let mut gives = |query: &RouteQuery| {
        let choice = look_up(query).ok()?;
        (choice.source == Some(headers.source)).then_some(choice)
    };
    if let Some(choice) = gives(&without)
        && leads_out(&choice, sighted.egress)
    {
        return match choice.route.preferred_source {
            Some(source) if source == headers.source => ChosenBy::Route,
            _ => ChosenBy::Kernel,
        };
    }
    let served = asked
        .further()
        .into_iter()
        .filter(|query| query.source.is_none());
    for query in served.filter(|query| query.mark == sighted.mark) {
        if gives(&query).is_some_and(|choice| leads_out(&choice, sighted.egress)) {
            return ChosenBy::Kernel;
        }
    }
    let otherwise = [
        before.map(|before| RouteQuery {
            destination: before.destination,
            mark: 0,
            ..without.clone()
        }),
        (sighted.mark != 0).then(|| RouteQuery {
            mark: 0,
            ..without.clone()
        }),
    ];
    if otherwise
        .iter()
        .flatten()
        .any(|query| gives(query).is_some())
    {
        return ChosenBy::Before;
    }
    // A server that is bound to nothing gives its answer the address that was asked (`ipi_spec_dst`).
    if sighted.also.contains(&Kind::ReplyEscape) {
        return ChosenBy::Asked;
    }
    // It may have it from the route that its own destination has.
    match may_be_led(sighted, scene) {
        Some(_) => ChosenBy::Tunnel,
        None => ChosenBy::Program,
    }
}

/// Whether the program writes the headers of its packets itself. Nothing says so of a socket that is closed by now.
pub(super) fn writes_header(sighted: &Sighted, scene: &Scene<'_>) -> bool {
    let is_program = sighted.origin == Origin::Process;
    let options = is_program.then(|| (scene.options)()).flatten();
    options.is_some_and(|options| options.writes_header)
}

/// What chose the source address of a process's packet, where it was not the program; of a kind that is about the address.
pub(super) fn chosen(
    row: &Row,
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Vec<Cause> {
    let mut causes = translated(sighted, scene);
    causes.extend(any_source(sighted, scene, look_up));
    if row.is_of_source {
        causes.extend(by_routing(sighted, scene, look_up));
    }
    causes
}

/// The same, of what the kernel sends: where it is an answer, it has the address that was asked.
pub(super) fn of_kernel(
    row: &Row,
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<Cause> {
    if !is_tunnels(sighted) || !row.is_of_source {
        return None;
    }
    by_routing(sighted, scene, look_up)
}

fn by_routing(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Option<Cause> {
    let source = sighted.headers?.source;
    let interface = (scene.name)(sighted.egress);
    Some(Cause::certain(match who_chose(sighted, scene, look_up) {
        ChosenBy::Route => CauseKind::SourceOfRoute { source },
        ChosenBy::Kernel => CauseKind::Unnumbered { source, interface },
        ChosenBy::Before => CauseKind::SourceBefore { source },
        ChosenBy::Unknown
        | ChosenBy::Program
        | ChosenBy::Nat
        | ChosenBy::Asked
        | ChosenBy::Tunnel => return None,
    }))
}

/// That a program sends from an address of which the kernel knows no interface, and the option that lets it.
fn any_source(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Option<Cause> {
    let source = sighted.headers?.source;
    let is_owned = sighted.source_owner.is_some();
    if is_owned || bound_source(sighted) != Some(source) || !is_of_none(source, scene, look_up) {
        return None;
    }
    // Of IPv4, no other option lets a socket send so (`inet_sk_flowi_flags`); of IPv6, one sends from what it is bound to, whatever became
    // of the address since then.
    let (option, certain) = match (source, (scene.options)()) {
        (IpAddr::V4(_), Some(options)) if options.is_transparent => ("IP_TRANSPARENT", true),
        (IpAddr::V4(_), Some(options)) if options.writes_header => ("IP_HDRINCL", true),
        (IpAddr::V6(_), Some(options)) if options.is_transparent => ("IPV6_TRANSPARENT", true),
        (IpAddr::V6(_), Some(options)) if options.binds_freely => ("IPV6_FREEBIND", true),
        (_, Some(_)) => return None,
        (IpAddr::V4(_), None) => ("IP_TRANSPARENT or IP_HDRINCL", true),
        (IpAddr::V6(_), None) => ("IPV6_TRANSPARENT or IPV6_FREEBIND", false),
    };
    Some(Cause {
        certain,
        kind: CauseKind::AnySource { source, option },
    })
}

/// Whether no interface has an address, and no route makes it the host's own (`ip_dev_find`): an address that an interface has need not
/// be asked about.
fn is_of_none(address: IpAddr, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> bool {
    let mut all = scene.network.addresses.iter();
    if all.any(|local| local.address == address) {
        return false;
    }
    let choice = look_up(&RouteQuery::to(address));
    !choice.is_ok_and(|choice| choice.route.kind == RouteType::Local)
}

/// What NAT changed of it, as connection tracking says; or that its source is not the address that its socket is bound to.
fn translated(sighted: &Sighted, scene: &Scene<'_>) -> Vec<Cause> {
    let Some(headers) = sighted.headers else {
        return Vec::new();
    };
    let translated = |source: Option<IpAddr>, destination: Option<IpAddr>| CauseKind::Translated {
        source,
        destination,
    };
    if let Some(before) = nat::before(sighted, scene) {
        let changed = |was: IpAddr, is: IpAddr| (was != is).then_some(was);
        return vec![Cause::certain(translated(
            changed(before.source, headers.source),
            changed(before.destination, headers.destination),
        ))];
    }
    match bound_source(sighted) {
        Some(bound) if bound != headers.source && !writes_header(sighted, scene) => {
            vec![Cause::likely(translated(Some(bound), None))]
        }
        _ => Vec::new(),
    }
}
