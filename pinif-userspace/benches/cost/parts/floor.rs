//! What single steps take that a program like pinif's is made of, so that a target that is missed can be explained.
//!
//! Each step is a program of its own by the side of an empty one, and is measured as pinif's are in `programs`.

use std::collections::BTreeMap;
use std::iter;

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};

use super::Plan;
use super::programs::{DESTINATIONS, MILLISECONDS, SOCKETS, mean, send_in_shares};
use crate::bpf::{Hook, Map, MapKind, Program, assemble, empty, runs_of};
use crate::load::{Churn, Kind, Load, Tcp, Udp};
use crate::placed::{HOOKS, Placed};
use crate::report::{Row, Section};
use crate::site::Site;

/// How long all loads send beforehand, so that every socket has sent.
const WARM_UP: u64 = 1_000;

const ONE: &str = "UDP to one address";
const MANY: &str = "UDP to 10,000 addresses";
const BULK: &str = "TCP in bulk";
const IN_TURN: &str = "UDP, 100,000 sockets in turn";
const SHORT: &str = "sockets of one packet";

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or a load ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("floor: building");
    let _counting =
        enable_stats(Stats::RunTime).context("the kernel keeps no statistics of programs")?;
    let site = Site::new()?;
    let mut loads = loads(&site)?;
    let programs = Map::new(MapKind::Programs, 4, 1)?;
    programs.enter_program(&Program::load(Hook::EGRESS, &empty(Hook::EGRESS))?)?;
    let (steps, _beside) = steps(&site, &programs)?;
    // Each socket's storage is made at its first packet.
    for (_, senders) in &mut loads {
        send_in_shares(senders, WARM_UP)?;
    }
    let empties: Vec<Placed> = iter::once(Hook::EGRESS)
        .chain(HOOKS)
        .map(|hook| Placed::new(&site, hook, &empty(hook)))
        .collect::<Result<_>>()?;

    let mut of_steps: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
    let mut of_empties: BTreeMap<(Hook, &str), Vec<f64>> = BTreeMap::new();
    for round in 0..plan.rounds {
        plan.progress.round("floor", round, plan.rounds);
        for (load, senders) in &mut loads {
            let all = empties.iter().chain(steps.iter().map(|(_, step)| step));
            let ids: Vec<u32> = all.map(|placed| placed.attached.program).collect();
            let before = runs_of(&ids)?;
            send_in_shares(senders, MILLISECONDS)?;
            let after = runs_of(&ids)?;
            let mean = |placed: &Placed| mean(&mut iter::once(&placed.attached), &before, &after);
            for placed in &empties {
                let key = (placed.attached.hook, *load);
                of_empties.entry(key).or_default().extend(mean(placed));
            }
            let Some(nothing) = mean(&empties[0]) else {
                continue;
            };
            for (number, (_, placed)) in steps.iter().enumerate() {
                let step = mean(placed).map(|time| time - nothing);
                of_steps.entry((number, *load)).or_default().extend(step);
            }
        }
    }
    drop(loads);

    let mut rows = Vec::new();
    for (hook, load) in iter::once(Hook::EGRESS)
        .chain(HOOKS)
        .flat_map(|hook| [ONE, MANY, SHORT].map(|load| (hook, load)))
    {
        let rounds = of_empties.remove(&(hook, load)).unwrap_or_default();
        // The first is for all traffic; the others run for what their load calls.
        if !rounds.is_empty() && (hook != Hook::EGRESS || load == ONE) {
            let what = format!("an empty program at {hook}");
            rows.push(Row::new([what.as_str(), load], "ns a run", rounds));
        }
    }
    for (number, (name, _)) in steps.iter().enumerate() {
        for load in [ONE, BULK, MANY, IN_TURN, SHORT] {
            let rounds = of_steps.remove(&(number, load)).unwrap_or_default();
            rows.push(Row::new(
                [*name, load],
                "ns a run over an empty program",
                rounds,
            ));
        }
    }
    Ok(vec![Section {
        name: "floor",
        title: "What single steps of a program take",
        about: Some("Negative figures are empty programs, as far as can be measured."),
        columns: vec!["step", "traffic"],
        rows,
    }])
}

/// A step's name, and the program that takes it.
type Step = (&'static str, Placed);

/// The steps, and what runs beside them. `programs` is a program array, which forgets its programs once no process holds it.
fn steps(site: &Site, programs: &Map) -> Result<(Vec<Step>, Vec<Placed>)> {
    let storage = Map::new(MapKind::SocketStorage, 4, 0)?;
    let array = Map::new(MapKind::Array, 4, 1)?;
    let per_cpu_array = Map::new(MapKind::PerCpuArray, 4, 1)?;
    let hash = Map::new(MapKind::Hash, 24, 65_536)?;
    hash.enter(&[0; 24])?;
    let per_cpu_hash = Map::new(MapKind::PerCpuHash, 24, 65_536)?;
    per_cpu_hash.enter(&[0; 24])?;
    let entered = Map::new(MapKind::Hash, 24, 65_536)?;
    // As pinif does, at socket() and at the last close().
    let stored = Map::new(MapKind::SocketStorage, 4, 0)?;
    let first = Map::new(MapKind::Hash, 24, 262_144)?;
    let beside = vec![
        Placed::new(
            site,
            Hook::CREATE,
            &assemble::storage_at(Hook::CREATE, &stored),
        )?,
        Placed::new(site, Hook::RELEASE, &assemble::remove_cookie(&first))?,
    ];
    let one_prefix = Map::new(MapKind::Prefixes, 8, 1)?;
    one_prefix.enter(&prefix(8, [10, 0, 0, 0]))?;
    let prefixes = Map::new(MapKind::Prefixes, 8, DESTINATIONS)?;
    for number in 0..DESTINATIONS {
        prefixes.enter(&prefix(
            32,
            [10, 64, (number / 256) as u8, (number % 256) as u8],
        ))?;
    }
    // What a map is used by keeps it. The first finds out of the caches what those behind it find in them.
    let steps = [
        (
            "the least for a packet: bound device, what is stored with its socket, addresses, a counter",
            assemble::least(&stored, &per_cpu_array),
        ),
        (
            "beside that, for a first packet: an entry of the socket into a hash table, until it is closed",
            assemble::enter_cookie(&first),
        ),
        ("a tail call", assemble::tail_call(programs)),
        (
            "the bound device of the packet's socket",
            assemble::bound_device(),
        ),
        (
            "what is stored with the packet's socket",
            assemble::storage(&storage),
        ),
        ("the socket's cookie", assemble::cookie()),
        ("the time", assemble::time()),
        ("a copy of the IPv4 header", assemble::header()),
        ("a look-up in an array", assemble::look_up(&array)),
        (
            "a look-up in an array of each processor",
            assemble::look_up(&per_cpu_array),
        ),
        ("a look-up in a hash table", assemble::look_up(&hash)),
        (
            "a look-up in a hash table of each processor",
            assemble::look_up(&per_cpu_hash),
        ),
        (
            "an entry into a hash table, and out of it",
            assemble::enter_and_remove(&entered),
        ),
        (
            "the destination in a trie of 1 prefix",
            assemble::look_up_destination(&one_prefix),
        ),
        (
            "the destination in a trie of 10,000 prefixes",
            assemble::look_up_destination(&prefixes),
        ),
    ]
    .into_iter()
    .map(|(name, instructions)| {
        let placed = Placed::new(site, Hook::EGRESS, &instructions).context(name)?;
        Ok((name, placed))
    })
    .collect::<Result<_>>()?;
    Ok((steps, beside))
}

/// A key of a trie: `struct bpf_lpm_trie_key_u8`.
fn prefix(length: u32, address: [u8; 4]) -> [u8; 8] {
    let [a, b, c, d] = length.to_ne_bytes();
    let [e, f, g, h] = address;
    [a, b, c, d, e, f, g, h]
}

fn loads(site: &Site) -> Result<Vec<(&'static str, Vec<Load>)>> {
    let one = Udp::to("10.0.0.2:9".parse()?).bound_to("fab0");
    let many = Udp {
        destinations: DESTINATIONS,
        unconnected: true,
        ..Udp::to("10.64.0.0:9".parse()?).bound_to("fab0")
    };
    let bulk = Tcp {
        peer: site.chassis.peer.path().to_owned(),
        to: "10.0.0.2:7".parse()?,
        device: Some("fab0".to_owned()),
    };
    let short = Churn {
        to: "10.0.0.2:9".parse()?,
        datagrams: 1,
        device: "fab0".to_owned(),
    };
    Ok(vec![
        (IN_TURN, site.sockets(&one, SOCKETS)?),
        (ONE, vec![site.load(Kind::Udp(one))?]),
        (BULK, vec![site.load(Kind::Tcp(bulk))?]),
        (MANY, vec![site.load(Kind::Udp(many))?]),
        (SHORT, vec![site.load(Kind::Churn(short))?]),
    ])
}
