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
pub struct Reporter {
    notes: Mutex<StandardNotes>,
    shown: Mutex<Shown>,
}

/// What the service manager shows.
#[derive(Debug, Default)]
struct Shown {
    status: String,
    /// What is wrong for as long as it is.
    trouble: Option<String>,
}

impl Reporter {
    /// On standard error, which may be the journal.
    pub fn standard() -> Self {
        Self {
            notes: Mutex::new(Notes::standard()),
            shown: Mutex::default(),
        }
    }

    /// Says it.
    pub fn note(&self, level: Level, text: &str) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.note(level, text);
    }

    /// Says it, and has the service manager show it until something else is said.
    pub fn status(&self, level: Level, text: &str) {
        self.note(level, text);
        self.show(|shown| text.clone_into(&mut shown.status));
    }

    /// Has the service manager show beside it what is wrong, until it is something else or nothing.
    pub fn trouble(&self, text: Option<&str>) {
        self.show(|shown| shown.trouble = text.map(str::to_owned));
    }

    fn show(&self, change: impl FnOnce(&mut Shown)) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut shown);
        let parts = [shown.trouble.as_deref(), Some(&*shown.status)];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        notify(&[NotifyState::Status(&visible(&parts.join(". ")))]);
    }
}

/// Notifies the service manager (sd_notify(3)), where one started this.
pub fn notify(states: &[NotifyState<'_>]) {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        // It may have gone, which is no matter of what is served.
        let _ = sd_notify::notify(states);
    }
}
