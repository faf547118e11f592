//! What is foreseen, for people.

use super::unknown::Unknown;
use crate::{
    findings::{flow::protocol_name, latent::Latent, line::FindingLine},
    foresee::Foreseen,
    host::namespaces::Enter,
    surfaces::{
        fix::fix,
        look::{self, Look},
        phrase,
    },
    survey::unlisted,
    text::{
        escape::visible,
        words::{counted, width, wrapped, wrapped_from},
    },
};

/// Where the details of a finding begin.
const INDENT: usize = 13;

/// Where nobody has seen the sockets that are gone.
const UNWATCHED: &str =
    "No auditor runs (`pinif audit`), so only sockets that are open now were looked at.";

/// Each event with what would come of it, then what the answer does not know. Names are made safe to show.
pub(super) fn render(
    all: &[Foreseen],
    unknown: &Unknown<'_>,
    enter: &Enter,
    look: Look,
    columns: Option<usize>,
) -> String {
    let mut text = String::new();
    for foreseen in all {
        if !text.is_empty() && !foreseen.findings.is_empty() && !text.ends_with("\n\n") {
            text.push('\n');
        }
        let event = visible(&foreseen.event.to_string()).into_owned();
        let many = counted(foreseen.findings.len() as u64, "latent leak");
        text.push_str(&format!("{}: {many}\n", look.paint(look::strong(), &event)));
        for latent in &foreseen.findings {
            text.push_str(&finding(latent, look, columns));
            text.push('\n');
        }
    }
    let line = |line: &str| match columns {
        Some(columns) => format!("{}\n", wrapped(line, columns, 0)),
        None => format!("{line}\n"),
    };
    for what in &unknown.uncopied {
        let what = format!("not copied, so that this may be wrong: {}", visible(what));
        text.push_str(&line(&what));
    }
    if unknown.unlisted_raw > 0 {
        text.push_str(&line(&unlisted(unknown.unlisted_raw)));
    }
    for why in &unknown.unasked {
        let why =
            format!("not asked for sockets that are gone, so that some may be missing: {why}");
        text.push_str(&line(&why));
    }
    if unknown.asked.is_empty() && unknown.unasked.is_empty() {
        text.push_str(&line(UNWATCHED));
    }
    let is_any = all.iter().any(|foreseen| !foreseen.findings.is_empty());
    let (next, what) = match (is_any, unknown.asked.is_empty()) {
        (true, _) => (
            "pinif sockets",
            "where each socket leaves now; `pinif run` and `pinif pin` bind them",
        ),
        (false, true) => (
            "pinif audit",
            "what leaves now, and records the sockets that are looked at here once they are gone",
        ),
        (false, false) => ("pinif sockets", "where each socket leaves now"),
    };
    let next = enter.line(next).unwrap_or_else(|| next.to_owned());
    text.push_str(&line(&format!("Next: `{}` shows {what}.", visible(&next))));
    text
}

/// One finding: who would send what where, and under it why and what keeps it from that.
fn finding(latent: &Latent, look: Look, columns: Option<usize>) -> String {
    let line = FindingLine::from(latent);
    let (severity, kind) = (line.severity.name(), line.kind.name());
    let head = format!("  {severity}  {kind}  ");
    let headline = match columns {
        Some(columns) => wrapped_from(&phrase::latent(latent), columns, INDENT, width(&head)),
        None => phrase::latent(latent),
    };
    let word = look.paint(look::of_severity(line.severity), severity);
    let mut text = format!("  {word}  {kind}  {headline}\n");
    let socket = format!(
        "{} {} → {}",
        protocol_name(&line.protocol),
        line.source,
        latent.destination()
    );
    let details = [
        ("what", Some(&line.explanation)),
        ("socket", Some(&socket)),
        ("rule", line.rule.as_ref()),
        ("route", Some(&line.cause)),
        ("fix", Some(&line.remedy)),
    ];
    for (label, detail) in details {
        let Some(detail) = detail else { continue };
        let detail = match columns {
            Some(columns) if label == "fix" => fix(&line.remedies, columns, INDENT).into(),
            Some(columns) => wrapped(&visible(detail), columns, INDENT).into(),
            None => visible(detail),
        };
        let label = format!("{label:<7}");
        let label = look.paint(look::faint(), &label);
        text.push_str(&format!("    {label}  {detail}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use insta::assert_snapshot;
    use pinif_ebpf::verdict::{Kind, Severity};

    use super::*;
    use crate::{
        findings::{
            explain::{Cause, CauseKind, Route},
            finding::{Finding, FindingId, Place, Rule},
            flow::{Endpoint, Flow},
            process::Process,
        },
        foresee::{Event, uncopied},
    };

    fn latent() -> Latent {
        let place = Place {
            netns: "card".into(),
            interface: Some("eth1".into()),
            rule: Some(Rule {
                name: Some("control-plane".into()),
                only_via: vec!["backplane".into()],
                interfaces: vec!["fab0".into()],
                alerts: false,
            }),
            ..Place::default()
        };
        let route = CauseKind::Route(Route {
            prefix: "0.0.0.0/0".parse().expect("a prefix"),
            via: Some([192, 0, 2, 2].into()),
            device: Some("eth1".to_owned()),
            table: "main".to_owned(),
            ..Route::default()
        });
        let end = |address: [u8; 4], port| Endpoint::new(address.into(), Some(port));
        Latent {
            finding: Finding {
                severity: Severity::Risk,
                causes: Arc::new([Cause::certain(route)]),
                flow: Some(Flow {
                    protocol: 17,
                    source: end([10, 0, 0, 1], 7001),
                    destination: end([10, 0, 0, 2], 9),
                }),
                process: Some(Arc::new(Process {
                    pid: Some(640),
                    started: None,
                    comm: "fab\u{1b}ricd".to_owned(),
                    exe: None,
                    uid: 0,
                    cgroup: None,
                })),
                ..Finding::new(
                    FindingId(1),
                    Kind::PolicyEscape,
                    Arc::new(place),
                    SystemTime::UNIX_EPOCH,
                )
            },
            condition: "fab0 down".to_owned(),
            is_closed: false,
            now: vec!["fab0".into()],
            source: Some([10, 0, 0, 1].into()),
            network: None,
        }
    }

    fn shown(columns: usize) -> String {
        let all = [
            Foreseen {
                event: Event::Down("fab0".to_owned()),
                findings: vec![latent(), latent()],
                uncopied: Vec::new(),
            },
            Foreseen {
                event: Event::Down("eth1".to_owned()),
                findings: Vec::new(),
                uncopied: vec!["a route: No such process (os error 3)".to_owned()],
            },
        ];
        let unknown = Unknown {
            uncopied: uncopied(&all),
            unlisted_raw: 1,
            ..Unknown::default()
        };
        let text = render(&all, &unknown, &Enter::Own, Look::PLAIN, Some(columns));
        for line in text.lines() {
            let fits = line.chars().count() <= columns;
            assert!(fits || line.split_whitespace().count() <= 1, "{line}");
        }
        text
    }

    #[test]
    fn what_is_foreseen_at_sixty_columns() {
        assert_snapshot!(shown(60));
    }

    #[test]
    fn what_is_foreseen_at_eighty_columns() {
        assert_snapshot!(shown(80));
    }

    #[test]
    fn what_is_foreseen_at_a_hundred_columns() {
        assert_snapshot!(shown(100));
    }
}
