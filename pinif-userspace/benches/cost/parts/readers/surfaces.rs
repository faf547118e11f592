//! How long the control socket takes for an answer, and what the auditor does for it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::asking::{Reader, ask};
use crate::auditor::Auditor;
use crate::clock;
use crate::report::Row;

/// How often each is asked for.
const TIMES: usize = 3;
/// After this, a snapshot is made anew.
const SNAPSHOT: Duration = Duration::from_millis(1_050);

/// One answer.
struct Answer {
    /// Until it was read, in milliseconds.
    took: f64,
    /// What the auditor was on a processor meanwhile, in milliseconds.
    busy: f64,
    kibibytes: f64,
}

/// Asks an auditor for each surface.
///
/// # Errors
/// Where it does not answer.
pub(super) fn rows(host: &str, auditor: &Auditor) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (surface, target) in [
        ("status", "/v1/status"),
        ("matrix", "/v1/matrix"),
        ("metrics", "/v1/metrics"),
        ("events, the first line", ""),
    ] {
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            thread::sleep(SNAPSHOT);
            first.push(answer(auditor, target)?);
            again.push(answer(auditor, target)?);
        }
        rows.extend(of(host, &format!("{surface}, first"), &first));
        // It is as long.
        rows.extend(
            of(host, &format!("{surface}, again"), &again)
                .into_iter()
                .take(2),
        );
    }
    for (surface, target) in [
        ("findings, a page of 100", "/v1/findings"),
        ("findings, a page of 250", "/v1/findings?limit=250"),
        (
            "findings, of a process that has none",
            "/v1/findings?process=none",
        ),
    ] {
        let answers: Result<Vec<_>> = (0..TIMES).map(|_| answer(auditor, target)).collect();
        rows.extend(of(host, surface, &answers?));
    }
    Ok(rows)
}

fn of(host: &str, surface: &str, answers: &[Answer]) -> [Row; 3] {
    let row = |what, unit, figure: fn(&Answer) -> f64| {
        let figures = answers.iter().map(figure).collect();
        Row::new([host, surface, what], unit, figures)
    };
    [
        row("until it is read", "ms", |answer| answer.took),
        row("the auditor's processor time", "ms", |answer| answer.busy),
        row("length", "KiB", |answer| answer.kibibytes),
    ]
}

fn answer(auditor: &Auditor, target: &str) -> Result<Answer> {
    let before = auditor.usage()?;
    let start = clock::now();
    let length = read(auditor.socket(), target)?;
    let took = clock::now() - start;
    let after = auditor.usage()?;
    Ok(Answer {
        took: took as f64 / 1e6,
        busy: (after.busy - before.busy).as_secs_f64() * 1e3,
        kibibytes: length as f64 / 1024.0,
    })
}

/// How long what is read is, in bytes.
fn read(socket: &Path, target: &str) -> Result<usize> {
    if target.is_empty() {
        return Ok(Reader::follow(socket, false)?.first());
    }
    Ok(ask(socket, target)?.len())
}
