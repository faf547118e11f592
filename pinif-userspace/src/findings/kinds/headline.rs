//! Who sent a finding's packets, for a headline.

use crate::findings::finding::{Finding, SentBy};

/// Who sent it, and to what it is bound.
pub(super) fn sender(finding: &Finding) -> String {
    bound(finding, who(finding))
}

/// Who sent it: `telemetryd (pid 4242)`.
pub(super) fn who(finding: &Finding) -> String {
    match (&finding.process, finding.origin) {
        (Some(process), _) => format!("{} ({})", process.comm, process.number()),
        (None, SentBy::Socket) => "a socket of no known process".to_owned(),
        (None, SentBy::Kernel) => "the kernel".to_owned(),
        (None, SentBy::None) => "no socket".to_owned(),
    }
}

/// The same, and to what it is bound.
pub(super) fn bound(finding: &Finding, who: String) -> String {
    match (finding.bound_device(), finding.origin) {
        (Some(device), _) => format!("{who}, bound to {device}"),
        (None, SentBy::Socket) => format!("{who}, unpinned"),
        (None, SentBy::Kernel | SentBy::None) => who,
    }
}
