//! What the collector takes in userspace: processor time, wake-ups and memory.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Plan;
use crate::auditor::{Auditor, Usage};
use crate::load::{Kind, Load, Spoof, Udp};
use crate::policies;
use crate::report::{Row, Section, Target};
use crate::site::Site;

/// How long a window is, and one in which a million flows come by.
const WINDOW: u64 = 2_000;
const LONG_WINDOW: u64 = 6_000;
/// How long pinif is left alone before: what it still does after it said that it is ready is its start's.
const SETTLE: Duration = Duration::from_millis(500);
/// How many findings the kernel's table holds.
const MOST_FINDINGS: u32 = 65_536;

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif or a load ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("collector: building");
    let site = Site::new()?;
    let mut states = states(&site)?;
    for round in 0..plan.rounds {
        plan.progress.round("collector", round, plan.rounds);
        for state in &mut states {
            // A long one is measured in a third of the rounds.
            if state.window == WINDOW || round % 3 == 0 {
                state.sample(&site)?;
            }
        }
    }
    Ok(vec![Section {
        name: "collector",
        title: "The collector in userspace",
        about: None,
        columns: vec!["traffic", "what"],
        rows: states.into_iter().flat_map(State::rows).collect(),
    }])
}

/// What goes on while it is measured.
struct State {
    name: &'static str,
    load: Option<Load>,
    window: u64,
    /// The share of a processor, the wake-ups a second and the MiB that it may take.
    targets: [Option<f64>; 3],
    measured: Vec<Measured>,
}

struct Measured {
    /// Per cent of a processor.
    busy: f64,
    /// Per cent of a processor for a million packets a second.
    busy_of_million: Option<f64>,
    wake_ups: f64,
    resident: f64,
    /// Packets a second.
    rate: f64,
}

fn states(site: &Site) -> Result<Vec<State>> {
    let clean = Udp::to("10.0.0.2:9".parse()?).bound_to("fab0");
    let leaking = Udp {
        leave_by: Some("eth1".to_owned()),
        ..Udp::to("203.0.113.9:9".parse()?).bound_to("fab0")
    };
    let flows = |flows| -> Result<Load> {
        site.load_of_peer(Kind::Spoof(Spoof {
            to: "10.9.0.9:9".parse()?,
            flows,
        }))
    };
    let state = |name, load, window, targets| State {
        name,
        load,
        window,
        targets,
        measured: Vec::new(),
    };
    // 200 bytes a live finding, over 32 MiB.
    let memory = |findings: u32| Some(32.0 + f64::from(findings) * 200.0 / f64::from(1 << 20));
    Ok(vec![
        state("none", None, WINDOW, [Some(1.0), Some(1.0), memory(0)]),
        state(
            "clean at full rate",
            Some(site.load(Kind::Udp(clean))?),
            WINDOW,
            [Some(1.0), Some(1.0), memory(0)],
        ),
        state(
            "leaking at full rate, 1 flow",
            Some(site.load(Kind::Udp(leaking))?),
            WINDOW,
            [Some(10.0), None, memory(1)],
        ),
        state(
            "leaking at full rate, 10,000 flows",
            Some(flows(10_000)?),
            WINDOW,
            [Some(10.0), None, memory(10_000)],
        ),
        state(
            "leaking at full rate, 1,000,000 flows",
            Some(flows(1_000_000)?),
            LONG_WINDOW,
            [Some(10.0), None, memory(MOST_FINDINGS)],
        ),
    ])
}

impl State {
    fn sample(&mut self, site: &Site) -> Result<()> {
        let auditor = Auditor::of(site, &policies::one_prefix())?;
        thread::sleep(SETTLE);
        let before = auditor.usage()?;
        let packets = match &mut self.load {
            Some(load) => load.send(self.window)?.count,
            None => {
                thread::sleep(Duration::from_millis(self.window));
                0
            }
        };
        let after = auditor.usage()?;
        self.measured
            .push(Measured::between(before, after, packets));
        Ok(())
    }

    fn rows(self) -> Vec<Row> {
        let Self {
            name,
            targets: [busy, wake_ups, resident],
            measured,
            ..
        } = self;
        let of =
            |figure: fn(&Measured) -> Option<f64>| measured.iter().filter_map(figure).collect();
        let is_loaded = measured.iter().any(|measured| measured.rate > 0.0);
        let row = |what: &str, unit, figures, target: Option<f64>| Row {
            target: target.map(Target::AtMost),
            ..Row::new([name, what], unit, figures)
        };
        let mut rows = Vec::new();
        if is_loaded {
            rows.push(row("packets", "packets/s", of(|m| Some(m.rate)), None));
        }
        // What is promised of leaks is so for a million packets a second.
        let is_leak = wake_ups.is_none();
        let (of_it, of_million) = if is_leak { (None, busy) } else { (busy, None) };
        rows.push(row("processor", "% of one", of(|m| Some(m.busy)), of_it));
        if is_leak {
            let what = "processor, for 1,000,000 packets/s";
            rows.push(row(what, "% of one", of(|m| m.busy_of_million), of_million));
        }
        rows.push(row("wake-ups", "1/s", of(|m| Some(m.wake_ups)), wake_ups));
        rows.push(row("resident", "MiB", of(|m| Some(m.resident)), resident));
        rows
    }
}

impl Measured {
    fn between(before: Usage, after: Usage, packets: u64) -> Self {
        let seconds = (after.at - before.at) as f64 / 1e9;
        let busy = (after.busy - before.busy).as_secs_f64() / seconds * 100.0;
        let rate = packets as f64 / seconds;
        Self {
            busy,
            busy_of_million: (packets > 0).then(|| busy * 1e6 / rate),
            wake_ups: (after.wake_ups - before.wake_ups) as f64 / seconds,
            resident: after.resident as f64 / f64::from(1 << 20),
            rate,
        }
    }
}
