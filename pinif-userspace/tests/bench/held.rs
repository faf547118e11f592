//! `pinif run` and `pinif pin` over the card.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use pinif_lab::Namespace;
use serde::Deserialize;

use super::{Bench, SENDER, Sent};

/// What a pin says of itself as JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// The interface's name.
    pub interface: String,
    /// Its index.
    pub index: Option<u32>,
    /// Sockets that were bound when they were made.
    pub pinned: u64,
    /// Sockets that were not made: the interface was away.
    pub away: u64,
    /// Sockets that were not made: another namespace.
    pub elsewhere: u64,
    /// By interface.
    pub interfaces: Vec<EgressStats>,
    /// Attempts that were refused.
    pub refused: u64,
    /// Attempts to join a group elsewhere that were refused.
    pub refused_joins: u64,
    /// Who attempted what.
    pub attempts: Vec<Try>,
    /// What was not counted.
    pub uncounted: u64,
}

/// An interface's counts.
#[derive(Clone, Debug, Deserialize)]
pub struct EgressStats {
    /// Its name.
    pub name: String,
    /// Packets that went there.
    pub packets: u64,
    /// Those that reached it, of a command that was run.
    pub arrived: Option<u64>,
    /// Packets that did not.
    pub kept_packets: u64,
}

/// Attempts of one process.
#[derive(Clone, Debug, Deserialize)]
pub struct Try {
    /// The process's name.
    pub comm: String,
    /// The device's name.
    pub device: Option<String>,
    /// The interface's index.
    pub index: Option<u32>,
    /// What it was.
    pub what: String,
    /// How often.
    pub times: u64,
}

impl Account {
    /// Reads a line.
    pub fn of(line: &str) -> Self {
        let value = super::valid(line, pinif_userspace::schema::pin);
        serde_json::from_value(value).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// What left, by interface.
    pub fn left(&self) -> Vec<(&str, u64)> {
        let interfaces = self.interfaces.iter().filter(|stats| stats.packets != 0);
        interfaces
            .map(|stats| (&*stats.name, stats.packets))
            .collect()
    }

    /// What reached an interface, by interface.
    pub fn arrived(&self) -> Vec<(&str, Option<u64>)> {
        let interfaces = self.interfaces.iter().filter(|stats| stats.packets != 0);
        interfaces
            .map(|stats| (&*stats.name, stats.arrived))
            .collect()
    }

    /// What was kept, by interface.
    pub fn kept(&self) -> Vec<(&str, u64)> {
        let interfaces = self
            .interfaces
            .iter()
            .filter(|stats| stats.kept_packets != 0);
        interfaces
            .map(|stats| (&*stats.name, stats.kept_packets))
            .collect()
    }
}

/// A command that was run, and what became of it.
#[derive(Debug)]
pub struct Held {
    /// How it ended, and what it said.
    pub output: Output,
    /// What pinif counted.
    pub account: Account,
}

impl Held {
    /// What a sender said of itself.
    pub fn sent(&self) -> Sent {
        let said = String::from_utf8_lossy(&self.output.stdout);
        let last = said
            .lines()
            .last()
            .expect("a sender's last line says what it sent");
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{last}: {error}"))
    }
}

impl Bench {
    /// `pinif run` of the card, to begin in the bench's cgroup.
    pub fn pinned(&self, interface: &str, options: &str) -> Command {
        let mut options: Vec<_> = options.split_whitespace().collect();
        options.extend(["--report", "json"]);
        self.pinned_with(interface, &options)
    }

    /// The same, with another report at the end.
    pub fn pinned_reported(&self, interface: &str, report: &str) -> Command {
        self.pinned_with(interface, &["--report", report])
    }

    fn pinned_with(&self, interface: &str, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command
            .args([
                "run",
                "--interface",
                interface,
                "--netns",
                self.card().name(),
            ])
            .arg("--cgroup")
            .arg(self.cgroup_path())
            .args(options)
            .arg("--")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, and reads what was counted.
    pub fn held(&self, mut run: Command) -> Held {
        let output = run.output().expect("cannot start pinif");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = errors
            .lines()
            .rev()
            .find(|line| line.starts_with("{\"type\":\"pin\""));
        let line = line.unwrap_or_else(|| panic!("nothing was counted: {errors}"));
        Held {
            account: Account::of(line),
            output,
        }
    }

    /// Runs a sender pinned to fab0.
    pub fn send_held(&self, arguments: &str) -> Held {
        let mut run = self.pinned("fab0", "");
        run.arg(*SENDER).args(arguments.split_whitespace());
        self.held(run)
    }

    /// What the front port sent while something was done.
    pub fn outside_while<T>(&self, act: impl FnOnce() -> T) -> (T, u64) {
        let before = sent(self.card(), "eth1");
        let result = act();
        (result, sent(self.card(), "eth1") - before)
    }

    /// What the backplane's port sent so far.
    pub fn inside(&self) -> u64 {
        sent(self.card(), "fab0")
    }

    /// `pinif pin`, in the card's namespace.
    pub fn pin(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.arg("pin").args(arguments).stdin(Stdio::null());
        let output = self.card().run(|| command.output());
        output
            .expect("the card is there")
            .expect("cannot start pinif")
    }

    /// The pin of a cgroup, as `pinif pin --list` shows it.
    pub fn pin_of(&self, cgroup: &Path) -> Account {
        let path = cgroup.to_str().expect("UTF-8");
        let output = self.pin(&["--list", "--cgroup", path, "--format", "json"]);
        assert!(output.status.success(), "{output:?}");
        Account::of(&String::from_utf8_lossy(&output.stdout))
    }
}

fn sent(namespace: &Namespace, link: &str) -> u64 {
    namespace.sent(link).expect("the link is there").packets
}
