//! fabricd as a child of the demo.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use pinif_lab::{Cgroup, Namespace};

use super::daemon::{Answer, Step};

/// The hidden subcommand that is fabricd.
const SUBCOMMAND: &str = "demo-daemon";

/// A running fabricd; ended when dropped. It ends by itself when the demo does, even after SIGKILL: its standard input
/// is closed then.
#[derive(Debug)]
pub struct Fabricd {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Fabricd {
    /// Starts it in the namespace and the cgroup.
    pub fn start(card: &Namespace, cgroup: &Cgroup) -> Result<Self> {
        // This very file, even if another has taken its place since.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("fabricd")
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the demo, which ends fabricd when the auditor has reported all.
            .process_group(0);
        let mut child = card
            .run(|| command.spawn())?
            .context("cannot start fabricd")?;
        let orders = child
            .stdin
            .take()
            .context("fabricd has no standard input")?;
        let answers = child
            .stdout
            .take()
            .context("fabricd has no standard output")?;
        let fabricd = Self {
            child,
            orders,
            answers: BufReader::new(answers),
        };
        // It makes no socket before its first order, so that all of its sockets are made in the cgroup.
        let members = cgroup.path().join("cgroup.procs");
        fs::write(&members, fabricd.child.id().to_string())
            .with_context(|| format!("cannot put fabricd into {}", members.display()))?;
        Ok(fabricd)
    }

    /// Lets it do a step, and waits until that is done.
    pub fn perform(&mut self, step: Step) -> Result<Answer> {
        writeln!(self.orders, "{}", serde_json::to_string(&step)?)
            .context("fabricd has ended and takes no more orders")?;
        let mut answer = String::new();
        let length = self
            .answers
            .read_line(&mut answer)
            .context("cannot read fabricd's answer")?;
        ensure!(length > 0, "fabricd ended instead of doing its step");
        serde_json::from_str(&answer).with_context(|| format!("fabricd answered {answer:?}"))
    }
}

impl Drop for Fabricd {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
