//! What must not leave does not: thousands of packets are attempted, none is outside, and each is counted as dropped.

mod arrivals;
mod groups;
mod layers;
mod leaks;
mod missing;
mod neighbours;
mod rules;
mod stream;
mod takeover;
mod unparsed;
mod until;

use std::collections::BTreeMap;

use crate::bench::{Bench, Finding, Sent, leak};

const ENFORCE: &[&str] = &["--enforce"];

/// A socket bound to the backplane, whose datagrams name the front port.
const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
/// What is where it should be.
const CONTAINED: &str = "udp --bind-device fab0 --to 10.0.0.2:9";

/// The finding of [`LEAK`], all of it dropped.
fn kept() -> Finding {
    leak("device-escape").bound("fab0").egress("eth1").dropped()
}

/// How often a sender was refused, where that is all that it got.
fn eperm(times: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([("EPERM".to_owned(), times)])
}

/// How many packets a sender asked for, refused or not.
fn attempts(sent: &Sent) -> u64 {
    sent.sent + sent.refused.values().sum::<u64>()
}

/// What is behind the front port, which nothing is to reach.
struct Outside<'a> {
    bench: &'a Bench,
    before: u64,
}

impl<'a> Outside<'a> {
    fn of(bench: &'a Bench) -> Self {
        Self {
            bench,
            before: bench.received_outside(),
        }
    }

    /// How many packets came since then.
    fn got(&self) -> u64 {
        self.bench.received_outside() - self.before
    }

    #[track_caller]
    fn got_nothing(&self) {
        assert_eq!(self.got(), 0, "packets that came out of the front port");
    }
}
