//! `pinif audit` as it is installed, of one site.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pinif_lab::{Cgroup, Namespace};
use procfs::process::Process;
use tempfile::{NamedTempFile, TempDir};

use crate::clock;
use crate::site::Site;

/// The pinif that was built with this bench.
pub const PINIF: &str = env!("CARGO_BIN_EXE_pinif");
/// How long pinif may take until it says something: it loads its programs, and attaches to all interfaces.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running auditor; ended when dropped.
#[derive(Debug)]
pub struct Auditor {
    child: Child,
    lines: Receiver<Line>,
    ready_after: Duration,
    errors: Option<JoinHandle<String>>,
    socket: PathBuf,
    _folder: TempDir,
    _policy: NamedTempFile,
}

/// A line on its standard output.
#[derive(Debug)]
pub struct Line {
    /// When it was read: nanoseconds of [`clock::now`].
    pub read: u64,
    /// What it says.
    pub text: String,
}

/// What it has taken until a moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// The moment: nanoseconds of [`clock::now`].
    pub at: u64,
    /// Time on a processor, of all threads, in user mode and in the kernel.
    pub busy: Duration,
    /// How often a thread was woken up, having waited (`voluntary_ctxt_switches` of proc_pid_status(5)).
    pub wake_ups: u64,
    /// Bytes in memory (`VmRSS`).
    pub resident: u64,
}

/// What a process has in memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Of its own, and of no file (`RssAnon` of proc_pid_status(5)).
    pub anonymous: u64,
    /// All, and its share of what others have too (`Pss` of proc_pid_smaps(5)).
    pub proportional: u64,
}

impl Auditor {
    /// Starts it on a site's card and cgroup, and waits until all is attached. It has a mount namespace of its own, so that
    /// what others on the machine mount, namespaces among it, does not wake it.
    ///
    /// # Errors
    /// Where it does not get ready; its own words are in the error.
    pub fn of(site: &Site, policy: &str) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", PINIF]);
        Self::start(command, site.chassis.card.name(), &site.cgroup, policy)
    }

    /// Starts it just as it is, and waits until all is attached.
    ///
    /// # Errors
    /// Where it does not get ready; its own words are in the error.
    pub fn plain(netns: &Namespace, cgroup: &Cgroup, policy: &str) -> Result<Self> {
        Self::start(Command::new(PINIF), netns.name(), cgroup, policy)
    }

    /// The same, of all namespaces with names like this, also of those that come.
    ///
    /// # Errors
    /// Where it does not get ready; its own words are in the error.
    pub fn of_names(glob: &str, cgroup: &Cgroup, policy: &str) -> Result<Self> {
        Self::start(Command::new(PINIF), glob, cgroup, policy)
    }

    /// The same by a command that is, or becomes, pinif.
    ///
    /// # Errors
    /// Where it does not get ready; its own words are in the error.
    pub fn start(mut command: Command, netns: &str, cgroup: &Cgroup, policy: &str) -> Result<Self> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
        file.write_all(policy.as_bytes())?;
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("pinif.sock");
        let started = clock::now();
        let mut child = command
            .args(["audit", "--format", "json", "--netns", netns, "--cgroup"])
            .arg(cgroup.path())
            .arg("--policy")
            .arg(file.path())
            .arg("--socket")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start pinif")?;
        let stdout = child.stdout.take().context("pinif has no output")?;
        let stderr = child.stderr.take().context("pinif has no errors")?;
        let mut auditor = Self {
            child,
            ready_after: Duration::ZERO,
            lines: lines(stdout),
            errors: Some(thread::spawn(move || all(stderr))),
            socket,
            _folder: folder,
            _policy: file,
        };
        let Line { read, text } = auditor.next_line()?;
        if !text.contains(r#""type":"ready""#) {
            bail!("pinif began with {text:?} instead of \"ready\"");
        }
        auditor.ready_after = Duration::from_nanos(read - started);
        Ok(auditor)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// How long it took from the call that started it until its line of being ready was read.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Where it can be asked.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it has in memory now.
    ///
    /// # Errors
    /// Where it ended.
    pub fn memory(&self) -> Result<Memory> {
        let process = Process::new(self.pid().as_raw())?;
        let mapped = process.smaps_rollup()?.memory_map_rollup.0;
        let sum = |name| {
            mapped
                .iter()
                .filter_map(|map| map.extension.map.get(name))
                .sum()
        };
        Ok(Memory {
            anonymous: process.status()?.rssanon.unwrap_or(0) * 1024,
            proportional: sum("Pss"),
        })
    }

    /// What it has taken until now.
    ///
    /// # Errors
    /// Where it ended.
    pub fn usage(&self) -> Result<Usage> {
        let process = Process::new(self.pid().as_raw())?;
        let mut wake_ups = 0;
        for task in process.tasks()? {
            // One that has ended meanwhile takes its switches along.
            let status = task.and_then(|task| task.status());
            wake_ups += status.map_or(0, |status| status.voluntary_ctxt_switches.unwrap_or(0));
        }
        let kibibytes = process.status()?.vmrss.unwrap_or(0);
        Ok(Usage {
            at: clock::now(),
            busy: clock::busy(self.pid())?,
            wake_ups,
            resident: kibibytes * 1024,
        })
    }

    /// Its next line.
    ///
    /// # Errors
    /// Where it ended; its own words are in the error.
    pub fn next_line(&mut self) -> Result<Line> {
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
fn lines(pipe: impl Read + Send + 'static) -> Receiver<Line> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for text in BufReader::new(pipe).lines().map_while(Result::ok) {
            let read = clock::now();
            if sender.send(Line { read, text }).is_err() {
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
