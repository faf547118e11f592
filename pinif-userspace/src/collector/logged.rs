//! Notices that are published once.

use crate::hub::{Hub, Notice};

/// Those that were.
#[derive(Debug, Default)]
pub(super) struct Logged(Vec<Notice>);

impl Logged {
    /// Publishes a notice, unless the same was before.
    pub(super) fn once(&mut self, notice: Notice, hub: &Hub) {
        if !self.0.contains(&notice) {
            self.0.push(notice.clone());
            hub.note(notice);
        }
    }
}
