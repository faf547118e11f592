//! The service manager (sd_notify(3)): it learns when all is attached, how the audit stands, that it gets on, and when the end begins.

use std::{
    io,
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

use super::phrase;
use crate::{
    hub::{Delivery, Event, Subscriber},
    text::escape::visible,
};

/// The manager that started pinif.
#[derive(Debug, Default)]
pub struct Manager {
    /// The last status that it was sent: it is sent again only when it is another.
    status: String,
    watchdog: Option<Watchdog>,
}

/// How old its status becomes at most while nothing happens, where no watchdog waits for anything.
const STATUS_WITHIN: Duration = Duration::from_secs(60);

/// What ends pinif and starts it again where it is not notified in time (`WatchdogSec=` of systemd.service(5)).
///
/// It is notified when a snapshot comes. The collector's own loop makes them, so a collector that hangs makes none. The collector does not
/// wait for the manager to read.
#[derive(Debug)]
struct Watchdog {
    /// How long it may be until it is notified again: half of the time that it waits, as sd_watchdog_enabled(3) recommends.
    within: Duration,
    /// When it was notified last.
    last: Option<Instant>,
}

impl Manager {
    /// The one that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`), if it does.
    pub fn of_environment() -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET").map(|_| Self {
            watchdog: sd_notify::watchdog_enabled().map(Watchdog::new),
            ..Self::default()
        })
    }
}

impl Watchdog {
    /// One that waits so long.
    fn new(limit: Duration) -> Self {
        Self {
            within: limit / 2,
            last: None,
        }
    }

    /// Whether it is to be notified with a snapshot that comes now: the next one comes within the time, and may come a little earlier.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.last.is_none_or(|last| now >= last + self.within / 2);
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

impl Subscriber for Manager {
    fn name(&self) -> &'static str {
        "the service manager"
    }

    fn snapshots_within(&self) -> Option<Duration> {
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.within);
        Some(watchdog.unwrap_or(STATUS_WITHIN).min(STATUS_WITHIN))
    }

    fn on(&mut self, delivery: &Delivery) -> io::Result<()> {
        let mut states = Vec::new();
        match delivery {
            Delivery::Event(Event::Ready(_)) => states.push(NotifyState::Ready),
            Delivery::Event(Event::Ended(_)) => states.push(NotifyState::Stopping),
            Delivery::Snapshot(snapshot) => {
                let now = Instant::now();
                if self.watchdog.as_mut().is_some_and(|dog| dog.is_due(now)) {
                    states.push(NotifyState::Watchdog);
                }
                let status = visible(&phrase::status(snapshot)).into_owned();
                if status != self.status {
                    self.status = status;
                    states.push(NotifyState::Status(&self.status));
                }
            }
            Delivery::Event(_) | Delivery::Missed(_) => {}
        }
        if !states.is_empty() {
            // It may have gone, which is no matter of the audit.
            let _ = sd_notify::notify(&states);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_notified_twice_in_its_time_at_least() {
        let mut watchdog = Watchdog::new(Duration::from_secs(30));
        let began = Instant::now();
        let mut is_due = |millis| watchdog.is_due(began + Duration::from_millis(millis));
        assert!(is_due(0));
        assert!(!is_due(1_000) && !is_due(7_000));
        // The snapshot of half of its time, which comes a little earlier than that.
        assert!(is_due(14_900));
        assert!(!is_due(15_900) && !is_due(22_000));
        assert!(is_due(22_400));
    }

    #[test]
    fn it_wants_a_snapshot_for_the_watchdog_and_few_without_one() {
        let with = |limit: Option<u64>| Manager {
            watchdog: limit.map(|limit| Watchdog::new(Duration::from_secs(limit))),
            ..Manager::default()
        };
        let within = |limit| with(limit).snapshots_within();
        assert_eq!(within(Some(30)), Some(Duration::from_secs(15)));
        assert_eq!(within(Some(600)), Some(STATUS_WITHIN));
        assert_eq!(within(None), Some(STATUS_WITHIN));
    }
}
