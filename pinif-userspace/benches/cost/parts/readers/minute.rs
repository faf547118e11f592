//! What a reader costs that stands still for a minute, while all that leaks does so at full rate.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use pinif_userspace::control::protocol::{FindingsPage, Status};

use super::{at_most, mebibytes};
use crate::asking::{Stopped, ask};
use crate::auditor::Auditor;
use crate::load::{Alerts, Kind};
use crate::policies;
use crate::progress::Progress;
use crate::report::{Row, Section};
use crate::site::Site;

/// How many findings grow: more than a reader's queue has room for.
const FINDINGS: u32 = 2_000;
/// How long until all of them are reported, 250 a second, in milliseconds.
const BEFORE: u64 = 10_000;
const MINUTE: u64 = 60_000;

/// Measures.
///
/// # Errors
/// Where pinif or a load ends.
pub(super) fn run(progress: &Progress) -> Result<Section> {
    let site = Site::new()?;
    // What the findings themselves take, as they grow, is no reader's.
    progress.say("readers: a minute without one");
    let without = minute(&site, false)?;
    progress.say("readers: a minute with one that stands still");
    let with = minute(&site, true)?;
    let row = |what, unit, figure| Row::new([what], unit, vec![figure]);
    let grown = |minute: &Minute| mebibytes(minute.after) - mebibytes(minute.before);
    Ok(Section {
        name: "readers",
        title: "A reader that stands still for a minute",
        about: Some(
            "2,000 findings grow meanwhile, at the full rate of one processor: more than a reader's queue has room for. What it misses it learns when it reads on. The minute without a reader is another auditor's.",
        ),
        columns: vec!["what"],
        rows: vec![
            row(
                "the auditor's own memory grows, without a reader",
                "MiB",
                grown(&without),
            ),
            row(
                "the auditor's own memory grows, with this one",
                "MiB",
                grown(&with),
            ),
            at_most(
                row("so the reader costs", "MiB", grown(&with) - grown(&without)),
                1.0,
            ),
            at_most(row("packets not counted", "packets", with.uncounted), 0.0),
            row("packets", "packets", with.sent as f64),
            row("events that it missed", "events", with.missed as f64),
        ],
    })
}

/// What came of a minute.
struct Minute {
    /// The auditor's own memory before it, in bytes.
    before: u64,
    /// The same at its end.
    after: u64,
    sent: u64,
    uncounted: f64,
    /// Events that the reader missed.
    missed: u64,
}

/// A minute of an auditor of its own, which has a reader that stands still, or none.
fn minute(site: &Site, is_read: bool) -> Result<Minute> {
    let auditor = Auditor::of(site, &policies::one_prefix())?;
    let mut leaks = site.load(Kind::Alerts(Alerts {
        to: "203.0.113.9:9".parse()?,
        device: "fab0".to_owned(),
        leave_by: "eth1".to_owned(),
        pause: 0,
        most: FINDINGS,
    }))?;
    let mut sent = leaks.send(BEFORE)?.count;
    let before = auditor.memory()?.anonymous;
    let mut stopped = is_read
        .then(|| Stopped::follow(auditor.socket()))
        .transpose()?;
    sent += leaks.send(MINUTE)?.count;
    let after = auditor.memory()?.anonymous;
    let counted = counted(&auditor)?;
    let missed = stopped.as_mut().map(Stopped::missed).transpose()?;
    let status: Status = serde_json::from_slice(&ask(auditor.socket(), "/v1/status")?)?;
    ensure!(status.uncounted.is_empty(), "{:?}", status.uncounted);
    Ok(Minute {
        before,
        after,
        sent,
        uncounted: sent as f64 - counted as f64,
        missed: missed.unwrap_or_default(),
    })
}

/// The packets of all findings.
fn counted(auditor: &Auditor) -> Result<u64> {
    // The last packets were sent a moment ago, and are read of the kernel's counters with the answer.
    thread::sleep(Duration::from_millis(100));
    let (mut packets, mut from) = (0, Some(0));
    while let Some(place) = from {
        let page = ask(
            auditor.socket(),
            &format!("/v1/findings?limit=250&from={place}"),
        )?;
        let page: FindingsPage = serde_json::from_slice(&page)?;
        packets += page
            .findings
            .iter()
            .map(|finding| finding.packets)
            .sum::<u64>();
        from = page.next;
    }
    Ok(packets)
}
