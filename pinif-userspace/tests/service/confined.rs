//! The auditor as `contrib/pinif.service` confines it: from its start to its end, and what it cannot see where a system call is refused.

pub mod filter;
pub mod unit;

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::{
    sched::{CloneFlags, setns},
    sys::signal::Signal,
};
use pinif_lab::{BpfFs, Namespace, patience};

use self::unit::Unit;
use crate::bench::{Bench, Finding, Pinif, Report, Sender, leak, risk, scenario};

const FRAMES: &str = "--device eth1 --from 10.0.0.1:4000 --to 203.0.113.9:9 --count 100";
const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10";

/// Confines the command to the shipped unit, but for these system calls.
fn confine(refused: &[&str]) -> impl FnOnce(&mut Command) {
    move |command| filter::confine(command, &Unit::shipped(), refused)
}

/// A process that has a packet socket, and sends by it when it is let.
fn packet_socket(bench: &Bench, options: &str) -> Sender {
    let mut sender = bench.sender(&format!("--wait-stdin packet {options} {FRAMES}"));
    sender.wait_for("ready");
    sender
}

fn bypass() -> Finding {
    let finding = risk("unaudited").egress("eth1");
    finding.cause("packet socket with PACKET_QDISC_BYPASS")
}

fn escape() -> Finding {
    leak("device-escape").bound("fab0").egress("eth1")
}

fn policy(rule: &str) -> String {
    format!(
        "[zone.backplane]\ninterfaces = [\"fab*\"]\n\n[[rule]]\nname = \"{rule}\"\ndestination = [\"10.9.0.0/16\"]\n\
         only_via = [\"backplane\"]\n"
    )
}

/// What the service manager receives next.
fn received(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = manager.recv(&mut buffer).expect("nothing is said");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn manager(path: &Path) -> UnixDatagram {
    let manager = UnixDatagram::bind(path).expect("a socket");
    let limit = Some(patience(Duration::from_secs(60)));
    manager.set_read_timeout(limit).expect("a socket");
    manager
}

#[test]
fn the_shipped_unit_allows_all_that_an_audit_does() {
    scenario("service confined", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let [notify, file, socket] =
            ["notify", "policy.toml", "pinif.sock"].map(|name| folder.path().join(name));
        let manager = manager(&notify);
        fs::write(&file, policy("first")).expect("it is ours");
        let mounted = BpfFs::new("pins").expect("cannot mount a BPF file system");
        let persist = format!("--persist={}", mounted.path().join("auditor").display());
        let later = format!("pinif-{}-*-later", std::process::id());

        let bypassing = packet_socket(bench, "--bypass");
        let seen = packet_socket(bench, "");
        let mut auditor = bench
            .auditor()
            .arguments([
                "--enforce",
                "--foresee",
                "--learn",
                &persist,
                "--netns",
                &later,
            ])
            .arguments(["--policy".as_ref(), file.as_os_str()])
            .arguments(["--socket".as_ref(), socket.as_os_str()])
            .environment("NOTIFY_SOCKET", &notify)
            .changed(confine(&[]))
            .start();
        assert_eq!(received(&manager), "READY=1\n");
        let status = fs::read_to_string(format!("/proc/{}/status", auditor.pid()));
        let status = status.expect("it runs");
        assert!(status.contains("\nTHP_enabled:\t0\n"), "{status}");
        let asked = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .args(["status", "--socket"])
            .arg(&socket)
            .output()
            .expect("pinif runs");
        assert_eq!(asked.status.code(), Some(0), "{asked:?}");
        auditor.wait_for_finding("unaudited");
        let bypassed = bypassing.go_and_finish();
        let framed = seen.go_and_finish();
        auditor.wait_for_finding("address-escape");

        let later = Namespace::new("later").expect("a namespace");
        auditor.wait_for_note(&format!("{} is audited from now on", later.name()));
        fs::write(&file, policy("second")).expect("it is ours");
        auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
        auditor.signal(Signal::SIGHUP);
        auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
        let escaped = bench.send(LEAK);
        let draft = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .args(["learn", "--socket"])
            .arg(&socket)
            .output()
            .expect("pinif runs");
        let draft = String::from_utf8_lossy(&draft.stdout);
        assert!(draft.contains("interfaces = [\"eth1\"]"), "{draft}");

        let report = auditor.stop();
        assert!(
            report.stderr.contains("the programs stay attached"),
            "{report}"
        );
        // How it stands may have been said before.
        let mut said = std::iter::repeat_with(|| received(&manager));
        let last = said.find(|text| !text.starts_with("STATUS="));
        assert_eq!(last.as_deref(), Some("STOPPING=1\n"));
        report
            .expect()
            .finding(bypass().by(&bypassed))
            .finding(
                risk("address-escape")
                    .egress("eth1")
                    .packets(100)
                    .by(&framed),
            )
            .finding(escape().packets(10).by(&escaped).dropped())
            .driver_counts_apart("eth1")
            .nothing_else();
        let detached = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .args(["detach", &persist])
            .output();
        assert!(detached.expect("cannot run pinif").status.success());
    });
}

#[test]
fn the_shipped_unit_allows_the_journal() {
    scenario("service confined-journal", &[], |bench| {
        let bypassing = packet_socket(bench, "--bypass");
        let mut pinif = bench.auditor().changed(confine(&[])).start_in_journal();
        let line = pinif.wait_for_note("unaudited");
        assert!(line.starts_with("<4>risk unaudited: "), "{line}");
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        assert!(
            ended
                .stderr
                .iter()
                .any(|line| line.starts_with("<6>0 leaks, 1 risk. ")),
            "{ended:#?}"
        );
        bypassing.go_and_finish();
    });
}

/// An audit goes on although something is refused, finds what it can see, and reports what it cannot.
fn goes_on(bench: &Bench, unit: Unit, refused: &[&str], unknown: &'static str) -> Report {
    let card = File::open(bench.card().path()).expect("the card");
    let change = |command: &mut Command| {
        let enter = move || Ok(setns(&card, CloneFlags::CLONE_NEWNET)?);
        // SAFETY: between fork and exec, only setns(2) is called. What enters no other namespace may stay in its own.
        unsafe { command.pre_exec(enter) };
        filter::confine(command, &unit, refused);
    };
    let mut auditor = bench.auditor().changed(change).start();
    auditor.wait_for_finding("unaudited");
    let escaped = bench.send(LEAK);
    let report = auditor.stop();
    report
        .expect()
        .finding(escape().packets(10).by(&escaped))
        .finding(risk("unaudited").egress("*").cause(unknown))
        .exit(2)
        .nothing_else();
    report
}

#[test]
fn a_socket_that_must_not_be_asked_is_reported_and_ends_nothing() {
    scenario("service confined-refused", &[], |bench| {
        for refused in ["pidfd_getfd", "pidfd_open"] {
            let bypassing = packet_socket(bench, "--bypass");
            let unknown = "sockets that send past TC egress could not be looked for";
            let report = goes_on(bench, Unit::shipped(), &[refused], unknown);
            let pid = bypassing.go_and_finish().pid;
            let why = format!(
                "packet sockets of pinif-sender (pid {pid}) cannot be asked: Operation not permitted"
            );
            assert!(
                report
                    .findings
                    .iter()
                    .any(|finding| finding.cause.contains(&why)),
                "{report}"
            );
        }
    });
}

#[test]
fn an_unlisted_system_call_kills_where_the_unit_names_no_error() {
    scenario("service confined-killed", &[], |bench| {
        let bypassing = packet_socket(bench, "--bypass");
        let unit = Unit::shipped().without("SystemCallErrorNumber");
        let setup = bench.auditor();
        let setup = setup.changed(|command| filter::confine(command, &unit, &["pidfd_getfd"]));
        let ended = Pinif::start(setup.into_command()).end();
        assert_eq!(
            ended.status.signal(),
            Some(Signal::SIGSYS as i32),
            "{ended:#?}"
        );
        bypassing.go_and_finish();
    });
}
