//! The service manager (sd_notify(3)): it learns when all is attached, and when the end begins.

use std::io;

use sd_notify::NotifyState;

use crate::hub::{Delivery, Event, Subscriber};

/// The manager that started pinif.
#[derive(Debug)]
pub struct Manager;

impl Manager {
    /// The one that the environment names (`NOTIFY_SOCKET`), if it does.
    pub fn of_environment() -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET").map(|_| Self)
    }
}

impl Subscriber for Manager {
    fn name(&self) -> &'static str {
        "the service manager"
    }

    fn on(&mut self, delivery: &Delivery) -> io::Result<()> {
        let state = match delivery {
            Delivery::Event(Event::Ready(_)) => NotifyState::Ready,
            Delivery::Event(Event::Ended(_)) => NotifyState::Stopping,
            Delivery::Event(_) | Delivery::Missed(_) => return Ok(()),
        };
        // It may have gone, which is no matter of the audit.
        let _ = sd_notify::notify(&[state]);
        Ok(())
    }
}
