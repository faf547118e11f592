//! The history in each form.

use std::io;

use anyhow::Result;

use crate::{
    commands::{finding_row, unmatched::none},
    findings::{kinds, summary::Totals, wall_time::WallTime},
    history::{AuditLine, ClockLine, HistoryLine, HistoryPage, PastFinding},
    surfaces::{
        grid::{Grid, Text},
        look::{self, Look, columns},
        table::sender,
    },
    text::{
        csv::row,
        escape::visible,
        json,
        words::{counted, grouped},
    },
};

/// For people: a table of the findings, or why there is none; then the audits.
pub fn human(page: &HistoryPage, why: Option<&str>) -> String {
    let out = io::stdout();
    let mut text = if page.findings.is_empty() {
        none(why)
    } else {
        table(&page.findings).list(Look::of(&out), columns(&out))
    };
    let more = page.total - page.findings.len() as u64;
    if more > 0 {
        text.push_str(&format!("and {} before: --limit\n", grouped(more)));
    }
    text.push('\n');
    for audit in &page.audits {
        text.push_str(&format!("{}\n", visible(&of_audit(audit))));
    }
    for set in &page.clock {
        text.push_str(&format!("{}\n", of_clock(set)));
    }
    text.push_str(&format!("{}\n", of_all(&page.audits)));
    text
}

/// One line each, as a person reads it.
fn of_audit(audit: &AuditLine) -> String {
    let Totals {
        packets,
        bytes,
        dropped,
    } = audit.totals;
    let end = if audit.ended { "to" } else { "last heard" };
    let dropped = match dropped {
        0 => String::new(),
        dropped => format!(", {} dropped", grouped(dropped)),
    };
    let uncounted = match audit.uncounted.is_empty() {
        true => "",
        false => "; not all could be counted",
    };
    format!(
        "audit of {} {end} {}: {}, {}{dropped}; {}{uncounted}",
        seconds(&audit.started),
        seconds(&audit.last_heard),
        counted(packets, "packet"),
        counted(bytes, "byte"),
        counted(audit.findings, "finding"),
    )
}

fn of_clock(set: &ClockLine) -> String {
    let way = if set.by_s > 0.0 { "forward" } else { "back" };
    format!(
        "the clock was set {way} by {:.0} s at {}",
        set.by_s.abs(),
        seconds(&set.time)
    )
}

fn of_all(audits: &[AuditLine]) -> String {
    let sum = |of: fn(&Totals) -> u64| audits.iter().map(|audit| of(&audit.totals)).sum();
    format!(
        "{}: {}, {}, {} dropped",
        counted(audits.len() as u64, "audit"),
        counted(sum(|totals| totals.packets), "packet"),
        counted(sum(|totals| totals.bytes), "byte"),
        grouped(sum(|totals| totals.dropped)),
    )
}

/// In the order of the first sightings.
fn table(findings: &[PastFinding]) -> Grid {
    let headings = [
        Text::left("last seen"),
        Text::left("finding"),
        Text::left("kind"),
        Text::left("interface"),
        Text::right("packets"),
        Text::right("bytes"),
        Text::right("audits"),
        Text::left("fate"),
        Text::left("id"),
        Text::left("state"),
        Text::left("sender"),
    ];
    let rows = findings.iter().map(|past| {
        let finding = &past.finding;
        let fate = if finding.dropped {
            "dropped"
        } else {
            kinds::of(finding.kind).fate
        };
        let severity = Text::left(finding.severity.name());
        vec![
            Text::left(seconds(&finding.last_seen)),
            severity.styled(look::of_severity(finding.severity)),
            Text::left(finding.kind.name()),
            Text::left(visible(&finding.egress_interface)),
            Text::right(grouped(finding.packets)),
            Text::right(grouped(finding.bytes)),
            Text::right(grouped(past.audits)),
            Text::left(fate),
            Text::left(visible(&finding.id)),
            Text::left(finding.state.name()),
            Text::left(sender(finding)),
        ]
    });
    Grid {
        rows: rows.collect(),
        headings: headings.map(|text| text.styled(look::strong())).to_vec(),
    }
}

/// A time without its fractions.
fn seconds(time: &str) -> String {
    WallTime::read(time).map_or_else(|| visible(time).into_owned(), WallTime::to_seconds)
}

/// JSON Lines: the audits, then when the clock was set, then the findings.
pub fn json(page: &HistoryPage) -> Result<String> {
    let mut text = String::new();
    let audits = page.audits.iter().cloned();
    let audits = audits.map(|audit| HistoryLine::Audit(Box::new(audit)));
    let clock = page.clock.iter().cloned().map(HistoryLine::Clock);
    let findings = page.findings.iter().cloned();
    let findings = findings.map(|finding| HistoryLine::Finding(Box::new(finding)));
    for line in audits.chain(clock).chain(findings) {
        text.push_str(&json::line(&line)?);
    }
    Ok(text)
}

/// The findings as a table for spreadsheets: the columns of `pinif findings`, and those of the history behind them.
pub fn csv(page: &HistoryPage) -> String {
    let headings = finding_row::HEADINGS.into_iter();
    let mut text = row(headings.chain(["audits", "transitions"]));
    for past in &page.findings {
        let values = finding_row::values(&past.finding);
        let transitions: Vec<String> = past
            .transitions
            .iter()
            .map(|transition| format!("{} {}", transition.change.name(), transition.time))
            .collect();
        let further = [past.audits.to_string(), transitions.join("; ")];
        let values = values.iter().chain(&further);
        text.push_str(&row(values.map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        findings::{example, line::FindingLine, process::Process},
        history::{Change, Transition},
        text::escape::is_hazardous,
    };

    /// A control, a newline, a bidirectional override, and what a spreadsheet would compute.
    const COMM: &str = "=HYPERLINK(\"x\")";
    const NETNS: &str = "a\u{1b}[2J\n\u{202e}b";

    fn page() -> HistoryPage {
        let finding = FindingLine {
            uid: Some("boot/000000000007".to_owned()),
            netns: NETNS.to_owned(),
            egress_interface: "@SUM(A1)\u{9b}".to_owned(),
            packets: 1_234,
            last_seen: "2026-03-01T12:00:00.000000Z".to_owned(),
            process: Some(Process {
                pid: Some(812),
                comm: COMM.to_owned(),
                exe: Some("/tmp/\r\n\u{202e}x".to_owned()),
                started: None,
                uid: 0,
                cgroup: None,
            }),
            ..FindingLine::from(&example::finding(7))
        };
        let transition = Transition {
            time: "2026-03-01T12:00:00.000000Z".to_owned(),
            change: Change::Opened,
            state: finding.state,
            packets: 1,
            bytes: 60,
        };
        HistoryPage {
            total: 3,
            next: Some(1),
            findings: vec![PastFinding {
                finding,
                audits: 2,
                transitions: vec![transition.clone(), transition],
            }],
            audits: vec![AuditLine {
                boot: "boot".to_owned(),
                host: None,
                labels: [("slot".to_owned(), NETNS.to_owned())].into(),
                version: "0.1.0".to_owned(),
                runs: 1,
                started: "2026-03-01T12:00:00.000000Z".to_owned(),
                first_heard: "2026-03-01T12:00:00.000000Z".to_owned(),
                last_heard: "2026-03-01T13:00:00.500000Z".to_owned(),
                ended: false,
                totals: Totals {
                    packets: 1_300,
                    bytes: 130_000,
                    dropped: 7,
                },
                uncounted: [("cells-full".to_owned(), 1)].into(),
                findings: 1,
            }],
            clock: vec![ClockLine {
                time: "2026-03-01T12:30:00.000000Z".to_owned(),
                by_s: -3600.0,
            }],
        }
    }

    #[test]
    fn no_name_acts_on_a_terminal_or_a_spreadsheet() {
        let text = human(&page(), None);
        assert!(
            !text.contains(|character| character != '\n' && is_hazardous(character)),
            "{text}"
        );
        for words in [
            "1,234",
            "and 2 before: --limit\n",
            "\naudit of 2026-03-01T12:00:00Z last heard 2026-03-01T13:00:00Z: 1,300 packets, 130,000 bytes, 7 dropped; 1 finding; not all could \
             be counted\n",
            "\nthe clock was set back by 3600 s at 2026-03-01T12:30:00Z\n",
            "\n1 audit: 1,300 packets, 130,000 bytes, 7 dropped\n",
        ] {
            assert!(text.contains(words), "{words:?} in:\n{text}");
        }
        let text = csv(&page());
        let rows: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(rows.len(), 3, "{text}");
        assert!(!rows.iter().any(|row| row.contains(is_hazardous)), "{text}");
        for cell in [
            "\"'=HYPERLINK(\"\"x\"\")\"",
            "a\\x1b[2J\\n\\u{202e}b",
            "\"'@SUM(A1)\\u{9b}\"",
            "/tmp/\\r\\n\\u{202e}x",
        ] {
            assert!(rows[1].contains(cell), "{cell} in:\n{text}");
        }
        assert!(rows[0].ends_with(",audits,transitions"), "{text}");
        let last = "2,opened 2026-03-01T12:00:00.000000Z; opened 2026-03-01T12:00:00.000000Z";
        assert!(rows[1].ends_with(last), "{text}");
    }

    #[test]
    fn json_has_each_name_as_it_is() {
        let text = json(&page()).expect("JSON");
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            !lines.iter().any(|line| line.contains(is_hazardous)),
            "{text}"
        );
        let read: Vec<HistoryLine> = lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("a line"))
            .collect();
        let page = page();
        assert_eq!(
            read,
            [
                HistoryLine::Audit(Box::new(page.audits[0].clone())),
                HistoryLine::Clock(page.clock[0].clone()),
                HistoryLine::Finding(Box::new(page.findings[0].clone())),
            ]
        );
    }
}
