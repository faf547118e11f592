//! What a signal does to an audit: only those that ask for its end bring it about.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::bench::{Events, Pinif, scenario, wait_until};

const CONTAINED: &str = "udp --bind-device fab0 --to 10.0.0.2:9 --count 10";

/// Those that end a program which does not handle them, and mean nothing to an audit.
fn meaningless() -> Vec<(i32, String)> {
    let named = [
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGVTALRM,
        Signal::SIGPROF,
        Signal::SIGIO,
        Signal::SIGPWR,
        Signal::SIGSTKFLT,
    ];
    let named = named.map(|signal| (signal as i32, signal.as_str().to_owned()));
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let realtime = [first, last].map(|number| (number, format!("SIGRTMIN+{}", number - first)));
    [&named[..], &realtime[..]].concat()
}

fn send(pid: Pid, signal: i32) {
    // SAFETY: no memory is touched, and the process is a child that was not waited for.
    let sent = unsafe { libc::kill(pid.as_raw(), signal) };
    assert_eq!(sent, 0, "{signal}");
}

#[test]
fn a_signal_that_means_nothing_is_reported_once_and_ends_nothing() {
    scenario("service signals-ignored", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        for (signal, name) in meaningless() {
            send(auditor.pid(), signal);
            let note = auditor.wait_for_note(&name);
            assert_eq!(
                note,
                format!(
                    "warning: {name} means nothing to pinif: the audit goes on; SIGTERM ends it"
                )
            );
            send(auditor.pid(), signal);
        }
        send(auditor.pid(), libc::SIGUSR1);
        let note = auditor.wait_for_note("SIGUSR1");
        assert_eq!(
            note,
            "warning: SIGUSR1 confirms --enforce-for, and nothing is enforced: the audit goes on; SIGTERM ends it"
        );
        send(auditor.pid(), libc::SIGUSR1);
        // Those that do nothing by themselves, and those that stop it and let it go on.
        for signal in [
            libc::SIGWINCH,
            libc::SIGURG,
            libc::SIGCHLD,
            libc::SIGPIPE,
            libc::SIGTSTP,
            libc::SIGCONT,
        ] {
            send(auditor.pid(), signal);
        }
        bench.send(CONTAINED);
        let report = auditor.stop();
        assert_eq!(
            report.stderr.lines().count(),
            meaningless().len() + 1,
            "each once: {report}"
        );
        report
            .expect()
            .contained("fab0", "fab0", 10)
            .exit(0)
            .nothing_else();
    });
}

#[test]
fn signals_that_ask_for_the_end_end_with_the_summary() {
    scenario("service signals-end", &[], |bench| {
        for signal in [Signal::SIGQUIT, Signal::SIGXCPU] {
            let auditor = bench.audit(&["--enforce"]);
            bench.send(CONTAINED);
            let report = auditor.stop_by(signal);
            assert_eq!(report.stderr, "");
            report
                .expect()
                .contained("fab0", "fab0", 10)
                .exit(0)
                .nothing_else();
        }
    });
}

#[test]
fn signals_that_come_before_it_is_ready_end_nothing() {
    scenario("service signals-early", &[], |bench| {
        for enforce in [&[][..], &["--enforce"]] {
            let setup = bench.auditor().arguments(["--format", "json"]);
            let mut pinif = Pinif::start(setup.arguments(enforce).into_command());
            let pid = pinif.pid();
            // Nothing reports that another process handles a signal.
            let events = Events::every(Duration::from_millis(1));
            wait_until("signals are handled", &events, || {
                catches(pid, libc::SIGRTMAX())
            });
            for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGRTMIN()] {
                send(pid, signal);
            }
            pinif.wait_for_line("it was ready", |line| {
                line.starts_with(r#"{"type":"ready""#)
            });
            for _ in ["SIGUSR2", "SIGRTMIN+0"] {
                pinif.wait_for_note(" means nothing to pinif");
            }
            pinif.signal(Signal::SIGTERM);
            let ended = pinif.end();
            assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
            assert_eq!(ended.status.signal(), None);
        }
    });
}

#[test]
fn a_command_that_is_ended_before_it_has_begun_leaves_nothing() {
    scenario("service signals-run", &[], |bench| {
        let below = || {
            let entries = fs::read_dir(bench.cgroup_path()).expect("a cgroup");
            let directories = entries.flatten().filter(|entry| entry.path().is_dir());
            directories.count()
        };
        let events = Events::of_files([bench.cgroup_path()]);
        let mut command = bench.pinned_reported("fab0", "none");
        let mut child = command.args(["sleep", "1000"]).spawn().expect("pinif");
        // Its programs are loaded for a while after that.
        wait_until("its cgroup is made", &events, || below() > 0);
        send(Pid::from_raw(child.id().cast_signed()), libc::SIGTERM);
        let status = child.wait().expect("a child");
        assert_eq!(status.signal(), Some(libc::SIGTERM), "{status}");
        assert_eq!(below(), 0, "it is gone");
    });
}

/// Whether a process handles a signal (proc_pid_status(5), `SigCgt`).
fn catches(pid: Pid, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.expect("every kernel has this line").trim(), 16);
    caught.expect("hexadecimal") & 1 << (signal - 1) != 0
}
