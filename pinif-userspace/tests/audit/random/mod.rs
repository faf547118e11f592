//! Random topologies: every verdict is what was built makes it, and `--enforce` drops nothing that is contained.
//!
//! A topology has cables that are up, down or without carrier, links on top of them, bridges with a leg of the host's own,
//! domains, a container whose packets are forwarded or masqueraded, what mirrors, redirects, shapes and duplicates packets, Multipath
//! TCP with endpoints and announced addresses, and a policy; and senders of all kinds, each with a known number of packets. What
//! must come of them is worked out from the topology (`oracle`), first for the drivers' counters and then for the audit's matrix and
//! findings, twice: without `--enforce` and with it.
//!
//! `PINIF_RANDOM_SEEDS=500` runs so many topologies, `PINIF_RANDOM_SEED=7` the one of this seed, which a failure prints.

mod build;
mod compare;
mod generate;
mod oracle;
mod policy;
mod senders;
mod topology;
mod traffic;

use std::collections::BTreeMap;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::signal::Signal;
use pinif_lab::LinkKind;

use crate::bench::{Bench, Need, in_words, scenario};
use generate::Machine;
use topology::Topology;

/// How many topologies are looked at where nobody asks for more.
const SEEDS: u64 = 8;

#[test]
fn every_verdict_is_what_the_topology_makes_it() {
    let needs = [
        Need::Link(LinkKind::Bridge),
        Need::Link(LinkKind::Ifb),
        Need::Link(LinkKind::MacVlan),
        Need::Program("bridge"),
        Need::Program("nft"),
        Need::Program("tc"),
    ];
    scenario("random topologies", &needs, |bench| {
        let machine = Machine::of_this();
        let mut failed = Vec::new();
        for seed in seeds(SEEDS) {
            let topology = generate::topology(seed, machine);
            let outcome = catch_unwind(AssertUnwindSafe(|| differences(bench, &topology)));
            let differences =
                outcome.unwrap_or_else(|panic| vec![format!("it ended: {}", in_words(&*panic))]);
            if !differences.is_empty() {
                let policy = policy::text(&topology);
                let text = differences.join("\n");
                eprintln!(
                    "── seed {seed}\n{topology:#?}\n{policy}\n── seed {seed} differs:\n{text}"
                );
                failed.push(seed);
            }
        }
        assert!(
            failed.is_empty(),
            "of these seeds something else came than must; PINIF_RANDOM_SEED=… runs one: {failed:?}"
        );
    });
}

/// The seeds that a run takes: so many, unless the environment names one or another number.
pub fn seeds(unless_named: u64) -> std::ops::Range<u64> {
    let number = |name: &str| {
        let text = env::var(name).ok()?;
        Some(text.parse().expect("a number"))
    };
    match number("PINIF_RANDOM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PINIF_RANDOM_SEEDS").unwrap_or(unless_named),
    }
}

/// In words, all that is otherwise than it must be.
fn differences(bench: &Bench, topology: &Topology) -> Vec<String> {
    let built = build::build(topology);
    let policy = policy::text(topology);
    let mut all = Vec::new();
    for enforced in [false, true] {
        let arguments: &[&str] = if enforced { &["--enforce"] } else { &[] };
        let auditor = bench.auditor().arguments(arguments);
        let auditor = match policy.is_empty() {
            true => auditor,
            false => auditor.policy(&policy),
        };
        let auditor = auditor.start_in(&built.card);
        let sent = traffic::send(bench, &built, topology, enforced);
        let report = auditor.end(|pinif| pinif.signal(Signal::SIGTERM), BTreeMap::new());
        let found = compare::differences(&report, &sent.expected);
        let name = if enforced { "enforced" } else { "audited" };
        let found = sent.differences.into_iter().chain(found);
        all.extend(found.map(|difference| format!("{name}: {difference}")));
    }
    all
}
