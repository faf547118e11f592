//! What a run of each program takes, by the kernel's own statistics, over that of an empty program at the same place.
//!
//! Both see the same packets and calls, one behind the other. The kernel takes the time of a program with what it goes on
//! with by tail calls.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};

use super::Plan;
use crate::auditor::Auditor;
use crate::bpf::{Attached, Hook, Link, Program, Runs, attached_by, empty, runs_of};
use crate::load::{Churn, Kind, Load, Tcp, Udp};
use crate::policies;
use crate::report::{Row, Section, Target};
use crate::site::{STACKED, Site};

/// How long each sample is.
pub(super) const MILLISECONDS: u64 = 60;
/// After how many rounds all is built anew: where the kernel happens to put a program and its maps makes some
/// nanoseconds' difference, which lasts as long as they do.
const ROUNDS_OF_A_BUILD: usize = 3;
/// How often a program must have run in a sample: fewer are by chance.
const LEAST_RUNS: u64 = 100;
/// How many sockets, addresses and prefixes there are where there are many.
pub(super) const SOCKETS: u32 = 100_000;
pub(super) const DESTINATIONS: u32 = 10_000;

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif or a load ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    let _counting =
        enable_stats(Stats::RunTime).context("the kernel keeps no statistics of programs")?;
    let mut measured = Measured::new();
    let mut round = 0;
    while round < plan.rounds {
        plan.progress.say("programs: building");
        let mut stages = [Stage::few()?, Stage::many()?];
        for _ in 0..ROUNDS_OF_A_BUILD.min(plan.rounds - round) {
            plan.progress.round("programs", round, plan.rounds);
            for stage in &mut stages {
                stage.sample(&mut measured)?;
            }
            round += 1;
        }
    }
    Ok(vec![egress(&measured), growth(&measured), hooks(&measured)])
}

/// By stage, load and hook: nanoseconds over the empty program, of each round.
type Measured = BTreeMap<(&'static str, &'static str, Hook), Vec<f64>>;

/// A site with its auditor, the empty programs beside it, and what loads it.
struct Stage {
    name: &'static str,
    loads: Vec<(&'static str, Vec<Load>)>,
    programs: Vec<Attached>,
    empty: Vec<(Attached, Program, Vec<Link>)>,
    // Ended in this order.
    _auditor: Auditor,
    _site: Site,
}

const FEW: &str = "1 socket, 1 prefix";
const LARGE: &str = "100,000 sockets, 10,000 prefixes";

impl Stage {
    fn few() -> Result<Self> {
        Self::new(FEW, &policies::one_prefix(), 1)
    }

    fn many() -> Result<Self> {
        Self::new(LARGE, &policies::prefixes(DESTINATIONS), SOCKETS)
    }

    fn new(name: &'static str, policy: &str, sockets: u32) -> Result<Self> {
        let site = Site::new()?;
        let auditor = Auditor::of(&site, policy)?;
        let programs = attached_by(auditor.pid())?;
        let mut hooks: Vec<Hook> = programs.iter().map(|attached| attached.hook).collect();
        hooks.sort_unstable();
        hooks.dedup();
        let mut empties = Vec::new();
        for hook in hooks
            .into_iter()
            .filter(|hook| hook.program_type().is_some())
        {
            let program = Program::load(hook, &empty(hook))?;
            let links = site.attach(&program, hook)?;
            let attached = Attached {
                program: program.id(),
                hook,
            };
            empties.push((attached, program, links));
        }
        Ok(Self {
            name,
            loads: loads(&site, sockets)?,
            programs,
            empty: empties,
            _auditor: auditor,
            _site: site,
        })
    }

    fn sample(&mut self, measured: &mut Measured) -> Result<()> {
        let ids: Vec<u32> = self.all().map(|attached| attached.program).collect();
        for place in 0..self.loads.len() {
            let before = runs_of(&ids)?;
            let (load, senders) = &mut self.loads[place];
            let load = *load;
            send_in_shares(senders, MILLISECONDS)?;
            let after = runs_of(&ids)?;
            for (Attached { hook, .. }, ..) in &self.empty {
                let mean = |attached: &mut dyn Iterator<Item = &Attached>| {
                    mean(
                        &mut attached.filter(|attached| attached.hook == *hook),
                        &before,
                        &after,
                    )
                };
                let pinif = mean(&mut self.programs.iter());
                let empty = mean(&mut self.empty.iter().map(|(attached, ..)| attached));
                if let (Some(pinif), Some(empty)) = (pinif, empty) {
                    let key = (self.name, load, *hook);
                    measured.entry(key).or_default().push(pinif - empty);
                }
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Attached> {
        let empty = self.empty.iter().map(|(attached, ..)| attached);
        self.programs.iter().chain(empty)
    }
}

/// Has loads send one after the other, each for its share of the time.
pub(super) fn send_in_shares(loads: &mut [Load], milliseconds: u64) -> Result<()> {
    let share = milliseconds.div_ceil(loads.len() as u64);
    for load in loads {
        load.send(share)?;
    }
    Ok(())
}

/// The mean time of a run between two moments, in nanoseconds; nothing of too few.
pub(super) fn mean(
    programs: &mut dyn Iterator<Item = &Attached>,
    before: &BTreeMap<u32, Runs>,
    after: &BTreeMap<u32, Runs>,
) -> Option<f64> {
    let mut all = Runs::default();
    for Attached { program, .. } in programs {
        let runs = after.get(program)?.since(*before.get(program)?);
        all.count += runs.count;
        all.time += runs.time;
    }
    (all.count >= LEAST_RUNS).then(|| all.time.as_nanos() as f64 / all.count as f64)
}

const PINNED: &str = "pinned UDP";
const IN_TURN: &str = "pinned UDP, all sockets in turn";
const UNPINNED: &str = "unpinned UDP";
const IPV6: &str = "pinned UDP over IPv6";
const BULK: &str = "TCP in bulk";
const MANY: &str = "one socket to 10,000 addresses";
const FORWARDED: &str = "forwarded";
const LEAKING: &str = "a leaking flow";
const DEEP: &str = "pinned UDP, bridge on macvlan on veth";
const SHORT: &str = "sockets of one packet";

fn loads(site: &Site, sockets: u32) -> Result<Vec<(&'static str, Vec<Load>)>> {
    let peer = Udp::to("10.0.0.2:9".parse()?);
    let world: std::net::SocketAddr = "203.0.113.9:9".parse()?;
    let on_card = [
        (PINNED, Kind::Udp(peer.clone().bound_to("fab0"))),
        (UNPINNED, Kind::Udp(peer.clone())),
        (
            IPV6,
            Kind::Udp(Udp::to("[fd00::2]:9".parse()?).bound_to("fab0")),
        ),
        (
            BULK,
            Kind::Tcp(Tcp {
                peer: site.chassis.peer.path().to_owned(),
                to: "10.0.0.2:7".parse()?,
                device: Some("fab0".to_owned()),
            }),
        ),
        (
            MANY,
            Kind::Udp(Udp {
                destinations: DESTINATIONS,
                unconnected: true,
                ..Udp::to("10.64.0.0:9".parse()?).bound_to("fab0")
            }),
        ),
        (
            LEAKING,
            Kind::Udp(Udp {
                leave_by: Some("eth1".to_owned()),
                ..Udp::to(world).bound_to("fab0")
            }),
        ),
        (
            DEEP,
            Kind::Udp(Udp::to("10.3.0.2:9".parse()?).bound_to(STACKED)),
        ),
        (
            SHORT,
            Kind::Churn(Churn {
                to: "10.0.0.2:9".parse()?,
                device: "fab0".to_owned(),
            }),
        ),
    ];
    // First, so that the others find its sockets there.
    let mut loads = vec![(IN_TURN, site.sockets(&peer.bound_to("fab0"), sockets)?)];
    for (name, kind) in on_card {
        loads.push((name, vec![site.load(kind).context(name)?]));
    }
    let through = site.load_of_peer(Kind::Udp(Udp::to(world)))?;
    loads.push((FORWARDED, vec![through]));
    Ok(loads)
}

/// What a run at the egress may take at most.
fn target(load: &str) -> Option<Target> {
    match load {
        PINNED | IPV6 | BULK | DEEP => Some(Target::AtMost(45.0)),
        MANY | FORWARDED | SHORT => Some(Target::AtMost(250.0)),
        _ => None,
    }
}

fn egress(measured: &Measured) -> Section {
    let mut rows = Vec::new();
    for load in EGRESS_LOADS {
        for stage in [FEW, LARGE] {
            let rounds = measured.get(&(stage, load, Hook::EGRESS));
            let row = Row::new(
                [load, stage],
                "ns a run over an empty program",
                rounds.cloned().unwrap_or_default(),
            );
            rows.push(Row {
                target: target(load),
                ..row
            });
        }
    }
    Section {
        name: "programs",
        title: "A run of the program at the egress",
        about: Some(
            "Both programs see the same packets, one behind the other. A run is one skb: of TCP in bulk, some 45 packets. Of the stack of three, the figure is the mean of its three runs. The sockets in turn are each out of the processor's caches when they send; `floor` shows what a look-up of their storage takes then.",
        ),
        columns: vec!["traffic", "with"],
        rows,
    }
}

const EGRESS_LOADS: [&str; 10] = [
    PINNED, IN_TURN, IPV6, UNPINNED, BULK, DEEP, MANY, FORWARDED, SHORT, LEAKING,
];

/// How much more it takes where there is much, round by round.
fn growth(measured: &Measured) -> Section {
    let mut rows = Vec::new();
    for load in EGRESS_LOADS {
        let of = |stage| measured.get(&(stage, load, Hook::EGRESS));
        let (Some(few), Some(many)) = (of(FEW), of(LARGE)) else {
            continue;
        };
        let ratios = many.iter().zip(few).map(|(many, few)| many / few).collect();
        rows.push(Row {
            target: Some(Target::AtMost(1.15)),
            ..Row::new([load, "growth"], "times", ratios)
        });
    }
    Section {
        name: "programs",
        title: "A run at the egress with 100,000 sockets and 10,000 prefixes, of one with one of each",
        about: None,
        columns: vec!["traffic", "what"],
        rows,
    }
}

fn hooks(measured: &Measured) -> Section {
    let mut rows = Vec::new();
    let of_short = [
        Hook::CREATE,
        Hook::SETSOCKOPT,
        Hook::POST_BIND4,
        Hook::CONNECT4,
        Hook::RELEASE,
    ];
    for (load, hooks) in [(SHORT, &of_short[..]), (MANY, &[Hook::SENDMSG4])] {
        for &hook in hooks {
            for stage in [FEW, LARGE] {
                if let Some(rounds) = measured.get(&(stage, load, hook)) {
                    let of = [hook.to_string(), load.to_owned(), stage.to_owned()];
                    rows.push(Row::new(
                        of,
                        "ns a run over an empty program",
                        rounds.clone(),
                    ));
                }
            }
        }
    }
    Section {
        name: "programs",
        title: "A run of each hook on system calls",
        about: None,
        columns: vec!["hook", "traffic", "with"],
        rows,
    }
}
