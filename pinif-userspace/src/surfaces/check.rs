//! A line for what runs checks and understands their exit status: Nagios, Icinga, Naemon, Checkmk (the Monitoring Plugins Development
//! Guidelines). Its numbers are others than those of pinif.

use pinif_ebpf::verdict::Severity;

use super::{phrase, standing, table};
use crate::{
    control::{
        ClientError,
        protocol::{Incomplete, Status},
    },
    findings::{alert_state::AlertState, kinds},
    text::{escape::visible, words::counted},
};

/// What a check says, and its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    /// All is seen, and nothing was found that alerts.
    Ok = 0,
    /// A finding below what the check fails on.
    Warning = 1,
    /// A finding, or nobody looks.
    Critical = 2,
    /// That nothing was found is not certain.
    Unknown = 3,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The line of an audit that stands so. `worst` is the gravest finding that alerts, and `fails` whether the check fails on it.
pub fn answered(status: &Status, worst: Option<Severity>, fails: bool) -> (Level, String) {
    let level = if fails {
        Level::Critical
    } else if !status.incomplete.is_empty() {
        Level::Unknown
    } else if worst >= Some(Severity::Risk) {
        Level::Warning
    } else {
        Level::Ok
    };
    let mut texts = vec![match &*standing::findings(status) {
        "none" => "no finding".to_owned(),
        found => found.to_owned(),
    }];
    let gravest = status.worst.iter().find(|line| line.state.alerts());
    texts.extend(gravest.map(|line| {
        let (sender, kind) = (table::sender(line), line.kind.name());
        if kinds::is_counted(line.kind) {
            format!("{kind} via {} by {sender}", line.egress_interface)
        } else {
            let traffic = phrase::traffic(line.kind, &line.egress_interface);
            format!("{kind}: {traffic} ({sender})")
        }
    }));
    texts.extend(status.incomplete.iter().map(|what| lack(*what, status)));
    let text = line(level, &texts.join("; "));
    (level, format!("{text} | {}", figures(status)))
}

/// The line of a check that got no answer.
pub fn unanswered(error: &ClientError) -> (Level, String) {
    let level = match error {
        ClientError::NoneRuns | ClientError::NotThere(_) | ClientError::Lost { .. } => {
            Level::Critical
        }
        ClientError::Several(_)
        | ClientError::Denied(_)
        | ClientError::Refused { .. }
        | ClientError::Silent(_)
        | ClientError::Strange { .. } => Level::Unknown,
    };
    (level, line(level, &error.to_string()))
}

/// The line of a check that could not ask.
pub fn failed(text: &str) -> (Level, String) {
    (Level::Unknown, line(Level::Unknown, text))
}

/// What is before the figures, which a `|` would begin.
fn line(level: Level, text: &str) -> String {
    let text = visible(text).replace('|', "\\x7c");
    format!("PINIF {} - {text}", level.name())
}

fn lack(what: Incomplete, status: &Status) -> String {
    match what {
        Incomplete::Starting => "not all interfaces are attached yet".to_owned(),
        Incomplete::InterfaceRefused => {
            let refused = counted(refused(status), "interface");
            format!("not audited: {refused}")
        }
        Incomplete::ReloadFailed => "the newest policy is not in force".to_owned(),
        Incomplete::NotCounted => "not all packets could be counted".to_owned(),
    }
}

fn refused(status: &Status) -> u64 {
    let all = status.interfaces.iter();
    all.filter(|one| one.refused.is_some()).count() as u64
}

/// What is drawn over time.
fn figures(status: &Status) -> String {
    let number = |is: &dyn Fn(Severity, AlertState) -> bool| -> u64 {
        let counts = status.findings.iter();
        let counts = counts.filter(|count| is(count.severity, count.state));
        counts.map(|count| count.number).sum()
    };
    let of = |wanted| number(&|severity, state| severity == wanted && state.alerts());
    let lost: u64 = status.uncounted.values().sum();
    format!(
        "leaks={} risks={} notes={} accepted={} interfaces={} refused={} dropped={}c lost={lost}c",
        of(Severity::Leak),
        of(Severity::Risk),
        of(Severity::Note),
        number(&|_, state| state == AlertState::Accepted),
        status.interfaces.len() as u64 - refused(status),
        refused(status),
        status.totals.dropped,
    )
}
