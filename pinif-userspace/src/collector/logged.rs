//! What was told in notes, and is told once.

use std::{collections::BTreeSet, io};

use crate::surfaces::{Level, Sink};

/// The notes that were told.
#[derive(Debug, Default)]
pub(super) struct Logged(BTreeSet<String>);

impl Logged {
    /// Tells a note, unless the same was told before.
    pub(super) fn once(
        &mut self,
        level: Level,
        text: String,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        if self.0.contains(&text) {
            return Ok(());
        }
        let told = sink.note(level, &text);
        self.0.insert(text);
        told
    }
}
