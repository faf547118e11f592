//! `pinif audit` as a child.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pinif_userspace::lab::Counters;
use tempfile::NamedTempFile;

use super::Bench;
use super::lines::{Lines, Next};
use super::report::Report;

/// A running auditor; ended when dropped.
pub struct Auditor<'a> {
    bench: &'a Bench,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    ready: String,
    before: BTreeMap<&'static str, Counters>,
    _policy: Option<NamedTempFile>,
}

/// The links whose own counters the report is held against.
const LINKS: [&str; 3] = ["lo", "fab0", "eth1"];

impl<'a> Auditor<'a> {
    pub(super) fn start(bench: &'a Bench, policy: Option<&str>, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command
            .args([
                "audit",
                "--format",
                "json",
                "--netns",
                bench.card().name(),
                "--cgroup",
            ])
            .arg(bench.cgroup.path());
        let policy = policy.map(|text| {
            let mut file = tempfile::Builder::new()
                .suffix(".toml")
                .tempfile()
                .expect("cannot make a file");
            file.write_all(text.as_bytes())
                .expect("cannot write the policy");
            command.arg("--policy").arg(file.path());
            file
        });
        command.args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("cannot start pinif");
        let mut auditor = Self {
            bench,
            stdout: Lines::of(child.stdout.take().expect("piped")),
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
            ready: String::new(),
            before: BTreeMap::new(),
            _policy: policy,
        };
        auditor.ready = auditor.first_line();
        auditor.before = auditor.driver();
        auditor
    }

    fn first_line(&mut self) -> String {
        match self.stdout.next() {
            Next::Line(line) if line.contains(r#""type":"ready""#) => line,
            Next::Line(line) => panic!("the auditor's first line is {line}"),
            Next::End => panic!("the auditor could not audit:\n{}", self.errors()),
            Next::Silence => {
                self.end();
                panic!("the auditor did not become ready:\n{}", self.errors())
            }
        }
    }

    /// Ends the audit as an operator would, and takes all that it said.
    pub fn stop(mut self) -> Report {
        // The links are asked after the last packet: the senders have ended, and so must their connections.
        self.bench.settle();
        let driver = self.driver();
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGTERM).expect("the auditor runs");
        let Some(lines) = self.stdout.rest() else {
            self.end();
            panic!("the auditor did not end on SIGTERM:\n{}", self.errors());
        };
        let status = self.child.wait().expect("a child");
        let sent = driver
            .into_iter()
            .map(|(link, after)| (link, since(self.before[link], after)));
        Report::new(&self.ready, &lines, status, self.errors(), sent.collect())
    }

    /// What each link's driver has sent until now.
    fn driver(&self) -> BTreeMap<&'static str, Counters> {
        LINKS
            .iter()
            .map(|&link| (link, self.bench.card().sent(link).expect("the card has it")))
            .collect()
    }

    fn errors(&self) -> String {
        self.stderr
            .rest()
            .map_or("(it goes on)".to_owned(), |lines| lines.join("\n"))
    }

    fn end(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Auditor<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn since(before: Counters, after: Counters) -> Counters {
    Counters {
        packets: after.packets - before.packets,
        bytes: after.bytes - before.bytes,
        dropped: after.dropped - before.dropped,
    }
}
