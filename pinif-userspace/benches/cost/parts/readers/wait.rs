//! How long after a leaking packet an event of its finding can be read at the control socket.

use anyhow::Result;

use super::at_most;
use crate::asking::Reader;
use crate::auditor::Auditor;
use crate::load::{Kind, Load, Udp};
use crate::parts::latency::{Leaks, sorted};
use crate::policies;
use crate::progress::Progress;
use crate::report::{Row, Section};
use crate::site::Site;
use crate::statistics::quantile;

const IDLE: &str = "idle";
const FULL_RATE: &str = "beside a leak at full rate";

/// Measures.
///
/// # Errors
/// Where pinif, a reader or a load ends.
pub(super) fn run(progress: &Progress, rounds: usize) -> Result<Section> {
    let site = Site::new()?;
    let mut flood = site.load(Kind::Udp(Udp {
        leave_by: Some("eth1".to_owned()),
        ..Udp::to("203.0.113.9:9".parse()?).bound_to("fab0")
    }))?;
    let states = [(IDLE, 1), (IDLE, 16), (FULL_RATE, 1), (FULL_RATE, 16)];
    let mut measured = states.map(|_| Vec::new());
    for round in 0..rounds {
        progress.round("readers: from packet to event", round, rounds);
        for ((machine, readers), measured) in states.iter().zip(&mut measured) {
            let flood = (*machine == FULL_RATE).then_some(&mut flood);
            measured.push(sorted(sample(&site, *readers, flood)?));
        }
    }
    let mut rows = Vec::new();
    for ((machine, readers), rounds) in states.iter().zip(measured) {
        for (name, share, most) in [("50", 0.5, 1.0), ("99", 0.99, 5.0)] {
            let figures = rounds.iter().filter_map(|each| quantile(each, share));
            let readers = readers.to_string();
            let row = Row::new([machine, readers.as_str(), name], "ms", figures.collect());
            rows.push(at_most(row, most));
        }
    }
    Ok(Section {
        name: "readers",
        title: "From the packet to its event on the control socket",
        about: Some(
            "From before the system call until the line is read, by the first of the readers. Each leak is of a new user, and so a new finding.",
        ),
        columns: vec!["machine", "readers", "percentile"],
        rows,
    })
}

/// The latencies of some leaks, in milliseconds.
fn sample(site: &Site, readers: usize, flood: Option<&mut Load>) -> Result<Vec<f64>> {
    let auditor = Auditor::of(site, &policies::one_prefix())?;
    let mut first = Reader::follow(auditor.socket(), true)?;
    let others: Result<Vec<_>> = (1..readers)
        .map(|_| Reader::follow(auditor.socket(), false))
        .collect();
    let others = others?;
    let mut leaks = Leaks::send(site, flood)?;
    let mut latencies = Vec::new();
    while leaks.are_awaited() {
        let line = first.next_line()?;
        latencies.extend(leaks.take(&line)?.map(|(latency, _)| latency));
    }
    drop(others);
    Ok(latencies)
}
