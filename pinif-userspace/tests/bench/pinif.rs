//! `pinif` as a child: what it says, line by line, and how it ends.

use std::io::{self, PipeReader, pipe};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::fstat;
use nix::unistd::Pid;

use super::lines::{Lines, Next};

/// A running pinif; ended when dropped.
pub struct Pinif {
    child: Child,
    stdout: OutputLines,
    stderr: OutputLines,
}

/// How pinif ended, and all that it said.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// The lines on standard output.
    pub stdout: Vec<String>,
    /// The lines on standard error.
    pub stderr: Vec<String>,
}

/// A stream's lines, and those of them that were waited for already.
struct OutputLines {
    lines: Lines,
    taken: Vec<String>,
}

impl Pinif {
    /// Starts the command, which must be of pinif, with its output taken.
    pub fn start(mut command: Command) -> Self {
        let (stderr, theirs) = pipe().expect("cannot make a pipe");
        command.stderr(theirs);
        Self::said_to(command, stderr, Stdio::null(), Stdio::piped())
    }

    /// The same, with its standard output elsewhere: only what it says on standard error is taken.
    pub fn start_onto(mut command: Command, stdout: impl Into<Stdio>) -> Self {
        let (stderr, theirs) = pipe().expect("cannot make a pipe");
        command.stderr(theirs);
        Self::said_to(command, stderr, Stdio::null(), stdout.into())
    }

    /// The same, with this for standard input.
    pub fn start_on(mut command: Command, stdin: Stdio) -> Self {
        let (stderr, theirs) = pipe().expect("cannot make a pipe");
        command.stderr(theirs);
        Self::said_to(command, stderr, stdin, Stdio::piped())
    }

    /// The same, where standard error is the journal, as systemd.exec(5) describes it.
    pub fn start_in_journal(mut command: Command) -> Self {
        let (stderr, theirs) = pipe().expect("cannot make a pipe");
        let status = fstat(&theirs).expect("a pipe");
        command.env(
            "JOURNAL_STREAM",
            format!("{}:{}", status.st_dev, status.st_ino),
        );
        command.stderr(theirs);
        Self::said_to(command, stderr, Stdio::null(), Stdio::piped())
    }

    fn said_to(mut command: Command, stderr: PipeReader, stdin: Stdio, stdout: Stdio) -> Self {
        command.stdin(stdin).stdout(stdout);
        let mut child = command.spawn().expect("cannot start pinif");
        // It holds our copy of the pipe's other end, without which there is no end.
        drop(command);
        Self {
            stdout: OutputLines::new(match child.stdout.take() {
                Some(stdout) => Lines::of(stdout),
                None => Lines::of(io::empty()),
            }),
            stderr: OutputLines::new(Lines::of(stderr)),
            child,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("pinif runs");
    }

    /// Waits for a line on standard output that `is` it.
    pub fn wait_for_line(&mut self, what: &str, is: impl FnMut(&str) -> bool) -> String {
        let outcome = self.stdout.wait_for(is);
        outcome
            .unwrap_or_else(|why| self.failed(&format!("{why} before {what} on standard output")))
    }

    /// Whether it has said anything on standard output yet.
    pub fn has_spoken(&mut self) -> bool {
        self.stdout.taken.extend(self.stdout.lines.now());
        !self.stdout.taken.is_empty()
    }

    /// Waits for a line on standard error that has these words in it.
    pub fn wait_for_note(&mut self, words: &str) -> String {
        let outcome = self.stderr.wait_for(|line| line.contains(words));
        outcome.unwrap_or_else(|why| self.failed(&format!("{why} before it said {words:?}")))
    }

    /// Waits for its end, which must be near.
    pub fn end(mut self) -> Ended {
        let (Some(stdout), Some(stderr)) = (self.stdout.all(), self.stderr.all()) else {
            self.failed("pinif did not end");
        };
        let status = self.child.wait().expect("a child");
        Ended {
            status,
            stdout,
            stderr,
        }
    }

    /// Kills it, so that it cannot clean up, and waits until it is gone.
    pub fn kill(mut self) {
        self.finish();
    }

    fn failed(&mut self, why: &str) -> ! {
        self.finish();
        let text = |lines: &mut OutputLines| lines.all().unwrap_or_default().join("\n");
        panic!(
            "{why}\n── on standard output:\n{}\n── on standard error:\n{}",
            text(&mut self.stdout),
            text(&mut self.stderr)
        );
    }

    fn finish(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Pinif {
    fn drop(&mut self) {
        self.finish();
    }
}

impl OutputLines {
    fn new(lines: Lines) -> Self {
        Self {
            lines,
            taken: Vec::new(),
        }
    }

    /// The next line that `is` it; what came of waiting, where none did.
    fn wait_for(&mut self, mut is: impl FnMut(&str) -> bool) -> Result<String, &'static str> {
        loop {
            match self.lines.next() {
                Next::Line(line) => {
                    let found = is(&line);
                    self.taken.push(line.clone());
                    if found {
                        return Ok(line);
                    }
                }
                Next::End => return Err("pinif ended"),
                Next::Silence => return Err("pinif fell silent"),
            }
        }
    }

    /// All lines, from the first to the last; `None` if there is no end.
    fn all(&mut self) -> Option<Vec<String>> {
        let rest = self.lines.rest()?;
        let mut all = std::mem::take(&mut self.taken);
        all.extend(rest);
        Some(all)
    }
}
