//! `pinif demo`: it shows what it promises, and whatever ends it, nothing of it is left.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::bench::lines::{Lines, Next};
use crate::bench::{Events, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// How each alert begins, in the order of the scenes.
const ALERTS: [&str; 4] = [
    "leak  address-escape  fabricd ",
    "leak  device-escape  fabricd ",
    "risk  unpinned  fabricd ",
    "leak  policy-escape  fabricd ",
];

#[test]
fn the_whole_story_is_shown() {
    let Some(demo) = Demo::start(&["--fast"]) else {
        return;
    };
    let pid = demo.child.id();
    let (status, printed, errors) = demo.end();
    assert_eq!(status.code(), Some(0), "{printed}\n{errors}");

    let alerts: Vec<&str> = printed
        .lines()
        // The time comes first.
        .filter_map(|line| Some(line.split_once("Z  ")?.1))
        .filter(|line| line.starts_with("leak  ") || line.starts_with("risk  "))
        .filter(|line| line.contains("(pid ") && line.contains(": UDP to "))
        .collect();
    assert_eq!(alerts.len(), ALERTS.len(), "{printed}");
    for (alert, begin) in alerts.iter().zip(ALERTS) {
        assert!(alert.starts_with(begin), "{alert}\n{printed}");
    }
    for words in [
        "Scene 6 of 6",
        "IP_PKTINFO override",
        "link fab0 is down",
        "The kernel refused to send: Network is unreachable.",
        "3 leaks, 1 risk. 9 of 15 packets left where they must not: ",
        "Try it:",
    ] {
        assert!(printed.contains(words), "{words:?} is missing:\n{printed}");
    }
    assert!(!printed.contains("\n\n\n"), "two empty lines:\n{printed}");
    assert!(
        !printed.contains('\x1b'),
        "a pipe has no colours:\n{printed}"
    );
    assert_eq!(errors, "");
    assert_eq!(left_of(pid), Vec::<String>::new());
}

#[test]
fn an_interrupt_leaves_nothing() {
    ended_by(Signal::SIGINT);
}

#[test]
fn a_termination_leaves_nothing() {
    ended_by(Signal::SIGTERM);
}

#[test]
fn what_a_kill_leaves_is_swept() {
    let Some(mut demo) = Demo::start(&[]) else {
        return;
    };
    let pid = demo.child.id();
    demo.wait_for(ALERTS[0]);
    let cgroups = left_of(pid).into_iter().map(|name| {
        let cgroup = pinif_lab::hierarchy()
            .expect("it was there before")
            .join(name);
        cgroup.join("cgroup.events")
    });
    let ends = Events::of_files(cgroups.filter(|file| file.exists()));
    demo.signal(Signal::SIGKILL);
    // Its standard error ends with fabricd, which has it too, a moment before its cgroup is empty.
    demo.end();
    wait_until("all is swept", &ends, || {
        pinif_lab::sweep();
        left_of(pid).is_empty()
    });
}

#[test]
fn a_reader_who_leaves_ends_it_without_complaint() {
    let Some(mut command) = command(&["--fast"]) else {
        return;
    };
    let mut child = command.spawn().expect("cannot start pinif");
    let pid = child.id();
    let errors = Lines::of(child.stderr.take().expect("piped"));
    let mut printed = BufReader::new(child.stdout.take().expect("piped"));
    printed.read_line(&mut String::new()).expect("a line");
    drop(printed);
    let errors = errors.rest().expect("the demo ends");
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(child.wait().expect("a child").code(), Some(1));
    assert_eq!(left_of(pid), Vec::<String>::new());
}

fn ended_by(signal: Signal) {
    let Some(mut demo) = Demo::start(&[]) else {
        return;
    };
    let pid = demo.child.id();
    let alert = demo.wait_for(ALERTS[0]);
    let fabricd = alert
        .split_once("(pid ")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(pid, _)| Path::new("/proc").join(pid))
        .expect("an alert names the process");
    assert!(fabricd.exists(), "{alert}");
    demo.signal(signal);
    let (status, printed, errors) = demo.end();
    assert_eq!(status.code(), Some(1), "{printed}\n{errors}");
    assert!(
        printed.ends_with("are gone again.\n") && printed.contains("Stopped."),
        "{printed}"
    );
    assert_eq!(errors, "");
    assert!(!fabricd.exists(), "fabricd is still there");
    assert_eq!(left_of(pid), Vec::<String>::new());
}

/// A running demo; ended when dropped.
struct Demo {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Demo {
    /// Starts it, where it can run.
    fn start(arguments: &[&str]) -> Option<Self> {
        let mut child = command(arguments)?.spawn().expect("cannot start pinif");
        Some(Self {
            stdout: Lines::of(child.stdout.take().expect("piped")),
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
        })
    }

    /// Waits for the line that begins so.
    fn wait_for(&mut self, begin: &str) -> String {
        let mut printed = String::new();
        loop {
            match self.stdout.next() {
                // The time comes first.
                Next::Line(line) if line.contains(&format!("Z  {begin}")) => return line,
                Next::Line(line) => printed += &(line + "\n"),
                Next::End => panic!("the demo ended:\n{printed}{:?}", self.stderr.rest()),
                Next::Silence => panic!("the demo does not go on:\n{printed}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("the demo runs");
    }

    /// Waits for its end: its status, what it says from now on, and its errors.
    fn end(mut self) -> (ExitStatus, String, String) {
        let text = |lines: Option<Vec<String>>| {
            let lines = lines.expect("the demo ends");
            lines.iter().map(|line| format!("{line}\n")).collect()
        };
        let printed = text(self.stdout.rest());
        let status = self.child.wait().expect("a child");
        (status, printed, text(self.stderr.rest()))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The demo as a command, where it can run; otherwise says loudly why not.
fn command(arguments: &[&str]) -> Option<Command> {
    if !geteuid().is_root() {
        eprintln!("SKIPPED the demo: it makes network namespaces, and must run as root");
        return None;
    }
    if let Err(error) = pinif_lab::hierarchy() {
        eprintln!("SKIPPED the demo: {error}");
        return None;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.arg("demo").args(arguments);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

/// The namespaces and cgroups that the process made.
fn left_of(pid: u32) -> Vec<String> {
    let cgroups = pinif_lab::hierarchy().expect("it was there before");
    let entries = [Path::new("/run/netns"), &cgroups]
        .into_iter()
        .flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with(&format!("pinif-{pid}-")))
        .collect()
}
