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
    // Made anew, since its sockets stay open.
    let mut leaks = site.load(Kind::Alerts(Alerts {
        to: "203.0.113.9:9".parse()?,
        device: "fab0".to_owned(),
        leave_by: "eth1".to_owned(),
        pause: PAUSE,
    }))?;
    let wall_of_clock = clock::wall().wrapping_sub(clock::now());
    let sent = match flood {
        Some(flood) => {
            flood.begin(MILLISECONDS)?;
            let sent = leaks.send(MILLISECONDS)?;
            flood.finish()?;
            sent
        }
        None => leaks.send(MILLISECONDS)?,
    };
    let mut awaited: BTreeMap<u64, u64> = sent
        .alerts
        .iter()
        .map(|Alert { cookie, sent }| (*cookie, *sent))
        .collect();
    let mut latencies = Latencies::default();
    while !awaited.is_empty() {
        let Line { read, text } = auditor.next_line()?;
        let Some(finding) = FindingLine::read(&text).with_context(|| text.clone())? else {
            continue;
        };
        // The first line of each is when it is new; later lines have its counts.
        let cookie = finding.socket_cookie.unwrap_or_default();
        let Some(sent) = awaited.remove(&cookie) else {
            continue;
        };
        latencies.from_call.push(milliseconds(sent, read));
        let time: jiff::Timestamp = finding.time.parse().context("a finding's time is none")?;
        let seen = time.as_nanosecond() as u64;
        let read = read.wrapping_add(wall_of_clock);
        latencies.from_program.push(milliseconds(seen, read));
    }
    Ok(latencies)
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

fn sorted(mut latencies: Vec<f64>) -> Vec<f64> {
    latencies.sort_unstable_by(f64::total_cmp);
    latencies
}
