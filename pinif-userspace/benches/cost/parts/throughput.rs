//! What is left of a host's rate of packets and bytes, with pinif and with what it is compared with.
//!
//! All send by the same sockets on the same links; what watches them is exchanged for each sample, in another order in
//! each round.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use anyhow::Result;

use super::Plan;
use crate::load::{Kind, Load, Sent, Tcp, Udp};
use crate::others::brought;
use crate::report::{Row, Section, Target};
use crate::rivals::Rival;
use crate::site::Site;

/// How long each sample is.
const MILLISECONDS: u64 = 200;
/// How long a load sends before it, for what is set up at the first packets.
const WARM_UP: u64 = 50;

const SMALL: &str = "small UDP";
const UNCONNECTED: &str = "small UDP, unconnected";
const BULK: &str = "TCP in bulk";
const SHORT: &str = "short TCP connections";

/// The programs of the last ones, as `cargo xtask bench` says it.
const WEB: &str = "PINIF_TEST_WEB";
/// How long each sample of the last ones is: as short as wrk can.
const SHORT_MILLISECONDS: u64 = 1_000;

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif or a load ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("throughput: building");
    let site = Site::new()?;
    let mut loads = loads(&site)?;
    let mut rates: BTreeMap<(&str, Rival), Vec<f64>> = BTreeMap::new();
    let mut obstacles = BTreeMap::new();
    for round in 0..plan.rounds {
        plan.progress.round("throughput", round, plan.rounds);
        for rival in order(round) {
            if obstacles.contains_key(&rival) {
                continue;
            }
            let _there = match rival.set_up(&site) {
                Ok(there) => there,
                Err(error) if rival > Rival::Pinif => {
                    obstacles.insert(rival, format!("{error:#}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (name, load) in &mut loads {
                let sent = if *name == SHORT {
                    load.send(SHORT_MILLISECONDS)?
                } else {
                    load.send(WARM_UP)?;
                    load.send(MILLISECONDS)?
                };
                rates
                    .entry((*name, rival))
                    .or_default()
                    .push(rate(name, sent));
            }
        }
    }
    drop(loads);
    Ok(vec![section(&rates, &obstacles)])
}

/// All of them in an order that is another in each round, so that what one leaves in the caches falls on all in equal measure.
fn order(round: usize) -> [Rival; Rival::ALL.len()] {
    let mut rivals = Rival::ALL;
    // As good as by chance, and the same in each run: this hasher has fixed keys.
    rivals.sort_by_cached_key(|rival| {
        BuildHasherDefault::<DefaultHasher>::default().hash_one((round, rival))
    });
    rivals
}

fn loads(site: &Site) -> Result<Vec<(&'static str, Load)>> {
    let small = Udp::to("10.0.0.2:9".parse()?).bound_to("fab0");
    let unconnected = Udp {
        unconnected: true,
        ..small.clone()
    };
    let bulk = Tcp {
        peer: site.chassis.peer.path().to_owned(),
        to: "10.0.0.2:7".parse()?,
        device: Some("fab0".to_owned()),
    };
    Ok(vec![
        (SMALL, site.load(Kind::Udp(small))?),
        (UNCONNECTED, site.load(Kind::Udp(unconnected))?),
        (BULK, site.load(Kind::Tcp(bulk))?),
        (SHORT, site.web(brought(WEB)?, "10.0.0.1:8080".parse()?)?),
    ])
}

/// Packets, connections or MiB a second.
fn rate(load: &str, sent: Sent) -> f64 {
    let seconds = sent.busy as f64 / 1e9;
    if load == BULK {
        sent.bytes as f64 / f64::from(1 << 20) / seconds
    } else {
        sent.count as f64 / seconds
    }
}

fn section(
    rates: &BTreeMap<(&'static str, Rival), Vec<f64>>,
    obstacles: &BTreeMap<Rival, String>,
) -> Section {
    let mut rows = Vec::new();
    for (load, unit, least) in [
        (SMALL, "packets/s", 0.97),
        (UNCONNECTED, "packets/s", 0.92),
        (BULK, "MiB/s", 0.99),
        (SHORT, "connections/s", 0.97),
    ] {
        let bare = rates
            .get(&(load, Rival::Nothing))
            .cloned()
            .unwrap_or_default();
        for rival in Rival::ALL {
            let with = rates.get(&(load, rival)).cloned().unwrap_or_default();
            // Of one round, in which all had the same machine.
            let shares = with
                .iter()
                .zip(&bare)
                .map(|(with, bare)| with / bare)
                .collect();
            let of = |what: &str| [load.to_owned(), rival.to_string(), what.to_owned()];
            let obstacle = obstacles.get(&rival);
            let missing = |row: Row| Row {
                missing: obstacle.cloned().or(row.missing.clone()),
                ..row
            };
            rows.push(missing(Row::new(of("rate"), unit, with)));
            if rival != Rival::Nothing {
                let share = Row::new(of("of nothing's"), "", shares);
                let target = (rival == Rival::Pinif).then_some(Target::AtLeast(least));
                rows.push(Row {
                    target,
                    ..missing(share)
                });
            }
        }
    }
    Section {
        name: "throughput",
        title: "What is left of the rate",
        about: Some(
            "Small UDP is of the least size of a frame. Short TCP connections are those of nginx on the card: wrk makes eight at a time on the peer, each for one request, and the server closes it. Rates are of one processor, which sends, carries and receives; of the short connections, those of both programs. The nftables ruleset counts by the same policy and records nothing; bpftrace counts by (bound device, interface) at `net_dev_start_xmit`, on all of the machine. systemd's `RestrictNetworkInterfaces=` looks each packet's interface up in a table, at the cgroup, where it leaves and where it arrives; the table of flows counts packets, bytes and the last time by addresses, ports and protocol, at TC egress, as agents do that export flows: both are programs of the bench with as many steps.",
        ),
        columns: vec!["traffic", "attached", "what"],
        rows,
    }
}
