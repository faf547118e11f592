//! The bench's side of a load.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Order, Sent};

/// A load that waits to send; ended when dropped.
#[derive(Debug)]
pub struct Load {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Load {
    /// Starts a load, and waits until all its sockets are there.
    ///
    /// # Errors
    /// Where it does not get ready; why, it says on standard error itself.
    pub fn start(order: &Order) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg("load")
            .arg(serde_json::to_string(order)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a load")?;
        let stdout = child.stdout.take().context("a load has no output")?;
        let mut load = Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(stdout),
            child,
        };
        let word = load.line()?;
        ensure!(
            word.trim() == "ready",
            "a load said {word:?} instead of \"ready\""
        );
        Ok(load)
    }

    /// Has it send for some milliseconds, and waits for the end.
    ///
    /// # Errors
    /// Where it ended; why, it says on standard error itself.
    pub fn send(&mut self, milliseconds: u64) -> Result<Sent> {
        self.begin(milliseconds)?;
        self.finish()
    }

    /// Has it begin to send for some milliseconds.
    ///
    /// # Errors
    /// Where it ended.
    pub fn begin(&mut self, milliseconds: u64) -> Result<()> {
        let stdin = self.stdin.as_mut().context("a load has no input")?;
        writeln!(stdin, "{milliseconds}").context("a load has ended")
    }

    /// Waits until it has sent what it was asked to.
    ///
    /// # Errors
    /// Where it ended.
    pub fn finish(&mut self) -> Result<Sent> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("a load said {line:?}"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        if line.is_empty() {
            bail!("a load ended: {}", self.child.wait()?);
        }
        Ok(line)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Its input ends, and it with it; its sockets are closed when this returns.
        drop(self.stdin.take());
        let _ended = self.child.wait();
    }
}
