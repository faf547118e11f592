//! How far the bench is, on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

/// Shows what is going on.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    is_terminal: bool,
}

impl Progress {
    /// Starts the clock.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Says what is being done, in place of what was said before where there is a terminal.
    pub fn say(&self, text: &str) {
        let seconds = self.started.elapsed().as_secs();
        let mut stderr = io::stderr().lock();
        // What cannot be written is no loss.
        let _written = if self.is_terminal {
            write!(stderr, "\r\x1b[Kbench: {seconds} s: {text}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "bench: {seconds} s: {text}")
        };
    }

    /// Says which round of how many a part is in.
    pub fn round(&self, part: &str, round: usize, rounds: usize) {
        if self.is_terminal || round == 0 {
            self.say(&format!("{part}: round {} of {rounds}", round + 1));
        }
    }

    /// Leaves the line.
    pub fn end(&self) {
        if self.is_terminal {
            eprintln!();
        }
    }
}
