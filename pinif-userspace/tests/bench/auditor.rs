//! `pinif audit` as a child.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::Signal;
use pinif_lab::{Counters, Namespace};
use pinif_userspace::findings::{line::FindingLine, ready::Ready};
use tempfile::NamedTempFile;

use super::Bench;
use super::group::Turn;
use super::pinif::{Ended, Pinif};
use super::report::{self, Report};
use super::share::Share;

/// How an auditor is to be started, whatever it audits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    arguments: Vec<OsString>,
    policy: Option<String>,
    environment: Vec<(String, OsString)>,
}

impl Orders {
    /// The command, without a policy.
    fn command<'a>(&self, netns: impl IntoIterator<Item = &'a str>, cgroup: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.arg("audit");
        for netns in netns {
            command.args(["--netns", netns]);
        }
        command.arg("--cgroup").arg(cgroup).args(&self.arguments);
        // Nothing where others look; a scenario that is about the socket names one.
        command.env("PINIF_AUDIT_NO_SOCKET", "true");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it, speaking JSON, and waits until it is ready.
    pub fn start<'a>(&self, netns: impl IntoIterator<Item = &'a str>, cgroup: &Path) -> Started {
        self.start_command(self.command(netns, cgroup))
    }

    fn start_command(&self, mut command: Command) -> Started {
        let policy = self.policy.as_deref().map(|text| {
            let mut file = NamedTempFile::with_suffix(".toml").expect("cannot make a file");
            file.write_all(text.as_bytes())
                .expect("cannot write the policy");
            command.arg("--policy").arg(file.path());
            file
        });
        command.args(["--format", "json"]);
        let mut pinif = Pinif::start(command);
        let ready = pinif.wait_for_line("it was ready", |line| {
            report::check(line);
            true
        });
        Started {
            pinif,
            ready,
            _policy: policy,
        }
    }
}

/// An auditor that speaks JSON, and is ready; ended when dropped.
pub struct Started {
    pinif: Pinif,
    /// The line that says so.
    pub ready: String,
    _policy: Option<NamedTempFile>,
}

impl Started {
    /// Lets something end it, and takes all that it said. `sent` is what each link's driver sent in the meantime.
    pub fn end(self, end: impl FnOnce(&Pinif), sent: BTreeMap<&'static str, Counters>) -> Report {
        let Self { pinif, ready, .. } = self;
        end(&pinif);
        let Ended {
            status,
            stdout,
            stderr,
        } = pinif.end();
        assert_eq!(stdout.first(), Some(&ready));
        Report::new(&ready, &stdout[1..], status, stderr.join("\n"), sent)
    }
}

/// An auditor of the card that is to be started.
pub struct Setup<'a> {
    bench: &'a Bench,
    orders: Orders,
    change: Option<Change<'a>>,
}

type Change<'a> = Box<dyn FnOnce(&mut Command) + 'a>;

impl<'a> Setup<'a> {
    pub(super) fn new(bench: &'a Bench) -> Self {
        Self {
            bench,
            orders: Orders::default(),
            change: None,
        }
    }

    /// With these arguments too.
    pub fn arguments<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter();
        let arguments = arguments.map(|argument| argument.as_ref().to_owned());
        self.orders.arguments.extend(arguments);
        self
    }

    /// With this policy, in a file of its own.
    pub fn policy(mut self, text: &str) -> Self {
        self.orders.policy = Some(text.to_owned());
        self
    }

    /// With this environment variable.
    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref().to_owned();
        self.orders.environment.push((name.to_owned(), value));
        self
    }

    /// With its command changed so.
    pub fn changed(mut self, change: impl FnOnce(&mut Command) + 'a) -> Self {
        self.change = Some(Box::new(change));
        self
    }

    /// The command itself, for what only it can do. A policy's file must be the caller's.
    pub fn into_command(mut self) -> Command {
        assert!(self.orders.policy.is_none(), "the file would go too early");
        self.command()
    }

    fn command(&mut self) -> Command {
        let bench = self.bench;
        let netns = [bench.card().name()];
        let mut command = self.orders.command(netns, bench.cgroup.path());
        if let Some(change) = self.change.take() {
            change(&mut command);
        }
        command
    }

    /// Starts it, speaking JSON, and waits until it is ready. Scenarios of a group that start the same share one.
    pub fn start(mut self) -> Auditor<'a> {
        let bench = self.bench;
        let (run, ready) = match &bench.group {
            Some(group) => {
                assert!(self.change.is_none(), "{SHARED}");
                let share = group.audit(self.orders, bench.card().name());
                let ready = share.ready().to_owned();
                let used = Used {
                    share: Some(share),
                    turn: Some(group.turn()),
                };
                (Run::Shared(used), ready)
            }
            None => {
                let command = self.command();
                let started = self.orders.start_command(command);
                let ready = started.ready.clone();
                (Run::Own(started), ready)
            }
        };
        let mut auditor = Auditor {
            bench,
            run,
            ready,
            before: BTreeMap::new(),
        };
        auditor.before = auditor.driver();
        auditor
    }

    /// Starts it on another namespace than the card, alone, and waits until it is ready.
    pub fn start_in(self, namespace: &Namespace) -> Started {
        assert!(
            self.change.is_none(),
            "what would be changed is not started"
        );
        let cgroup = self.bench.cgroup.path();
        self.orders.start([namespace.name()], cgroup)
    }

    /// Starts it, speaking to the journal, and waits until it is ready. A policy's file must be the caller's. Nobody listens for entries,
    /// but where an argument says: they are not for the journal of this machine.
    pub fn start_in_journal(self) -> Pinif {
        let mut command = self.into_command();
        command.env("PINIF_AUDIT_JOURNAL", "/nonexistent/journal");
        let mut pinif = Pinif::start_in_journal(command);
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
    run: Run,
    ready: String,
    before: BTreeMap<&'static str, Counters>,
}

enum Run {
    Own(Started),
    Shared(Used),
}

/// A scenario's part in an auditor that it shares.
struct Used {
    share: Option<Arc<Share>>,
    turn: Option<Turn>,
}

impl Used {
    /// The scenario is done with it, and gets what was said once all others are.
    fn report(mut self) -> Arc<Report> {
        drop(self.turn.take());
        let share = self.share.take().expect("it is used until now");
        share.report()
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        if let Some(share) = self.share.take() {
            drop(self.turn.take());
            share.abandon();
        }
    }
}

/// What each link's driver had sent when an auditor began.
#[derive(Clone, Debug)]
pub struct Began(BTreeMap<&'static str, Counters>);

/// The links whose own counters the report is held against.
const LINKS: [&str; 3] = ["lo", "fab0", "eth1"];

impl Auditor<'_> {
    /// Ends the audit as an operator would, and takes all that it said.
    pub fn stop(self) -> Report {
        // The links are asked after the last packet: the senders have ended, and so must their connections.
        self.bench.settle();
        self.end(|pinif| pinif.signal(Signal::SIGTERM))
    }

    /// Ends the audit by a signal, and takes all that it said.
    pub fn stop_by(self, signal: Signal) -> Report {
        self.bench.settle();
        self.signal(signal);
        self.over()
    }

    /// Ends the audit although connections are open: one whose route is gone would stay so for minutes.
    pub fn stop_unsettled(self) -> Report {
        self.end(|pinif| pinif.signal(Signal::SIGTERM))
    }

    /// Takes all that an audit said that ends by itself.
    pub fn over(self) -> Report {
        assert!(matches!(self.run, Run::Own(_)), "{SHARED}");
        self.end(|_| ())
    }

    /// What the links had sent when it began.
    pub fn began(&self) -> Began {
        Began(self.before.clone())
    }

    /// What it said when it was ready.
    pub fn ready(&self) -> Ready {
        report::ready(&self.ready)
    }

    /// Kills the auditor, so that it cannot clean up. Gives what the links had sent when it began.
    pub fn kill(self) -> Began {
        let Run::Own(started) = self.run else {
            panic!("{SHARED}")
        };
        started.pinif.kill();
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
    pub fn wait_for_finding(&mut self, kind: &str) -> FindingLine {
        self.wait_for_finding_that(kind, |finding| finding.kind.name() == kind)
    }

    /// Waits for a line of a finding that `is` it, which `what` names.
    pub fn wait_for_finding_that(
        &mut self,
        what: &str,
        is: impl Fn(&FindingLine) -> bool,
    ) -> FindingLine {
        let line = self.wait_for_line(what, |line| {
            report::finding(line).is_some_and(|finding| is(&finding))
        });
        report::finding(&line).expect("it was one")
    }

    fn end(self, end: impl FnOnce(&Pinif)) -> Report {
        let driver = self.driver().into_iter();
        let sent = driver
            .map(|(link, after)| (link, since(self.before[link], after)))
            .collect();
        match self.run {
            Run::Own(started) => started.end(end, sent),
            Run::Shared(used) => used.report().part(self.bench.card().name(), sent),
        }
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

const SHARED: &str = "this scenario changes its auditor's process, looks at it, or ends it: it must not be in a group";

impl Deref for Auditor<'_> {
    type Target = Pinif;

    fn deref(&self) -> &Pinif {
        match &self.run {
            Run::Own(started) => &started.pinif,
            Run::Shared(_) => panic!("{SHARED}"),
        }
    }
}

impl DerefMut for Auditor<'_> {
    fn deref_mut(&mut self) -> &mut Pinif {
        match &mut self.run {
            Run::Own(started) => &mut started.pinif,
            Run::Shared(_) => panic!("{SHARED}"),
        }
    }
}

fn since(before: Counters, after: Counters) -> Counters {
    Counters {
        packets: after.packets - before.packets,
        bytes: after.bytes - before.bytes,
        dropped: after.dropped - before.dropped,
    }
}
