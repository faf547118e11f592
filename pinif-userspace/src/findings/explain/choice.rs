//! Which remedies a finding has, in the order of who can do them: first whoever runs the host, then whoever can change the program. The
//! cause decides where it is known; otherwise the kind, which gives its row.

mod binding;
mod chosen;
mod dropping;
mod encapsulated;
mod encapsulation;
mod facts;
mod leaving;
mod routes;

pub(in crate::findings) use binding::{bound_instead, held_to, unpinned};
pub(in crate::findings) use facts::{
    breaks_rule, egress, has_no_way, home, is_owned, silent_router,
};
pub(in crate::findings) use leaving::{away_from_source, unasked, unmirrored, where_it_belongs};
pub(in crate::findings) use routes::{instead_of, reached_home, route_home, routed_home};

use std::net::IpAddr;

use super::{CauseKind, Home, Lost, Meets, Remedy, Then, phrases::destination_address};
use crate::findings::{finding::Finding, kinds::Row, subject::KernelPacket};

/// What the first cause calls for that calls for something.
pub(in crate::findings) fn by_causes(finding: &Finding, row: &Row) -> Option<Vec<Remedy>> {
    let mut causes = finding.causes.iter();
    encapsulated::bound_to_follow(finding, row)
        .or_else(|| causes.find_map(|cause| by_cause(finding, row, &cause.kind)))
}

/// What a cause calls for; nothing where it leaves the remedy to the kind.
fn by_cause(finding: &Finding, row: &Row, cause: &CauseKind) -> Option<Vec<Remedy>> {
    let home = || home(finding, row);
    let bound = &finding.place.bound_device;
    let one = match cause {
        // Without it, the packet would wait for a neighbour that does not answer.
        CauseKind::PktinfoOverride(_) if has_no_way(finding) => {
            return Some(held(finding, routes::undecided(finding, row, None)));
        }
        CauseKind::PktinfoOverride(info) => {
            return Some(held(finding, Remedy::ClearPktinfo(home(), *info)));
        }
        CauseKind::ScopeOverride => {
            return Some(held(
                finding,
                Remedy::SetScope {
                    home: home(),
                    is_bound: bound.is_some(),
                },
            ));
        }
        CauseKind::PacketSocket => Remedy::SetLinkIndex(home()),
        CauseKind::LinkDown { link, is_near } => {
            let lost = lost_down(finding, link, *is_near);
            return Some(restored(finding, row, link, lost));
        }
        CauseKind::NoCarrier(link) => return Some(restored(finding, row, link, Lost::Carrier)),
        CauseKind::LinkGone(link) => return Some(restored(finding, row, link, Lost::Gone)),
        CauseKind::VrfMiss { vrf, table, .. } => Remedy::RouteInVrf {
            to: destination_address(finding),
            vrf: vrf.clone(),
            table: table.clone(),
        },
        CauseKind::Named { how, .. } => return chosen::named(finding, row, how),
        CauseKind::Subflow(by) => return Some(chosen::subflow(finding, row, by)),
        CauseKind::Encapsulated { .. } => {
            return Some(encapsulated::encapsulated(finding, row));
        }
        CauseKind::SourcePicks { .. } if is_owned(finding) => {
            return Some(chosen::picked(finding, row));
        }
        CauseKind::GroupJoin { .. } => chosen::joined_there(finding, home()),
        CauseKind::Kernel(KernelPacket::GroupMembership) => {
            return Some(chosen::joined(finding, row));
        }
        CauseKind::Kernel(KernelPacket::NeighbourDiscovery) => {
            return Some(chosen::on_link(finding, row, "neighbour discovery"));
        }
        CauseKind::Rebound { .. } => return binding::bound_once(finding, row),
        CauseKind::BindRefused { device, error } => Remedy::AskWhyRefused {
            device: device.clone(),
            error,
        },
        CauseKind::AddressForDevice(address) => {
            return chosen::device_named(finding, row, *address);
        }
        CauseKind::NeverPinned => return Some(unpinned(finding, row)),
        CauseKind::Mirror(_) => unmirrored(finding, row),
        CauseKind::Forwarded {
            is_translated: true,
            ..
        } if facts::is_of_address(finding) => {
            let translate = || Remedy::Translate(routes::translation(finding));
            let translate = (!finding.ways.is_reply).then(translate);
            let mut all: Vec<Remedy> = translate.into_iter().collect();
            all.extend(route_home(finding, row));
            if all.is_empty() {
                all.push(dropping::forward_dropped(finding));
            }
            return Some(all);
        }
        CauseKind::FromAbove(interface) => Remedy::EndAbove(interface.clone()),
        CauseKind::MulticastRoute { is_ipv6 } => Remedy::RouteGroups { is_ipv6: *is_ipv6 },
        CauseKind::Forwarded { .. } => {
            let group = destination_address(finding).filter(IpAddr::is_multicast);
            let drop = dropping::forward_dropped(finding);
            if let Some(group) = group {
                let is_ipv6 = group.is_ipv6();
                return Some(vec![drop, Remedy::RouteGroups { is_ipv6 }]);
            }
            let is_hop = |link: &str| {
                let taken = finding.route_taken();
                taken.is_some_and(|taken| taken.hop_by(link).is_some())
            };
            let lost = finding.causes.iter().find_map(|cause| match &cause.kind {
                CauseKind::LinkDown { link, is_near } if is_hop(link) => {
                    Some((link, lost_down(finding, link, *is_near)))
                }
                CauseKind::NoCarrier(link) if is_hop(link) => Some((link, Lost::Carrier)),
                _ => None,
            });
            let routes = match lost {
                Some((link, lost)) => Some(restored(finding, row, link, lost)),
                None => reached_home(finding, row),
            };
            // Where a route can lead it home, its traffic need not end.
            let all = match routes {
                Some(mut routes) => {
                    routes.push(drop);
                    routes
                }
                None => [vec![drop], route_home(finding, row)].concat(),
            };
            return Some(all);
        }
        CauseKind::QdiscBypass => Remedy::EndBypass(finding.place.interface.clone()),
        CauseKind::Xdp => Remedy::EndXdpSocket,
        CauseKind::NotAttached { .. } | CauseKind::MissingHooks { .. } => Remedy::Attach,
        CauseKind::Removed(_) => Remedy::KeepAttached,
        CauseKind::Ahead(_) => Remedy::Reorder,
        CauseKind::XdpProgram(_) => Remedy::AuditXdpTargets,
        CauseKind::Pktgen => Remedy::EndPktgen,
        CauseKind::Netconsole => Remedy::EndNetconsole,
        CauseKind::NotLookedFor { .. } => Remedy::Permit,
        CauseKind::ArpFlux(flux) => Remedy::AnswerForOwn(flux.names.clone()),
        CauseKind::Kernel(_)
        | CauseKind::Route(_)
        | CauseKind::RouteOfOthers { .. }
        | CauseKind::NoRoute(_)
        | CauseKind::Marked { .. }
        | CauseKind::Translated { .. }
        | CauseKind::SourceOfRoute { .. }
        | CauseKind::Unnumbered { .. }
        | CauseKind::SourceBefore { .. }
        | CauseKind::AnySource { .. }
        | CauseKind::SourcePicks { .. }
        | CauseKind::Tunnel { .. }
        | CauseKind::Groups { .. }
        | CauseKind::Bound(_)
        | CauseKind::Crossed { .. }
        | CauseKind::Asked { .. }
        | CauseKind::WeakHost { .. }
        | CauseKind::AsymmetricRoute
        | CauseKind::NoReversePath { .. }
        | CauseKind::StrictReversePath { .. }
        | CauseKind::AnswersArp { .. } => return None,
    };
    Some(vec![one])
}

/// Why a link carries nothing that was set down.
fn lost_down(finding: &Finding, link: &str, is_near: bool) -> Lost {
    let is_ipv6 = destination_address(finding).is_some_and(|to| to.is_ipv6());
    let mut ways = finding.ways.home.iter();
    let is_bare = is_ipv6 && ways.any(|way| &*way.interface == link && way.source.is_none());
    Lost::Down { is_near, is_bare }
}

/// A link that should have carried it must come back; a pinned socket would not have left. Where the link has but one of the next hops of
/// the route that was taken, the others would have their part of what goes there still; and a destination beyond a link that was down has
/// lost its route.
fn restored(finding: &Finding, row: &Row, link: &str, lost: Lost) -> Vec<Remedy> {
    let then = match (is_owned(finding), finding.dropped) {
        (false, true) => Then::Nothing,
        (false, false) => Then::DropAt(egress(finding)),
        (true, _) => Then::Bind(home(finding, row)),
    };
    let restored = |then| Remedy::Restore {
        link: link.to_owned(),
        lost,
        then,
    };
    // No route leads via a link that carries nothing (`fib_check_nh`, `fib_lookup_good_nhc`).
    let routed = |route: Remedy| match route {
        Remedy::Route(route) => Some(restored(Then::Route(Box::new(route)))),
        _ => None,
    };
    let routes = routes::route_of_one_hop(finding, row, link).into_iter();
    let routes: Vec<Remedy> = routes.filter_map(routed).collect();
    match (&routes[..], lost) {
        ([], Lost::Down { is_near: false, .. }) if !facts::demands_device(finding, row) => {
            let to = destination_address(finding).map(Into::into);
            let home = Home::of(&link.into());
            let route = instead_of(None, to.into_iter().collect(), home, None);
            vec![restored(Then::Route(Box::new(route)))]
        }
        ([], _) => vec![restored(then)],
        _ => routes,
    }
}

/// A program that names an interface with its packets beside the one that it is bound to: until it is changed, `pinif run` drops them.
fn held(finding: &Finding, change: Remedy) -> Vec<Remedy> {
    let bound = finding.place.bound_device.clone();
    let run = bound.map(|interface| held_to(finding, interface, Meets::Dropped));
    run.into_iter().chain([change]).collect()
}
