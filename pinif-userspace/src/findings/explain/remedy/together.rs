//! The remedy that is several at once, of which none does it alone.

use super::model::Remedy;
use crate::findings::explain::{SocketOption, Who};

/// Who can do all of it: where the program must be changed, whoever can do that.
pub(super) fn who(parts: &[Remedy]) -> Who {
    match parts.iter().any(|part| part.who() == Who::Developer) {
        true => Who::Developer,
        false => Who::Operator,
    }
}

/// The lines of all; none where a part has neither lines nor options, so that words alone say it.
pub(super) fn commands(parts: &[Remedy]) -> Vec<String> {
    let mut all = Vec::new();
    for part in parts {
        let lines = part.commands();
        if lines.is_empty() && part.options().is_empty() {
            return Vec::new();
        }
        all.extend(lines);
    }
    all
}

/// The options of all.
pub(super) fn options(parts: &[Remedy]) -> Vec<SocketOption> {
    parts.iter().flat_map(Remedy::options).collect()
}
