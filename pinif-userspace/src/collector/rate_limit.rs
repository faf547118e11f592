//! The rate limit of new findings, where there are thousands at once, as when other hosts' flows are forwarded by the wrong
//! interface: each class has a limit, so that it neither takes the processor from others nor hides a finding of another class.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::{FindingKey, Sighting},
};

/// How many new findings of a class are reported at once within [`PERIOD`].
pub(super) const MANY: u32 = 250;
/// How long a class of which so many were reported waits.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
/// How long nobody looks at the ring buffer after it held findings that have to wait.
const NAP: Duration = Duration::from_millis(10);

/// What the findings of one class have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Class {
    netns: NetNsCookie,
    egress: IfIndex,
    bound: IfIndex,
    kind: u8,
    severity: u8,
    origin: u8,
    rule: u16,
}

/// How many were reported lately.
#[derive(Debug)]
pub(super) struct RateLimit {
    reported: HashMap<Class, u32>,
    since: Instant,
    rests_until: Option<Instant>,
}

impl RateLimit {
    pub(super) fn new() -> Self {
        Self {
            reported: HashMap::new(),
            since: Instant::now(),
            rests_until: None,
        }
    }

    /// Whether a new finding is reported now; otherwise it stays in the kernel's table, and is reported when that is read again.
    pub(super) fn admits(&mut self, key: &FindingKey, sighting: &Sighting, now: Instant) -> bool {
        if now.duration_since(self.since) >= PERIOD {
            self.reported.clear();
            self.since = now;
        }
        let class = Class {
            netns: key.netns,
            egress: key.egress,
            bound: key.bound,
            kind: key.kind,
            severity: key.severity,
            origin: sighting.origin,
            rule: sighting.rule,
        };
        let reported = self.reported.entry(class).or_default();
        let admits = *reported < MANY;
        if admits {
            *reported += 1;
        } else {
            self.rests_until = Some(now + NAP);
        }
        admits
    }

    /// Until when the ring buffer may fill: each look at it would be for findings that have to wait.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        self.rests_until
    }

    /// The rest is over.
    pub(super) fn wakes(&mut self) {
        self.rests_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_one_class_wait_and_another_class_does_not() {
        let mut limit = RateLimit::new();
        let now = limit.since;
        let sighting = Sighting::default();
        let key = |kind, rule| FindingKey {
            kind,
            rule,
            ..FindingKey::default()
        };
        let admitted = (0..1000).filter(|&rule| limit.admits(&key(4, rule), &sighting, now));
        assert_eq!(admitted.count(), MANY as usize);
        assert_eq!(limit.rests_until(), Some(now + NAP));
        assert!(limit.admits(&key(1, 0), &sighting, now));
        assert!(limit.admits(&key(4, 2000), &sighting, now + PERIOD));
    }
}
