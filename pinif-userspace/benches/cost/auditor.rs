//! `pinif audit` as it is installed, of one site.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;

use crate::site::Site;

/// How long pinif may take until it says something: it loads its programs, and attaches to all interfaces.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running auditor; ended when dropped.
#[derive(Debug)]
pub struct Auditor {
    child: Child,
    lines: Receiver<(Instant, String)>,
    errors: Option<JoinHandle<String>>,
    _policy: NamedTempFile,
}

impl Auditor {
    /// Starts it, and waits until all is attached.
    ///
    /// # Errors
    /// Where it does not get ready; its own words are in the error.
    pub fn start(site: &Site, policy: &str) -> Result<Self> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
        file.write_all(policy.as_bytes())?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .args([
                "audit",
                "--format",
                "json",
                "--netns",
                site.chassis.card.name(),
                "--cgroup",
            ])
            .arg(site.cgroup.path())
            .arg("--policy")
            .arg(file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start pinif")?;
        let stdout = child.stdout.take().context("pinif has no output")?;
        let stderr = child.stderr.take().context("pinif has no errors")?;
        let mut auditor = Self {
            child,
            lines: lines(stdout),
            errors: Some(thread::spawn(move || all(stderr))),
            _policy: file,
        };
        let (_, line) = auditor.next_line()?;
        if !line.contains(r#""type":"ready""#) {
            bail!("pinif began with {line:?} instead of \"ready\"");
        }
        Ok(auditor)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Its next line, and when it was there.
    ///
    /// # Errors
    /// Where it ended; its own words are in the error.
    pub fn next_line(&mut self) -> Result<(Instant, String)> {
        if let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            return Ok(line);
        }
        let _ended = self.child.kill();
        let status = self.child.wait()?;
        let errors = self.errors.take().and_then(|errors| errors.join().ok());
        bail!(
            "pinif ended ({status}) or said nothing: {}",
            errors.unwrap_or_default().trim()
        )
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        let _asked = kill(self.pid(), Signal::SIGTERM);
        let _ended = self.child.wait();
    }
}

/// Its lines, with the moment at which each was there. They are read at once, so that pinif never waits for its reader.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<(Instant, String)> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send((Instant::now(), line)).is_err() {
                return;
            }
        }
    });
    receiver
}

fn all(mut pipe: impl Read) -> String {
    let mut text = String::new();
    let _read = pipe.read_to_string(&mut text);
    text
}
