//! What readers of events take of the auditor, and of the packets' path.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{MEMORY, at_most, mebibytes};
use crate::asking::{Reader, Stopped};
use crate::auditor::Auditor;
use crate::bpf::facts_of;
use crate::load::{Kind, Load, Udp};
use crate::policies;
use crate::progress::Progress;
use crate::report::{Row, Section, Target};
use crate::site::Site;

/// How long a sample is, in milliseconds.
const WINDOW: u64 = 2_000;
/// How long an auditor, or a change of readers, is left alone before.
const SETTLE: Duration = Duration::from_millis(500);

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Nobody,
    One,
    Sixteen,
    OneStandsStill,
}

impl Who {
    const ALL: [Self; 4] = [Self::Nobody, Self::One, Self::Sixteen, Self::OneStandsStill];

    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "0",
            Self::One => "1",
            Self::Sixteen => "16",
            Self::OneStandsStill => "16, one stands still",
        }
    }

    fn follow(self, auditor: &Auditor) -> Result<(Vec<Reader>, Option<Stopped>)> {
        let (read, stands_still) = match self {
            Self::Nobody => (0, false),
            Self::One => (1, false),
            Self::Sixteen => (16, false),
            Self::OneStandsStill => (15, true),
        };
        let socket = auditor.socket();
        let readers: Result<_> = (0..read).map(|_| Reader::follow(socket, false)).collect();
        let stopped = stands_still.then(|| Stopped::follow(socket)).transpose()?;
        Ok((readers?, stopped))
    }
}

/// What was measured of one sample.
struct Sample {
    /// Packets a second of the load's processor time.
    rate: Option<f64>,
    /// Per cent of a processor.
    busy: f64,
    wake_ups: f64,
    anonymous: f64,
    proportional: f64,
}

type Samples = BTreeMap<(&'static str, Who), Vec<Sample>>;

/// Measures.
///
/// # Errors
/// Where pinif, a reader or a load ends, or its programs are others while somebody reads.
pub(super) fn run(progress: &Progress, rounds: usize) -> Result<Section> {
    progress.say("readers: building");
    let site = Site::new()?;
    let clean = Udp::to("10.0.0.2:9".parse()?).bound_to("fab0");
    let leaking = Udp {
        leave_by: Some("eth1".to_owned()),
        ..Udp::to("203.0.113.9:9".parse()?).bound_to("fab0")
    };
    let mut traffics = [
        ("none", None),
        ("clean", Some(site.load(Kind::Udp(clean))?)),
        ("leaking", Some(site.load(Kind::Udp(leaking))?)),
    ];
    let mut samples = Samples::new();
    for round in 0..rounds {
        progress.round("readers", round, rounds);
        let auditor = Auditor::of(&site, &policies::one_prefix())?;
        for (traffic, load) in &mut traffics {
            // In another order in each round, so that what one leaves behind falls on all.
            for index in 0..Who::ALL.len() {
                let who = Who::ALL[(index + round) % Who::ALL.len()];
                // Where nothing is found, one that stands still does nothing else than one that reads.
                if who == Who::OneStandsStill && *traffic != "leaking" {
                    continue;
                }
                let sample = sample(&auditor, who, load.as_mut())?;
                samples.entry((traffic, who)).or_default().push(sample);
            }
        }
    }
    let order = traffics.map(|(traffic, _)| traffic);
    Ok(Section {
        name: "readers",
        title: "What readers of events cost",
        about: Some(
            "Readers follow `/v1/events?snapshots=true`, as `pinif serve` does. Traffic is at the full rate of one processor. A rate's share is of the same round's without a reader; the programs were the same ones throughout, to the byte.",
        ),
        columns: vec!["traffic", "readers", "what"],
        rows: order
            .into_iter()
            .flat_map(|traffic| rows(&samples, traffic))
            .collect(),
    })
}

fn sample(auditor: &Auditor, who: Who, load: Option<&mut Load>) -> Result<Sample> {
    let programs = facts_of(auditor.pid())?;
    let _readers = who.follow(auditor)?;
    thread::sleep(SETTLE);
    let before = auditor.usage()?;
    let sent = match load {
        Some(load) => Some(load.send(WINDOW)?),
        None => {
            thread::sleep(Duration::from_millis(WINDOW));
            None
        }
    };
    let after = auditor.usage()?;
    let memory = auditor.memory()?;
    ensure!(
        facts_of(auditor.pid())? == programs,
        "readers change the programs"
    );
    let seconds = (after.at - before.at) as f64 / 1e9;
    Ok(Sample {
        rate: sent.map(|sent| sent.count as f64 * 1e9 / sent.busy as f64),
        busy: (after.busy - before.busy).as_secs_f64() / seconds * 100.0,
        wake_ups: (after.wake_ups - before.wake_ups) as f64 / seconds,
        anonymous: mebibytes(memory.anonymous),
        proportional: mebibytes(memory.proportional),
    })
}

fn rows(samples: &Samples, traffic: &'static str) -> Vec<Row> {
    let mut rows = Vec::new();
    for who in Who::ALL {
        let (Some(with), Some(without)) = (
            samples.get(&(traffic, who)),
            samples.get(&(traffic, Who::Nobody)),
        ) else {
            continue;
        };
        let row = |what, unit, figure: fn(&Sample) -> f64| {
            let figures = with.iter().map(figure).collect();
            Row::new([traffic, who.name(), what], unit, figures)
        };
        let shares = with.iter().zip(without);
        let shares = shares.filter_map(|(with, without)| Some(with.rate? / without.rate?));
        if traffic != "none" {
            rows.push(row("packets", "packets/s", |sample| {
                sample.rate.unwrap_or_default()
            }));
            if who != Who::Nobody {
                let of = [traffic, who.name(), "packets, of those without a reader"];
                rows.push(Row {
                    target: Some(Target::AtLeast(0.97)),
                    ..Row::new(of, "", shares.collect())
                });
            }
        }
        rows.push(row("processor", "% of one", |sample| sample.busy));
        let wake_ups = row("wake-ups", "1/s", |sample| sample.wake_ups);
        rows.push(match (traffic, who) {
            ("leaking", _) => wake_ups,
            (_, Who::Nobody) => at_most(wake_ups, 0.0),
            _ => at_most(wake_ups, 1.0),
        });
        rows.push(row("its own memory", "MiB", |sample| sample.anonymous));
        let all = row("memory, with its share", "MiB", |sample| {
            sample.proportional
        });
        rows.push(at_most(all, MEMORY));
    }
    rows
}
