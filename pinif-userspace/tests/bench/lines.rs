//! The lines of a child's output, waited for with patience but not for ever.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use pinif_lab::patience;

/// How long a child may take for its next line. A debug build on a busy machine loads its programs within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of waiting.
pub enum Next {
    /// A line, without its end.
    Line(String),
    /// The child closed its output.
    End,
    /// Nothing came in time.
    Silence,
}

/// The lines that a thread reads off a pipe.
pub struct Lines(Receiver<String>);

impl Lines {
    /// Starts to read.
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// Waits for the next line.
    pub fn next(&self) -> Next {
        match self.0.recv_timeout(patience(PATIENCE)) {
            Ok(line) => Next::Line(line),
            Err(RecvTimeoutError::Disconnected) => Next::End,
            Err(RecvTimeoutError::Timeout) => Next::Silence,
        }
    }

    /// A line that is there already.
    pub fn now(&self) -> Option<String> {
        self.0.try_recv().ok()
    }

    /// All lines until the end, for a child that is about to end; `None` if it does not.
    pub fn rest(&self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            match self.next() {
                Next::Line(line) => lines.push(line),
                Next::End => return Some(lines),
                Next::Silence => return None,
            }
        }
    }
}
