//! How a running audit stands, on one screen.

use super::{
    look::{self, Look},
    next, phrase, table,
};
use crate::{
    control::protocol::{CaptureStatus, Incomplete, InterfaceStatus, PolicyStatus, Status},
    findings::alert_state::AlertState,
    text::{
        escape::visible,
        words::{counted, grouped, wrapped},
    },
};

/// Where the texts begin beside their labels.
const INDENT: usize = 11;
/// How many interfaces that are not audited are named.
const REFUSED: usize = 8;

/// The screen: what is audited, what was found, the worst of it, and what is not seen.
pub fn render(status: &Status, look: Look, columns: Option<usize>) -> String {
    let mut text = String::new();
    for (label, line) in lines(status) {
        let line = visible(&line);
        let line = match columns {
            Some(columns) if columns > 2 * INDENT => wrapped(&line, columns, INDENT),
            _ => line.into_owned(),
        };
        let label = format!("{label:<INDENT$}");
        text.push_str(&format!("{}{line}\n", look.paint(look::faint(), &label)));
    }
    if !status.worst.is_empty() {
        text.push('\n');
        text.push_str(&table::table(&status.worst).list(look, columns));
        let all: u64 = status.findings.iter().map(|count| count.number).sum();
        let more = all.saturating_sub(status.worst.len() as u64);
        if more > 0 {
            text.push_str(&format!("and {} more: `pinif findings`\n", grouped(more)));
        }
    }
    let calm = || next::of_calm(status.policy.source.path.is_some()).to_owned();
    let next = next::gravest(&status.worst).unwrap_or_else(calm);
    let next = match columns {
        Some(columns) => wrapped(&next, columns, 0),
        None => next,
    };
    text.push_str(&format!("\n{next}\n"));
    text
}

/// What there is to know of an audit: labels and texts, which are not safe to show yet.
pub fn lines(status: &Status) -> Vec<(&'static str, String)> {
    let (refused, audited): (Vec<_>, Vec<_>) = status
        .interfaces
        .iter()
        .partition(|interface| interface.refused.is_some());
    let mut lines = vec![
        ("audits", audits(status, &audited)),
        ("since", since(status)),
        ("policy", policy(&status.policy)),
        ("packets", packets(status)),
        ("findings", findings(status)),
    ];
    if status.incomplete.contains(&Incomplete::Starting) {
        let text = "the audit begins: not all interfaces are attached yet";
        lines.push(("blind", text.to_owned()));
    }
    for interface in refused.iter().take(REFUSED) {
        let InterfaceStatus {
            netns,
            name,
            refused,
        } = interface;
        let why = refused.as_deref().unwrap_or_default();
        lines.push(("blind", format!("{name} of {netns} is not audited: {why}")));
    }
    if refused.len() > REFUSED {
        let more = counted((refused.len() - REFUSED) as u64, "more interface");
        lines.push(("blind", format!("{more} not audited")));
    }
    for failure in status.policy.source.failure.iter().flatten() {
        lines.push(("reload", failure.clone()));
    }
    for lost in phrase::lost(&status.uncounted) {
        lines.push(("uncounted", lost));
    }
    if let Some(capture) = &status.capture {
        lines.push(("captured", captured(capture)));
    }
    let followers = status
        .readers
        .iter()
        .filter(|reader| reader.follows)
        .count();
    lines.push((
        "asked by",
        format!(
            "{}, of which {} follow what happens",
            counted(status.readers.len() as u64, "reader"),
            followers
        ),
    ));
    lines
}

fn audits(status: &Status, audited: &[&InterfaceStatus]) -> String {
    let mut namespaces: Vec<&str> = audited.iter().map(|interface| &*interface.netns).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let of = match namespaces.as_slice() {
        [] => String::new(),
        [one] => format!(" of {one}"),
        several => format!(" of {} namespaces", several.len()),
    };
    let drops = if status.enforces {
        "; leaks are dropped"
    } else {
        "; nothing is dropped"
    };
    format!(
        "{}{of}, by {}{drops}",
        counted(audited.len() as u64, "interface"),
        status.attach.name()
    )
}

fn since(status: &Status) -> String {
    let Status {
        started,
        version,
        pid,
        ..
    } = status;
    format!("{started}, pinif {version}, pid {pid}")
}

/// What is in force.
pub fn policy(policy: &PolicyStatus) -> String {
    let Some(path) = &policy.source.path else {
        return "none is loaded: bound devices and source addresses alone are compared".to_owned();
    };
    let stays = if policy.source.failure.is_some() {
        "; the file is wrong now, and this one stays in force"
    } else {
        ""
    };
    format!(
        "{}: {}, {}, in force since {}{stays}",
        path.display(),
        counted(policy.zones as u64, "zone"),
        counted(policy.rules as u64, "rule"),
        policy.source.loaded
    )
}

fn packets(status: &Status) -> String {
    let totals = status.totals;
    let dropped = if status.enforces || totals.dropped > 0 {
        format!(", {} dropped", grouped(totals.dropped))
    } else {
        String::new()
    };
    format!(
        "{} left, {}{dropped}",
        grouped(totals.packets),
        counted(totals.bytes, "byte")
    )
}

fn captured(capture: &CaptureStatus) -> String {
    let CaptureStatus {
        file,
        packets,
        bytes,
        not_captured,
        stopped,
    } = capture;
    let mut text = format!(
        "{} in {}, which has {}",
        counted(*packets, "packet"),
        file.display(),
        counted(*bytes, "byte")
    );
    if *not_captured > 0 {
        text += &format!("; {} not captured", counted(*not_captured, "packet"));
    }
    if let Some(stopped) = stopped {
        text += &format!("; nothing is captured any more: {stopped}");
    }
    text
}

/// `2 leaks (1 quiet), 1 risk`.
pub fn findings(status: &Status) -> String {
    let mut severities: Vec<_> = status.findings.iter().map(|count| count.severity).collect();
    severities.dedup();
    let texts = severities.iter().map(|&severity| {
        let counts = status
            .findings
            .iter()
            .filter(|count| count.severity == severity);
        let number: u64 = counts.clone().map(|count| count.number).sum();
        let rest: Vec<_> = counts
            .filter(|count| count.state != AlertState::Open)
            .collect();
        let states = AlertState::ALL.into_iter().filter_map(|state| {
            let of_state = rest.iter().filter(|count| count.state == state);
            let number: u64 = of_state.map(|count| count.number).sum();
            (number > 0).then(|| format!("{} {}", grouped(number), state.name()))
        });
        let states: Vec<_> = states.collect();
        let states = if states.is_empty() {
            String::new()
        } else {
            format!(" ({})", states.join(", "))
        };
        format!("{}{states}", counted(number, severity.name()))
    });
    let texts: Vec<_> = texts.collect();
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}
