//! What to try next, at the end of an audit: the last line that a person reads.

use super::shown::Row;
use crate::findings::{ready::Ready, summary::Summary};
use crate::text::escape::visible;

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
