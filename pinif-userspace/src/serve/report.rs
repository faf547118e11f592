//! What `pinif serve` says of itself: to a person or the journal, and to the service manager.

use std::sync::{Mutex, PoisonError};

use sd_notify::NotifyState;

use crate::{
    surfaces::{
        Level,
        notes::{Notes, StandardNotes},
    },
    text::escape::visible,
};

/// Where it is said. Several threads say something.
#[derive(Debug)]
pub struct Reporter(Mutex<StandardNotes>);

impl Reporter {
    /// On standard error, which may be the journal.
    pub fn standard() -> Self {
        Self(Mutex::new(Notes::standard()))
    }

    /// Says it.
    pub fn note(&self, level: Level, text: &str) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.note(level, text);
    }

    /// Says it, and has the service manager show it until something else is said.
    pub fn status(&self, level: Level, text: &str) {
        self.note(level, text);
        notify(&[NotifyState::Status(&visible(text))]);
    }
}

/// Notifies the service manager (sd_notify(3)), where one started this.
pub fn notify(states: &[NotifyState<'_>]) {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        // It may have gone, which is no matter of what is served.
        let _ = sd_notify::notify(states);
    }
}
