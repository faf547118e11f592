//! What to try next: the last line that a person reads of an audit, and of what a running one is asked for.

use super::shown::Row;
use crate::findings::{line::FindingLine, ready::Ready, summary::Summary};
use crate::text::escape::visible;

/// What to try next where a running audit has found something: the gravest that alerts, of those the one with the most packets. Nothing where
/// none does.
pub fn gravest<'a>(findings: impl IntoIterator<Item = &'a FindingLine>) -> Option<String> {
    let alerting = findings.into_iter().filter(|one| one.state.alerts());
    let gravest = alerting.reduce(|gravest, one| {
        let is_graver = (one.severity, one.packets) > (gravest.severity, gravest.packets);
        if is_graver { one } else { gravest }
    })?;
    Some(format!(
        "Next: `pinif explain {}` says what the gravest of them means, and how to fix it.",
        visible(&gravest.id)
    ))
}

/// The same where nothing alerts.
pub fn of_calm(has_policy: bool) -> &'static str {
    match has_policy {
        true => "Next: `pinif foresee` shows what would leak if an interface went down.",
        false => "Next: `pinif sockets` shows where each socket would leave.",
    }
}

/// The next command, in a sentence.
pub fn step(rows: &[Row], latent: u64, summary: &Summary, ready: Option<&Ready>) -> String {
    let command = |task: &str| match ready {
        Some(ready) => visible(&ready.command(task)).into_owned(),
        None => format!("pinif {task}"),
    };
    let gravest = rows
        .iter()
        .rev()
        .max_by_key(|row| (row.severity, row.packets));
    // Where the table of findings was full, the matrix alone knows.
    let mut cells = summary.matrix.iter();
    let kind = gravest.map_or_else(
        || cells.find_map(|cell| cell.verdict.kind()),
        |row| Some(row.kind),
    );
    match (kind, summary.policy) {
        (Some(kind), _) => format!(
            "Next: `pinif explain {}` says what that means, and how to fix it.",
            kind.name()
        ),
        (None, None) => format!(
            "No policy is loaded: only bound devices and source addresses were compared with the interface. Next: `{}` shows where each \
             socket would leave; write what must hold into /etc/pinif/policy.toml, and try it with `pinif policy check`.",
            command("sockets")
        ),
        (None, Some(_)) if summary.packets == 0 => format!(
            "Next: `{}` shows where each socket would leave.",
            command("sockets")
        ),
        (None, Some(_)) if latent > 0 => format!(
            "Next: `{}` shows what would leak, and what keeps it from that.",
            command("foresee")
        ),
        (None, Some(_)) => format!(
            "Next: `{}` shows what would leak if an interface went down.",
            command("foresee")
        ),
    }
}
