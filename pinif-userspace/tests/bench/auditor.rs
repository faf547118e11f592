//! `pinif audit` as a child.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::process::Command;

use nix::sys::signal::Signal;
use pinif_userspace::lab::Counters;
use tempfile::NamedTempFile;

use super::Bench;
use super::pinif::{Ended, Pinif};
use super::report::{self, Report};

/// An auditor of the card that is to be started.
pub struct Setup<'a> {
    bench: &'a Bench,
    command: Command,
    policy: Option<NamedTempFile>,
}

impl<'a> Setup<'a> {
    pub(super) fn new(bench: &'a Bench) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.args(["audit", "--netns", bench.card().name(), "--cgroup"]);
        command.arg(bench.cgroup.path());
        Self {
            bench,
            command,
            policy: None,
        }
    }

    /// With these arguments too.
    pub fn arguments<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// With this policy, in a file of its own.
    pub fn policy(mut self, text: &str) -> Self {
        let mut file = tempfile::Builder::new()
            .suffix(".toml")
            .tempfile()
            .expect("cannot make a file");
        file.write_all(text.as_bytes())
            .expect("cannot write the policy");
        self.command.arg("--policy").arg(file.path());
        self.policy = Some(file);
        self
    }

    /// With this environment variable.
    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With its command changed so.
    pub fn changed(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// The command itself, for what only it can do. A policy's file must be the caller's.
    pub fn into_command(self) -> Command {
        assert!(self.policy.is_none(), "the file would go too early");
        self.command
    }

    /// Starts it, speaking JSON, and waits until it is ready.
    pub fn start(self) -> Auditor<'a> {
        let Self {
            bench,
            mut command,
            policy,
        } = self;
        command.args(["--format", "json"]);
        let mut pinif = Pinif::start(command);
        let ready = pinif.wait_for_line("it was ready", |line| {
            report::check(line);
            true
        });
        let mut auditor = Auditor {
            bench,
            pinif,
            ready,
            before: BTreeMap::new(),
            _policy: policy,
        };
        auditor.before = auditor.driver();
        auditor
    }

    /// Starts it, speaking to the journal, and waits until it is ready. A policy's file must be the caller's.
    pub fn start_in_journal(self) -> Pinif {
        let mut pinif = Pinif::start_in_journal(self.into_command());
        pinif.wait_for_note("Auditing ");
        pinif
    }

    /// Starts it, speaking to people, and waits until it is ready. A policy's file must be the caller's.
    pub fn start_for_people(self) -> Pinif {
        let mut pinif = Pinif::start(self.into_command());
        pinif.wait_for_note("Auditing ");
        pinif
    }
}

/// A running auditor that speaks JSON; ended when dropped.
pub struct Auditor<'a> {
    bench: &'a Bench,
    pinif: Pinif,
    ready: String,
    before: BTreeMap<&'static str, Counters>,
    _policy: Option<NamedTempFile>,
}

/// What each link's driver had sent when an auditor began.
#[derive(Clone, Debug)]
pub struct Began(BTreeMap<&'static str, Counters>);

/// The links whose own counters the report is held against.
const LINKS: [&str; 3] = ["lo", "fab0", "eth1"];

impl Auditor<'_> {
    /// Ends the audit as an operator would, and takes all that it said.
    pub fn stop(self) -> Report {
        self.stop_by(Signal::SIGTERM)
    }

    /// Ends the audit by a signal, and takes all that it said.
    pub fn stop_by(self, signal: Signal) -> Report {
        // The links are asked after the last packet: the senders have ended, and so must their connections.
        self.bench.settle();
        self.end(|pinif| pinif.signal(signal))
    }

    /// Ends the audit although connections are open: one whose way is cut off would stay so for minutes.
    pub fn stop_unsettled(self) -> Report {
        self.end(|pinif| pinif.signal(Signal::SIGTERM))
    }

    /// Takes all that an audit said that ends by itself.
    pub fn over(self) -> Report {
        self.end(|_| ())
    }

    /// What the links had sent when it began.
    pub fn began(&self) -> Began {
        Began(self.before.clone())
    }

    /// What it said when it was ready.
    pub fn ready(&self) -> report::Ready {
        report::ready(&self.ready)
    }

    /// Kills the auditor, so that it cannot clean up. Gives what the links had sent when it began.
    pub fn kill(self) -> Began {
        self.pinif.kill();
        Began(self.before)
    }

    /// Counts what the links have sent since an earlier auditor began.
    pub fn since(self, began: &Began) -> Self {
        Self {
            before: began.0.clone(),
            ..self
        }
    }

    /// Waits for a line of a finding of this kind, and gives what it says.
    pub fn wait_for_finding(&mut self, kind: &str) -> report::Told {
        self.wait_for_finding_that(kind, |told| told.kind == kind)
    }

    /// Waits for a line of a finding that `is` it, which `what` names.
    pub fn wait_for_finding_that(
        &mut self,
        what: &str,
        is: impl Fn(&report::Told) -> bool,
    ) -> report::Told {
        let line = self.pinif.wait_for_line(what, |line| {
            report::finding(line).is_some_and(|told| is(&told))
        });
        report::finding(&line).expect("it was one")
    }

    fn end(self, end: impl FnOnce(&Pinif)) -> Report {
        let driver = self.driver();
        let Self {
            pinif,
            ready,
            before,
            _policy,
            ..
        } = self;
        end(&pinif);
        let Ended {
            status,
            stdout,
            stderr,
        } = pinif.end();
        let sent = driver
            .into_iter()
            .map(|(link, after)| (link, since(before[link], after)));
        assert_eq!(stdout.first(), Some(&ready));
        Report::new(
            &ready,
            &stdout[1..],
            status,
            stderr.join("\n"),
            sent.collect(),
        )
    }

    /// What each link's driver has sent until now.
    fn driver(&self) -> BTreeMap<&'static str, Counters> {
        let further = self.bench.counting.borrow();
        LINKS
            .iter()
            .chain(further.iter())
            .map(|&link| (link, self.bench.card().sent(link).expect("the card has it")))
            .collect()
    }
}

impl Deref for Auditor<'_> {
    type Target = Pinif;

    fn deref(&self) -> &Pinif {
        &self.pinif
    }
}

impl DerefMut for Auditor<'_> {
    fn deref_mut(&mut self) -> &mut Pinif {
        &mut self.pinif
    }
}

fn since(before: Counters, after: Counters) -> Counters {
    Counters {
        packets: after.packets - before.packets,
        bytes: after.bytes - before.bytes,
        dropped: after.dropped - before.dropped,
    }
}
