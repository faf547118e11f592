//! How long after a leaking packet its finding's line can be read.
//!
//! Each leak is another user's, and so a new finding. Its time is taken before the system call that sends it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use pinif_userspace::findings::line::FindingLine;

use super::Plan;
use crate::auditor::{Auditor, Line};
use crate::clock;
use crate::load::{Alert, Alerts, Kind, Load, Udp};
use crate::policies;
use crate::report::{Row, Section, Target};
use crate::site::Site;
use crate::statistics::quantile;

/// How long leaks are made in each sample, and how long after each the next one is.
const MILLISECONDS: u64 = 500;
const PAUSE: u64 = 2_000;

const IDLE: &str = "idle";
const FULL_RATE: &str = "beside a leak at full rate";

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, or pinif or a load ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("latency: building");
    let site = Site::new()?;
    let mut flood = site.load(Kind::Udp(Udp {
        leave_by: Some("eth1".to_owned()),
        ..Udp::to("203.0.113.9:9".parse()?).bound_to("fab0")
    }))?;
    let mut measured = [(IDLE, Vec::new()), (FULL_RATE, Vec::new())];
    for round in 0..plan.rounds {
        plan.progress.round("latency", round, plan.rounds);
        for (beside, rounds) in &mut measured {
            let flood = (*beside == FULL_RATE).then_some(&mut flood);
            rounds.push(sample(&site, flood)?);
        }
    }
    let mut rows = Vec::new();
    for (beside, rounds) in measured {
        rows.extend(rows_of(beside, &rounds));
    }
    Ok(vec![Section {
        name: "latency",
        title: "From the packet to its finding's line",
        about: None,
        columns: vec!["machine", "from", "percentile"],
        rows,
    }])
}

/// Two latencies of each leak, in milliseconds.
#[derive(Debug, Default)]
struct Latencies {
    /// From before the system call.
    from_call: Vec<f64>,
    /// From the program's run, which is the line's `time`.
    from_program: Vec<f64>,
}

fn sample(site: &Site, flood: Option<&mut Load>) -> Result<Latencies> {
    let mut auditor = Auditor::of(site, &policies::one_prefix())?;
    let mut leaks = Leaks::send(site, flood)?;
    let mut latencies = Latencies::default();
    while leaks.are_awaited() {
        if let Some((from_call, from_program)) = leaks.take(&auditor.next_line()?)? {
            latencies.from_call.push(from_call);
            latencies.from_program.push(from_program);
        }
    }
    Ok(latencies)
}

/// Leaks, of which each is a new finding, until a line of each was read.
pub struct Leaks {
    /// When each was sent, by its socket's cookie.
    awaited: BTreeMap<u64, u64>,
    wall_of_clock: u64,
    /// Its sockets stay open.
    _load: Load,
}

impl Leaks {
    /// Leaks for a while, beside a flood.
    ///
    /// # Errors
    /// Where a load ends.
    pub fn send(site: &Site, flood: Option<&mut Load>) -> Result<Self> {
        // Made anew, since its sockets stay open.
        let mut load = site.load(Kind::Alerts(Alerts {
            to: "203.0.113.9:9".parse()?,
            device: "fab0".to_owned(),
            leave_by: "eth1".to_owned(),
            pause: PAUSE,
            most: u32::MAX,
        }))?;
        let wall_of_clock = clock::wall().wrapping_sub(clock::now());
        let sent = match flood {
            Some(flood) => {
                flood.begin(MILLISECONDS)?;
                let sent = load.send(MILLISECONDS)?;
                flood.finish()?;
                sent
            }
            None => load.send(MILLISECONDS)?,
        };
        let alerts = sent.alerts.iter();
        Ok(Self {
            awaited: alerts
                .map(|Alert { cookie, sent }| (*cookie, *sent))
                .collect(),
            wall_of_clock,
            _load: load,
        })
    }

    /// Whether there are some of which no line was read yet.
    pub fn are_awaited(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// How long ago the leak was whose first line this is, in milliseconds: from before the system call, and from the program's run. Later
    /// lines of it have its counts.
    ///
    /// # Errors
    /// Where it is a finding's, and cannot be read.
    pub fn take(&mut self, line: &Line) -> Result<Option<(f64, f64)>> {
        let Line { read, text } = line;
        let Some(finding) = FindingLine::read(text).with_context(|| text.clone())? else {
            return Ok(None);
        };
        let cookie = finding.socket_cookie.unwrap_or_default();
        let Some(sent) = self.awaited.remove(&cookie) else {
            return Ok(None);
        };
        let time: jiff::Timestamp = finding.time.parse().context("a finding's time is none")?;
        let seen = time.as_nanosecond() as u64;
        let read_at = read.wrapping_add(self.wall_of_clock);
        Ok(Some((
            milliseconds(sent, *read),
            milliseconds(seen, read_at),
        )))
    }
}

fn milliseconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

fn rows_of(beside: &str, rounds: &[Latencies]) -> Vec<Row> {
    let mut rows = Vec::new();
    let call = |latencies: &Latencies| latencies.from_call.clone();
    let program = |latencies: &Latencies| latencies.from_program.clone();
    for (from, of) in [
        ("before the send", &call as &dyn Fn(&Latencies) -> Vec<f64>),
        ("the program's run", &program),
    ] {
        let each: Vec<Vec<f64>> = rounds.iter().map(|round| sorted(of(round))).collect();
        let all = vec![sorted(each.concat())];
        // A thousandth of a round's is less than one; so that one is of all rounds together.
        for (name, share, of, target) in [
            ("50", 0.5, &each, Some(1.0)),
            ("99", 0.99, &each, Some(5.0)),
            ("99.9, all rounds", 0.999, &all, None),
        ] {
            let figures = of.iter().filter_map(|latencies| quantile(latencies, share));
            let row = Row::new([beside, from, name], "ms", figures.collect());
            let is_promised = from == "before the send";
            rows.push(Row {
                target: target.filter(|_| is_promised).map(Target::AtMost),
                ..row
            });
        }
    }
    rows
}

/// In their order.
pub fn sorted(mut latencies: Vec<f64>) -> Vec<f64> {
    latencies.sort_unstable_by(f64::total_cmp);
    latencies
}
