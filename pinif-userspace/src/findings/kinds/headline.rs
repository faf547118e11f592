//! Who sent a finding's packets, for a headline.

use crate::findings::{
    finding::{Finding, SentBy},
    process::Process,
};

/// Who sent it, and to what it is bound.
pub(super) fn sender(finding: &Finding) -> String {
    bound(finding, who(finding))
}

/// Who sent it: `telemetryd (pid 4242)`.
pub(super) fn who(finding: &Finding) -> String {
    name(finding.process.as_deref(), finding.origin)
}

/// The same, and to what it is bound.
pub(super) fn bound(finding: &Finding, who: String) -> String {
    with_device(who, finding.bound_device(), finding.origin)
}

/// Who sent the packets of which this is known, and to what it is bound.
pub fn of(process: Option<&Process>, bound_device: Option<&str>, origin: SentBy) -> String {
    with_device(name(process, origin), bound_device, origin)
}

fn name(process: Option<&Process>, origin: SentBy) -> String {
    match (process, origin) {
        (Some(process), _) => format!("{} ({})", process.comm, process.number()),
        (None, SentBy::Socket) => "a socket of no known process".to_owned(),
        (None, SentBy::Kernel) => "the kernel".to_owned(),
        (None, SentBy::None) => "no socket".to_owned(),
    }
}

fn with_device(who: String, bound_device: Option<&str>, origin: SentBy) -> String {
    match (bound_device, origin) {
        (Some(device), _) => format!("{who}, bound to {device}"),
        (None, SentBy::Socket) => format!("{who}, unpinned"),
        (None, SentBy::Kernel | SentBy::None) => who,
    }
}
