//! How far something is that takes long.

use std::time::{Duration, Instant};

use crate::surfaces::{Level, Sink};

/// How often it is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Tells how far it is, where it takes longer than one is told of.
pub(super) struct Progress(Instant);

impl Progress {
    /// It begins.
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Tells, if it is time to.
    ///
    /// # Errors
    ///
    /// When the sink fails.
    pub(super) fn tell(
        &mut self,
        sink: &mut dyn Sink,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        if self.0.elapsed() >= TELL_EVERY {
            self.0 = Instant::now();
            sink.note(Level::Info, &text())?;
        }
        Ok(())
    }
}
