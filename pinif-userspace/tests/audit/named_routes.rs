//! In random networks of rules and tables, the route that a cause names is the one that the packet took: in a copy of the network, its
//! table alone leads to the interface that the packet left by, by just this route, and the kernel's whole answer for what the sender asked
//! has that table. Or the cause says that it does not know.
//!
//! `PINIF_RANDOM_SEEDS=500` looks at so many networks, `PINIF_RANDOM_SEED=7` at the one of this seed, which a failure prints.

mod network;

use crate::bench::{Bench, Need, scenario};
use crate::random::seeds;
use network::{Dice, Sender, World};
use pinif_lab::{Chassis, LinkKind, chassis};
use pinif_userspace::findings::line::{FindingLine, Subject};

/// How many senders there are in each.
const SENDERS: u64 = 8;

#[test]
fn the_route_that_is_named_is_the_one_that_was_taken() {
    the_named_routes_are_taken(&World::PLAIN, &[]);
}

#[test]
fn the_route_of_several_next_hops_is_the_one_that_was_taken() {
    the_named_routes_are_taken(&World::SEVERAL, &[]);
}

#[test]
fn the_route_of_ipv6_that_is_named_is_the_one_that_was_taken() {
    the_named_routes_are_taken(&World::IPV6, &[]);
}

#[test]
fn the_route_of_a_vrf_that_is_named_is_the_one_that_was_taken() {
    the_named_routes_are_taken(&World::VRF, &[Need::Link(LinkKind::Vrf)]);
}

fn the_named_routes_are_taken(world: &World, needs: &[Need]) {
    scenario(world.name, needs, |bench| {
        let (mut certain, mut probable, mut unknown) = (0, 0, 0);
        let mut forwarded = 0;
        for seed in seeds(world.seeds) {
            let chassis = chassis().expect("a chassis");
            let copy = pinif_lab::chassis().expect("a copy");
            let made = world.build(&chassis, &mut Dice(seed * 2 + 1));
            assert_eq!(made, world.build(&copy, &mut Dice(seed * 2 + 1)));
            let mut dice = Dice(seed * 2 + 0x9e37);
            let mut senders: Vec<Sender> = (0..SENDERS)
                .map(|_| Sender::random(world, &mut dice))
                .collect();
            senders.push(Sender::forwarded(world, &mut dice));
            let found = audited(world, bench, &chassis, &senders);
            for (sender, finding) in senders.iter().zip(&found) {
                let Some(finding) = finding else {
                    continue;
                };
                let context = format!("seed {seed}: {made:#?}\n{sender:?}\n{finding:#?}");
                match named(&finding.cause, world.any()) {
                    Some(route) => {
                        holds(world, &copy, sender, finding, &route, &context);
                        forwarded += u64::from(sender.is_forwarded);
                        if route.certain {
                            certain += 1;
                        } else {
                            probable += 1;
                        }
                    }
                    None => {
                        let says_so = finding.cause.contains("most likely")
                            || finding.cause.contains("unknown");
                        assert!(says_so, "{context}");
                        unknown += 1;
                    }
                }
            }
        }
        eprintln!(
            "{certain} routes are certain, {probable} probable, {unknown} unknown; {forwarded} are of forwarded packets"
        );
        assert!(
            certain > 4 * (probable + unknown),
            "{certain} routes are certain, {probable} probable, {unknown} unknown"
        );
        assert!(forwarded > 0, "no route of a forwarded packet is named");
    });
}

/// A route that a cause names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    prefix: String,
    device: String,
    table: String,
    certain: bool,
}

/// The route in a cause's words: `route P [via G] dev D in table T`, or `rule N (…) sent it to table T, whose route P leaves via D`; of a
/// VRF without one, the route that was taken instead.
fn named(cause: &str, any: &str) -> Option<Named> {
    let part = cause.split("; ").find(|part| part.contains(" table "))?;
    let certain = !part.starts_with("most likely ");
    let part = part
        .split_once("so it took ")
        .map_or(part, |(_, rest)| rest);
    let after = |word: &str| {
        let (_, rest) = part.split_once(word)?;
        let end = rest.find([' ', ',']).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    };
    let table = after(" table ")?;
    let is_default = part.contains("default route");
    let prefix = if is_default {
        any.to_owned()
    } else {
        after("route ")?
    };
    let device = after("leaves via ").or_else(|| after(" dev "))?;
    Some(Named {
        prefix,
        device,
        table,
        certain,
    })
}

/// Whether ip-route(8)'s answer is this route: its prefix and its table, and the device of one of its next hops.
fn is_answered(answer: &str, route: &Named, any: &str) -> bool {
    let mut words = answer.split_whitespace();
    let prefix = match words.next().unwrap_or_default() {
        "default" => any.to_owned(),
        prefix if prefix.contains('/') => prefix.to_owned(),
        address if address.contains(':') => format!("{address}/128"),
        address => format!("{address}/32"),
    };
    let all: Vec<&str> = words.collect();
    let has = |name: &str, value: &str| all.windows(2).any(|pair| pair == [name, value]);
    let is_of_table =
        has("table", &route.table) || route.table == "main" && !all.contains(&"table");
    prefix == route.prefix && is_of_table && has("dev", &route.device)
}

/// The finding of each sender, where the kernel let it send.
fn audited(
    world: &World,
    bench: &Bench,
    chassis: &Chassis,
    senders: &[Sender],
) -> Vec<Option<FindingLine>> {
    let auditor = bench
        .auditor()
        .policy(&world.policy())
        .start_in(&chassis.card);
    // Of a cgroup of its own, so that each has a finding of its own.
    let cgroups: Vec<_> = (0..senders.len())
        .map(|number| bench.cgroup_below(&format!("s{number}")))
        .collect();
    for (sender, cgroup) in senders.iter().zip(&cgroups) {
        let arguments = sender.arguments();
        match sender.is_forwarded {
            true => bench.far_sender(&chassis.peer, &arguments),
            false => bench.sender_below(&chassis.card, cgroup, &arguments),
        }
        .finish();
    }
    let report = auditor.end(
        |pinif| pinif.signal(nix::sys::signal::Signal::SIGTERM),
        Default::default(),
    );
    let of = |name: String| {
        report
            .findings
            .iter()
            .find(|finding| {
                let process = finding.process.as_ref();
                process.and_then(|process| process.cgroup.clone()) == Some(name.clone())
            })
            .cloned()
    };
    let forwarded = |finding: &&FindingLine| {
        let subject = finding.subject.as_ref();
        subject.is_some_and(|subject| matches!(subject, Subject::Forwarded { .. }))
    };
    let each = senders.iter().zip(&cgroups);
    each.map(|(sender, cgroup)| match sender.is_forwarded {
        true => report.findings.iter().find(forwarded).cloned(),
        false => of(cgroup.name()),
    })
    .collect()
}

/// Holds what is named against the copy.
fn holds(
    world: &World,
    copy: &Chassis,
    sender: &Sender,
    finding: &FindingLine,
    route: &Named,
    context: &str,
) {
    assert_eq!(route.device, finding.egress_interface, "{context}");
    let ip = |arguments: &str| world.ip(copy, arguments);
    // The table alone: nothing else is asked.
    let Named { table, .. } = route;
    ip(&format!("rule add pref 1 lookup {table}")).expect("a rule");
    let to = sender.to;
    let from = match sender.is_forwarded {
        true => sender.from(),
        false => String::new(),
    };
    let answer = ip(&format!("route get fibmatch {to} {from}")).unwrap_or_default();
    ip(&format!("rule del pref 1 lookup {table}")).expect("the rule");
    let is_it = |answer: &str| is_answered(answer, route, world.any());
    assert!(is_it(&answer), "{route:?}\n{answer}{context}");
    // All rules, with what the sender asked for.
    if route.certain {
        let answer = ip(&sender.question()).unwrap_or_default();
        assert!(is_it(&answer), "{route:?}\n{answer}{context}");
    }
}
