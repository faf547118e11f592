//! When the counters are read: each second while something is counted; and then not until the kernel says that something was
//! (`kernel/wakes.rs`). It reads nothing itself.

use std::time::{Duration, Instant};

/// How often counters are read while they grow.
pub(super) const READ_EVERY: Duration = Duration::from_secs(1);

/// What the counters had when they were read: another sum where anything was counted since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Of all findings.
    pub(super) findings: u64,
    /// Of all losses.
    pub(super) losses: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Something was counted since the read before the last.
    Grows,
    /// Nothing was. Before the next read, the kernel is asked to say so when something is.
    Still,
    /// It will say so.
    Asleep,
}

/// When the counters are read.
#[derive(Debug)]
pub(super) struct Pace {
    read: Instant,
    sums: Sums,
    state: State,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            read: now,
            sums: Sums::default(),
            state: State::Grows,
        }
    }

    /// The kernel has said that something was counted, or more of it waits to be read.
    pub(super) fn wake(&mut self) {
        self.state = State::Grows;
    }

    /// When they were read last.
    pub(super) fn read_at(&self) -> Instant {
        self.read
    }

    /// When they are to be read; never, while the kernel is to say so.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.state != State::Asleep).then(|| self.read + READ_EVERY)
    }

    /// They are read now.
    pub(super) fn read(&mut self, now: Instant) {
        self.read = now;
    }

    /// Whether the kernel is to be asked before the read that begins: what is counted after that, it reports; what was before, is read.
    pub(super) fn falls_asleep(&mut self, now: Instant) -> bool {
        self.read(now);
        if self.state == State::Still {
            self.state = State::Asleep;
            return true;
        }
        false
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, sums: Sums) {
        if sums != self.sums {
            self.sums = sums;
            self.state = State::Grows;
        } else if self.state == State::Grows {
            self.state = State::Still;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace and when it was made.
    fn pace() -> (Pace, Instant) {
        let start = Instant::now();
        (Pace::new(start), start)
    }

    /// Reads so many counted packets after so many seconds. Whether the kernel was asked before.
    fn read(pace: &mut Pace, start: Instant, seconds: u64, findings: u64) -> bool {
        let asks = pace.falls_asleep(start + Duration::from_secs(seconds));
        let losses = 0;
        pace.take(Sums { findings, losses });
        asks
    }

    #[test]
    fn it_sleeps_once_nothing_was_counted_since_the_kernel_was_asked() {
        let (mut pace, start) = pace();
        let second = |seconds| Some(start + Duration::from_secs(seconds));
        assert_eq!(pace.due(), second(1));
        assert!(!read(&mut pace, start, 1, 5));
        assert_eq!(pace.due(), second(2));
        assert!(!read(&mut pace, start, 2, 5));
        assert_eq!(pace.due(), second(3), "the kernel was not asked yet");
        assert!(read(&mut pace, start, 3, 5));
        assert_eq!(pace.due(), None);
        // A look at it meanwhile changes nothing.
        assert!(!read(&mut pace, start, 9, 5));
        assert_eq!(pace.due(), None);
        pace.wake();
        assert_eq!(pace.due(), second(10));
    }

    #[test]
    fn what_is_counted_while_the_kernel_is_asked_keeps_it_awake() {
        let (mut pace, start) = pace();
        read(&mut pace, start, 1, 0);
        assert!(read(&mut pace, start, 2, 7));
        assert!(pace.due().is_some());
        assert!(!read(&mut pace, start, 3, 7));
        assert!(read(&mut pace, start, 4, 7));
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn a_loss_is_as_good_as_a_packet() {
        let (mut pace, start) = pace();
        read(&mut pace, start, 1, 0);
        read(&mut pace, start, 2, 0);
        assert_eq!(pace.due(), None);
        pace.take(Sums {
            losses: 1,
            ..Sums::default()
        });
        assert!(pace.due().is_some());
    }
}
