//! How an audit ends: which findings make it fail (`--fail-on`), and its exit status.

use clap::ValueEnum;
use pinif_ebpf::verdict::Severity;

/// From which severity on a finding fails the audit (`--fail-on`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Packets that left where they must not.
    #[default]
    Leak,
    /// Those, and packets that used an allowed interface, but only because of the current route.
    Risk,
    /// Nothing: findings are reported, and that is all.
    Never,
}

/// The exit status that says that not all may have been seen or counted.
pub const INCOMPLETE: u8 = 3;

/// The exit status of an audit that ran: 2 when a finding is at or over `fail_on`; otherwise 3 when counts or what was written
/// of them may be incomplete, for then the absence of such a finding is not certain; otherwise 0. A leak that was seen is certain
/// however much was lost, so 2 wins over 3. An audit that could not run ends with 1, which is not decided here.
pub fn exit_status(fail_on: FailOn, worst: Option<Severity>, incomplete: bool) -> u8 {
    let threshold = match fail_on {
        FailOn::Leak => Some(Severity::Leak),
        FailOn::Risk => Some(Severity::Risk),
        FailOn::Never => None,
    };
    let failed = threshold
        .zip(worst)
        .is_some_and(|(threshold, worst)| worst >= threshold);
    match (failed, incomplete) {
        (true, _) => 2,
        (false, true) => INCOMPLETE,
        (false, false) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_that_was_seen_wins_over_counts_that_were_lost() {
        use FailOn::{Leak, Never, Risk};
        let note = Some(Severity::Note);
        let risk = Some(Severity::Risk);
        let leak = Some(Severity::Leak);
        for (fail_on, worst, status) in [
            (Leak, None, 0),
            (Leak, note, 0),
            (Leak, risk, 0),
            (Leak, leak, 2),
            (Risk, note, 0),
            (Risk, risk, 2),
            (Risk, leak, 2),
            (Never, leak, 0),
        ] {
            assert_eq!(
                exit_status(fail_on, worst, false),
                status,
                "{fail_on:?} {worst:?}"
            );
            assert_eq!(
                exit_status(fail_on, worst, true),
                if status == 2 { 2 } else { 3 },
                "{fail_on:?} {worst:?}"
            );
        }
    }
}
