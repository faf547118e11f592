//! What to try next, at the end of an audit: the last line that a person reads.

use super::shown::Row;
use crate::findings::summary::Summary;

/// The next command, in a sentence.
pub fn step(rows: &[Row], latent: u64, summary: &Summary) -> String {
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
        (None, None) => "No policy is loaded: only bound devices and source addresses were compared with the interface. Next: `pinif \
                         sockets` shows where each socket would leave; write what must hold into /etc/pinif/policy.toml, and try it with \
                         `pinif policy check`."
            .to_owned(),
        (None, Some(_)) if summary.packets == 0 => {
            "Next: `pinif sockets` shows where each socket would leave.".to_owned()
        }
        (None, Some(_)) if latent > 0 => {
            "Next: `pinif foresee` shows what would leak, and what keeps it from that.".to_owned()
        }
        (None, Some(_)) => {
            "Next: `pinif foresee` shows what would leak if an interface went down.".to_owned()
        }
    }
}
