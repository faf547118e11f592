//! The service manager (sd_notify(3)): it learns when all is attached, how the audit stands, and when the end begins.

use std::io;

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
}

impl Manager {
    /// The one that the environment names (`NOTIFY_SOCKET`), if it does.
    pub fn of_environment() -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET").map(|_| Self::default())
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
        let state = match delivery {
            Delivery::Event(Event::Ready(_)) => NotifyState::Ready,
            Delivery::Event(Event::Ended(_)) => NotifyState::Stopping,
            Delivery::Snapshot(snapshot) => {
                let status = phrase::status(snapshot);
                if status == self.status {
                    return Ok(());
                }
                self.status = visible(&status).into_owned();
                NotifyState::Status(&self.status)
            }
            Delivery::Event(_) | Delivery::Missed(_) => return Ok(()),
        };
        // It may have gone, which is no matter of the audit.
        let _ = sd_notify::notify(&[state]);
        Ok(())
    }
}
