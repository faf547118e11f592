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
        about: Some(
            "Traffic is at the full rate of one processor, shared with the rest of the machine. Many flows are of other hosts, forwarded from as many addresses: they are one finding. In the first window it is new, in the next its counts grow.",
        ),
        columns: vec!["traffic", "findings", "what"],
        rows: states.into_iter().flat_map(State::rows).collect(),
    }])
}

/// What goes on while it is measured.
struct State {
    name: &'static str,
    load: Option<Load>,
    window: u64,
    /// The windows of a sample, one behind the other: where the finding is new in the first, there is one in which it is known.
    windows: Vec<(&'static str, Vec<Measured>)>,
    /// The share of a processor, the wake-ups a second and the MiB that it may take.
    targets: [Option<f64>; 3],
}

struct Measured {
    /// Per cent of a processor.
    busy: f64,
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
    let state = |name, load, window, windows: &[&'static str], targets| State {
        name,
        load,
        window,
        windows: windows.iter().map(|&window| (window, Vec::new())).collect(),
        targets,
    };
    // 200 bytes a live finding, over 24 MiB.
    let memory = |findings: u32| Some(24.0 + f64::from(findings) * 200.0 / f64::from(1 << 20));
    Ok(vec![
        state(
            "none",
            None,
            WINDOW,
            &["none"],
            [Some(1.0), Some(1.0), memory(0)],
        ),
        state(
            "clean",
            Some(site.load(Kind::Udp(clean))?),
            WINDOW,
            &["none"],
            [Some(1.0), Some(1.0), memory(0)],
        ),
        state(
            "leaking, 1 flow",
            Some(site.load(Kind::Udp(leaking))?),
            WINDOW,
            &["known"],
            [Some(10.0), None, memory(1)],
        ),
        state(
            "leaking, 10,000 flows",
            Some(flows(10_000)?),
            WINDOW,
            &["new", "known"],
            [Some(10.0), None, memory(1)],
        ),
        state(
            "leaking, 1,000,000 flows",
            Some(flows(1_000_000)?),
            LONG_WINDOW,
            &["new", "known"],
            [Some(10.0), None, memory(1)],
        ),
    ])
}

impl State {
    fn sample(&mut self, site: &Site) -> Result<()> {
        let auditor = Auditor::of(site, &policies::one_prefix())?;
        thread::sleep(SETTLE);
        for (_, measured) in &mut self.windows {
            let before = auditor.usage()?;
            let packets = match &mut self.load {
                Some(load) => load.send(self.window)?.count,
                None => {
                    thread::sleep(Duration::from_millis(self.window));
                    0
                }
            };
            let after = auditor.usage()?;
            measured.push(Measured::between(before, after, packets));
        }
        Ok(())
    }

    fn rows(self) -> Vec<Row> {
        let [busy, wake_ups, resident] = self.targets;
        let mut rows = Vec::new();
        for (findings, measured) in &self.windows {
            let mut row = |what, unit, figure: fn(&Measured) -> f64, target: Option<f64>| {
                let figures = measured.iter().map(figure).collect();
                rows.push(Row {
                    target: target.map(Target::AtMost),
                    ..Row::new([self.name, findings, what], unit, figures)
                });
            };
            if self.load.is_some() {
                row("packets", "packets/s", |m| m.rate, None);
            }
            row("processor", "% of one", |m| m.busy, busy);
            row("wake-ups", "1/s", |m| m.wake_ups, wake_ups);
            row("resident", "MiB", |m| m.resident, resident);
        }
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
            wake_ups: (after.wake_ups - before.wake_ups) as f64 / seconds,
            resident: after.resident as f64 / f64::from(1 << 20),
            rate,
        }
    }
}
