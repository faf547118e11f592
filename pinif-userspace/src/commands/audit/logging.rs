//! pinif's own log, for debugging: on standard error, off unless it is asked for.

use std::io::{self, Write as _};

use log::{LevelFilter, Log, Metadata, Record};

use crate::text::escape::visible;

struct StandardError;

impl Log for StandardError {
    /// pinif's own crates, the programs' among them: the libraries' logs would bury it.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("pinif")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = record.args().to_string();
        // A log that has no reader is no error.
        let _ = writeln!(
            io::stderr(),
            "{} {}: {}",
            record.level(),
            record.target(),
            visible(&line)
        );
    }

    fn flush(&self) {}
}

/// Starts to log what is as grave as `level`, or graver.
pub(super) fn start(level: LevelFilter) {
    // Only the second call of a process fails, and its level counts all the same.
    let _ = log::set_logger(&StandardError);
    log::set_max_level(level);
}

/// The level of aya-log in the programs: the verifier removes what is above it.
pub(super) fn level_of_programs(level: LevelFilter) -> u8 {
    level as u8
}
