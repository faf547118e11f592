//! What was measured, as tables.

use super::loads::{AT_EGRESS, CLEAN, DEEP, FORWARDED, LEAKING, LIVES, MANY, SHORT};
use super::stage::{FEW, LARGE, Measured, What};
use crate::bpf::Hook;
use crate::placed::{FLOWS, NAMING, ONCE, RECOGNIZING, RESTRICTION};
use crate::report::{Row, Section, Target};

const OVER: &str = "ns a run over an empty program";
const LEAST: &str = "the least";
const OF_LEAST: &str = "pinif, of the least";
const OF_ONCE: &str = "pinif, of the least that is loaded once";
const TIMES: &str = "times";

/// What a run at the egress may take at most, in nanoseconds. Of the fast path, the bound is a ratio ([`egress_of_least`]).
fn target(load: &str) -> Option<Target> {
    match load {
        MANY | FORWARDED | SHORT => Some(Target::AtMost(250.0)),
        LEAKING => Some(Target::AtMost(300.0)),
        _ => None,
    }
}

/// Round by round, how much more one takes than another.
fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

/// What pinif takes at the egress.
pub fn egress(measured: &Measured) -> Section {
    let mut rows = Vec::new();
    for load in AT_EGRESS {
        for stage in [FEW, LARGE] {
            let rounds = measured.run(What::Pinif, stage, load, Hook::EGRESS);
            let row = Row::new([load, stage], OVER, rounds);
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

/// The same as a ratio to the least of the same round.
pub fn egress_of_least(measured: &Measured) -> Section {
    let mut rows = Vec::new();
    for load in AT_EGRESS {
        for stage in [FEW, LARGE] {
            let of = |what| measured.run(what, stage, load, Hook::EGRESS);
            let (pinif, least) = (of(What::Pinif), of(What::Least));
            let ratio = Row::new([load, stage, OF_LEAST], TIMES, ratios(&pinif, &least));
            rows.push(Row::new([load, stage, LEAST], OVER, least));
            rows.push(Row {
                target: CLEAN.contains(&load).then_some(Target::AtMost(1.15)),
                ..ratio
            });
            let once = of(What::Once);
            let ratio = ratios(&pinif, &once);
            rows.push(Row::new([load, stage, ONCE], OVER, once));
            rows.push(Row::new([load, stage, OF_ONCE], TIMES, ratio));
        }
    }
    Section {
        name: "programs",
        title: "A run at the egress, of the least",
        about: Some(
            "The least is a program that reads the bound device of the packet's socket, finds what is stored with that, reads the addresses and ports, and looks a counter up. It is first at the egress as pinif's is, on links like those, with the same loads, in the same round. The least that is loaded once is the same behind a program of each namespace, which writes a word for it and goes on with it by a tail call, and it looks up which policy is in force: a program that were loaded for each namespace would be verified for each.",
        ),
        columns: vec!["traffic", "with", "what"],
        rows,
    }
}

/// How much more it takes where there is much, round by round.
pub fn growth(measured: &Measured) -> Section {
    let mut rows = Vec::new();
    for load in AT_EGRESS {
        let of = |stage| measured.run(What::Pinif, stage, load, Hook::EGRESS);
        rows.push(Row {
            target: Some(Target::AtMost(1.15)),
            ..Row::new([load, "growth"], TIMES, ratios(&of(LARGE), &of(FEW)))
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

/// What pinif takes at each hook on system calls.
pub fn hooks(measured: &Measured) -> Section {
    let mut rows = Vec::new();
    let of_short = [
        Hook::CREATE,
        Hook::SETSOCKOPT,
        Hook::POST_BIND4,
        Hook::CONNECT4,
        Hook::EGRESS,
        Hook::RELEASE,
    ];
    for (load, hooks) in [(SHORT, &of_short[..]), (MANY, &[Hook::SENDMSG4])] {
        for &hook in hooks {
            for stage in [FEW, LARGE] {
                let of = |what| measured.run(what, stage, load, hook);
                let (pinif, least) = (of(What::Pinif), of(What::Least));
                let (recognizing, naming) = (of(What::Recognizing), of(What::Naming));
                let name = hook.to_string();
                let row = |what, unit, rounds| Row::new([&name, load, stage, what], unit, rounds);
                let ratio = ratios(&pinif, &least);
                rows.push(row("pinif", OVER, pinif));
                rows.push(row(LEAST, OVER, least));
                if load == SHORT {
                    rows.push(row(RECOGNIZING, OVER, recognizing));
                    rows.push(row(NAMING, OVER, naming));
                }
                if hook == Hook::CREATE {
                    rows.push(row(OF_LEAST, TIMES, ratio));
                }
            }
        }
    }
    Section {
        name: "programs",
        title: "A run of each hook of a socket's life",
        about: Some(
            "The least finds what is stored with the socket; at `socket()`, it makes that. Elsewhere it takes some 15 ns, which are known too badly for a ratio: that is in the socket's life.",
        ),
        columns: vec!["hook", "traffic", "with", "what"],
        rows,
    }
}

/// What a socket costs from its beginning to its end.
pub fn lives(measured: &Measured) -> Section {
    const UNIT: &str = "ns a life over empty programs";
    let mut rows = Vec::new();
    for (load, life) in LIVES {
        for stage in [FEW, LARGE] {
            let of = |what| measured.life(what, stage, load);
            let (pinif, least) = (of(What::Pinif), of(What::Least));
            let ratio = ratios(&pinif, &least);
            let floors = [(What::Recognizing, RECOGNIZING), (What::Naming, NAMING)];
            let floors = floors.map(|(what, name)| {
                let rounds = of(what);
                (name, ratios(&pinif, &rounds), rounds)
            });
            rows.push(Row {
                target: (load == SHORT).then_some(Target::AtMost(1_500.0)),
                ..Row::new([life, stage, "pinif"], UNIT, pinif)
            });
            rows.push(Row::new([life, stage, LEAST], UNIT, least));
            rows.push(Row::new([life, stage, OF_LEAST], TIMES, ratio));
            for (name, ratio, rounds) in floors {
                rows.push(Row::new([life, stage, name], UNIT, rounds));
                let of = format!("pinif, of {name}");
                rows.push(Row::new([life, stage, &of], TIMES, ratio));
            }
        }
    }
    Section {
        name: "programs",
        title: "A socket's life",
        about: Some(
            "All runs of all programs of the life, at the hooks and at the egress, over empty programs in the same places. The accepted connection's client is on another host and in no cgroup that is watched; what the kernel sends beside the ten packets, the SYN-ACK and the FIN, is in it. The least is the sum of the least programs. The least that recognizes copies enters each socket into a table with its first packet, and moves it to a table of closed sockets with its close. The least that names whose copies they are reads at `socket()` who makes it (the task's start, how often it has begun another program, its name, cgroup and user), and has that in the tables.",
        ),
        columns: vec!["life", "with", "what"],
        rows,
    }
}

/// What others attach, on a site of their own in the same rounds.
pub fn others(measured: &Measured) -> Section {
    let mut rows = Vec::new();
    for (what, name, hook) in [
        (What::Restriction, RESTRICTION, Hook::CGROUP_EGRESS),
        (What::Flows, FLOWS, Hook::EGRESS),
    ] {
        for load in AT_EGRESS {
            let theirs = measured.run(what, FEW, load, hook);
            // What is forwarded is of no cgroup of this host, and of a stack, the cgroup sees one interface of three.
            if what == What::Restriction && [FORWARDED, DEEP].contains(&load) {
                continue;
            }
            let least = measured.run(What::Least, FEW, load, Hook::EGRESS);
            let ratio = ratios(&theirs, &least);
            rows.push(Row::new([name, load, "a run"], OVER, theirs));
            rows.push(Row::new([name, load, "of the least"], TIMES, ratio));
        }
    }
    Section {
        name: "programs",
        title: "A run of what others attach",
        about: Some(
            "systemd's `RestrictNetworkInterfaces=` looks the packet's interface up in a table, at the cgroup. The table of flows counts packets, bytes and the last time by addresses, ports and protocol, at the egress. Neither knows which device a socket is bound to. The least is pinif's, at the egress.",
        ),
        columns: vec!["program", "traffic", "what"],
        rows,
    }
}
