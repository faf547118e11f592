//! What `pinif serve` adds to the auditor's metrics: whether there is an auditor, how old what it says is, and the history.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{exec, otlp, recorder::Standing, secure};
use crate::surfaces::metrics::{Values, Writer, own};

/// What there is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How old what the auditor said last is; nothing where none is heard.
    pub age: Option<Duration>,
    /// When it was heard last.
    pub heard: Option<SystemTime>,
    /// How it stands with the history, and the bytes of its file; nothing where none is kept.
    pub history: Option<(Standing, u64)>,
    /// How it stands with certificates and tokens; nothing where readers of this machine alone are answered.
    pub secure: Option<secure::Standing>,
    /// How it stands with the operator's program; nothing where there is none.
    pub hook: Option<exec::Standing>,
    /// How it stands with what is exported; nothing where nothing is.
    pub exports: Option<otlp::Standing>,
}

/// The metrics, in the text format 0.0.4.
pub fn text(facts: Facts) -> String {
    own(move |writer| {
        writer.info(
            "pinif_serve_build",
            "The version of pinif serve",
            ("version", env!("CARGO_PKG_VERSION")),
        )?;
        writer.value(
            "pinif_serve_auditor_up",
            "Whether pinif serve hears an auditor",
            facts.age.is_some().into(),
        )?;
        writer.value(
            "pinif_serve_heard_timestamp_seconds",
            "When an auditor was heard last; 0 where none was since the start",
            seconds(facts.heard),
        )?;
        if let Some(age) = facts.age {
            writer.fraction(
                "pinif_serve_age_seconds",
                "How old what the auditor said last is",
                age.as_secs_f64(),
            )?;
        }
        if let Some(standing) = &facts.secure {
            secure(writer, standing)?;
        }
        if let Some(standing) = &facts.hook {
            hook(writer, standing)?;
        }
        if let Some(standing) = &facts.exports {
            exports(writer, standing)?;
        }
        let Some((standing, size)) = &facts.history else {
            return Ok(());
        };
        writer.value(
            "pinif_history_writable",
            "Whether the history could be written when it was last tried",
            standing.failure.is_none().into(),
        )?;
        writer.value(
            "pinif_history_written_timestamp_seconds",
            "When the history was written last; 0 where it was not since the start",
            seconds(standing.written),
        )?;
        writer.value(
            "pinif_history_bytes",
            "How large the history's file is",
            *size,
        )?;
        writer.counter(
            "pinif_history_removed_findings",
            "Findings that were removed from the history: too old, or no room",
            &Values::of([]).with([([], standing.removed)]),
        )?;
        writer.counter(
            "pinif_history_lost_findings",
            "Findings that could not be written to the history, and waited for too long",
            &Values::of([]).with([([], standing.lost)]),
        )
    })
}

fn secure(writer: &mut Writer<'_>, standing: &secure::Standing) -> fmt::Result {
    writer.value(
        "pinif_serve_tls_reload_success",
        "Whether the newest certificates and tokens are in force",
        standing.failure.is_none().into(),
    )?;
    writer.value(
        "pinif_serve_tls_loaded_timestamp_seconds",
        "Since when those in force are so",
        seconds(Some(standing.loaded)),
    )?;
    let refused = standing.refused.iter();
    writer.counter(
        "pinif_serve_refused",
        "Connections and requests that were not answered",
        &Values::of(["reason"]).with(refused.map(|(reason, number)| ([*reason], *number))),
    )
}

fn hook(writer: &mut Writer<'_>, standing: &exec::Standing) -> fmt::Result {
    let calls = standing.calls.iter();
    writer.counter(
        "pinif_serve_exec_calls",
        "Calls of the program of --exec, by how they ended",
        &Values::of(["outcome"]).with(calls.map(|(outcome, number)| ([*outcome], *number))),
    )?;
    writer.counter(
        "pinif_serve_exec_coalesced",
        "Transitions of findings that had no call of their own, but are named in another of the same finding",
        &Values::of([]).with([([], standing.coalesced)]),
    )?;
    writer.counter(
        "pinif_serve_exec_lost",
        "Transitions of findings that no call has named: too many waited",
        &Values::of([]).with([([], standing.lost)]),
    )?;
    writer.value(
        "pinif_serve_exec_waiting",
        "Findings that wait for a call",
        standing.waiting,
    )
}

fn exports(writer: &mut Writer<'_>, standing: &otlp::Standing) -> fmt::Result {
    writer.value(
        "pinif_export_unacknowledged",
        "Findings whose newest revision the collector has not acknowledged",
        standing.unacknowledged,
    )?;
    let by_signal = [
        (["logs"], standing.rejected_records),
        (["metrics"], standing.rejected_points),
    ];
    writer.counter(
        "pinif_export_rejected",
        "Records of findings, and values of metrics, that the collector has refused, and that are not sent again",
        &Values::of(["signal"]).with(by_signal),
    )?;
    writer.counter(
        "pinif_export_failures",
        "Attempts to send that have failed, and are made again",
        &Values::of([]).with([([], standing.failures)]),
    )?;
    writer.value(
        "pinif_export_acknowledged_timestamp_seconds",
        "When the collector acknowledged something last; 0 where it did not since the start",
        seconds(standing.acknowledged),
    )
}

fn seconds(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said() {
        let text = text(Facts::default());
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            values,
            [
                concat!(
                    "pinif_serve_build_info{version=\"",
                    env!("CARGO_PKG_VERSION"),
                    "\"} 1"
                ),
                "pinif_serve_auditor_up 0",
                "pinif_serve_heard_timestamp_seconds 0",
            ]
        );
    }

    #[test]
    fn each_value_has_its_type() {
        let standing = Standing {
            failure: Some("full".to_owned()),
            written: Some(UNIX_EPOCH + Duration::from_secs(7)),
            lost: 3,
            removed: 2,
        };
        let text = text(Facts {
            age: Some(Duration::from_millis(250)),
            heard: Some(UNIX_EPOCH + Duration::from_secs(9)),
            history: Some((standing, 4096)),
            secure: Some(secure::Standing {
                loaded: UNIX_EPOCH + Duration::from_secs(5),
                failure: Some("expired".to_owned()),
                refused: vec![("token", 2)],
            }),
            hook: Some(exec::Standing {
                calls: vec![("failed", 1)],
                coalesced: 4,
                lost: 6,
                waiting: 8,
            }),
            exports: Some(otlp::Standing {
                unacknowledged: 5,
                rejected_records: 4,
                failures: 6,
                ..otlp::Standing::default()
            }),
        });
        for line in [
            "pinif_serve_auditor_up 1",
            "pinif_serve_heard_timestamp_seconds 9",
            "pinif_serve_age_seconds 0.25",
            "pinif_serve_tls_reload_success 0",
            "pinif_serve_tls_loaded_timestamp_seconds 5",
            "pinif_serve_refused_total{reason=\"token\"} 2",
            "pinif_serve_exec_calls_total{outcome=\"failed\"} 1",
            "pinif_serve_exec_coalesced_total 4",
            "pinif_serve_exec_lost_total 6",
            "pinif_serve_exec_waiting 8",
            "pinif_history_writable 0",
            "pinif_history_written_timestamp_seconds 7",
            "pinif_history_bytes 4096",
            "pinif_history_removed_findings_total 2",
            "pinif_history_lost_findings_total 3",
            "pinif_export_unacknowledged 5",
            "pinif_export_rejected_total{signal=\"logs\"} 4",
            "pinif_export_rejected_total{signal=\"metrics\"} 0",
            "pinif_export_failures_total 6",
            "pinif_export_acknowledged_timestamp_seconds 0",
            "# TYPE pinif_history_lost_findings_total counter",
            "# TYPE pinif_serve_age_seconds gauge",
        ] {
            assert!(text.lines().any(|is| is == line), "{line}: {text}");
        }
    }
}
