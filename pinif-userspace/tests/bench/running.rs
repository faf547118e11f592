//! A program that runs beside the senders.

use std::process::{Child, Command, Stdio};

use pinif_lab::Namespace;

use super::lines::{Lines, Next};

/// A running program; ended when dropped.
pub struct Running {
    child: Child,
    stderr: Lines,
}

impl Running {
    pub(super) fn start(namespace: &Namespace, mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = namespace
            .run(|| command.spawn())
            .expect("the namespace is there");
        let mut child = child.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        Self {
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says these words on standard error.
    pub fn wait_for(&mut self, words: &str) {
        loop {
            match self.stderr.next() {
                Next::Line(line) if line.contains(words) => return,
                Next::Line(_) => (),
                Next::End => panic!("the program ended before it said {words:?}"),
                Next::Silence => panic!("the program never said {words:?}"),
            }
        }
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(mut self) {
        let lines = self.stderr.rest().expect("the program does not end");
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}: {}", lines.join("\n"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
