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

/// What ends pinif and starts it again where it is not notified in time (`WatchdogSec=` of systemd.service(5)).
///
/// It is notified when a snapshot comes. The collector's own loop makes one each second, so a collector that hangs makes none. That
/// takes no timer, and the collector does not wait for the manager to read.
#[derive(Debug)]
struct Watchdog {
    every: Duration,
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
    /// One that waits so long. Half of the time is what sd_watchdog_enabled(3) recommends.
    fn new(limit: Duration) -> Self {
        Self {
            every: limit / 2,
            last: None,
        }
    }

    /// Whether it is to be notified now.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.last.is_none_or(|last| now >= last + self.every);
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

    fn wants_snapshots(&self) -> bool {
        true
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
    fn the_watchdog_is_notified_twice_in_its_time() {
        let mut watchdog = Watchdog::new(Duration::from_secs(30));
        let began = Instant::now();
        let mut is_due = |seconds| watchdog.is_due(began + Duration::from_secs(seconds));
        assert!(is_due(0));
        assert!(!is_due(1) && !is_due(14));
        assert!(is_due(16));
        assert!(!is_due(17) && !is_due(30));
        assert!(is_due(31));
    }
}
