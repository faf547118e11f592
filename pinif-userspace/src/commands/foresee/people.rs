//! What is foreseen, for people.

use crate::{
    findings::{flow::protocol_name, latent::Latent, line::FindingLine},
    foresee::{Foreseen, uncopied},
    surfaces::{
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

/// Each event with what would come of it, then what the answer does not know. Names are made safe to show.
pub(super) fn render(
    all: &[Foreseen],
    unlisted_raw: usize,
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
    for what in uncopied(all) {
        let what = format!("not copied, so that this may be wrong: {}", visible(what));
        text.push_str(&line(&what));
    }
    if unlisted_raw > 0 {
        text.push_str(&line(&unlisted(unlisted_raw)));
    }
    if all.iter().any(|foreseen| !foreseen.findings.is_empty()) {
        text.push_str(&line(
            "Next: `pinif sockets` shows where each socket leaves now; `pinif run` and `pinif pin` bind them.",
        ));
    }
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
        let detail = visible(detail);
        let detail = match columns {
            Some(columns) => wrapped(&detail, columns, INDENT).into(),
            None => detail,
        };
        let label = format!("{label:<7}");
        let label = look.paint(look::faint(), &label);
        text.push_str(&format!("    {label}  {detail}\n"));
    }
    text
}
