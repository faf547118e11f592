//! Findings that the policy accepts for a time: counted and shown as ever, and alerting nobody.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    process::{Command, Output},
};

use nix::sys::signal::Signal;
use pinif_userspace::findings::{alert_state::AlertState, line::FindingLine};
use tempfile::TempDir;

use crate::bench::{Auditor, Bench, Finding, leak, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
/// The same program's, to elsewhere.
const ELSEWHERE: &str = "udp --bind-device fab0 --pktinfo eth1 --to 203.0.113.9:9";
/// What is accepted in these tests.
const KNOWN: &str = "kind = \"device-escape\"\ninterface = \"eth*\"\n";

/// An `[[accept]]` with these lines.
fn accept(lines: &str, until: &str) -> String {
    format!("[[accept]]\n{lines}reason = \"known: TICKET-7\"\nuntil = {until}\n")
}

/// A policy's file in a folder of its own.
struct Policy(TempDir);

impl Policy {
    fn new(text: &str) -> Self {
        let policy = Self(tempfile::tempdir().expect("a folder"));
        policy.write(text);
        policy
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, text: &str) {
        fs::write(self.at("policy.toml"), text).expect("it is ours");
    }

    fn audit<'a>(&self, bench: &'a Bench, arguments: &[&str]) -> Auditor<'a> {
        let file = self.at("policy.toml");
        let file = file.to_str().expect("UTF-8");
        let setup = bench.auditor().arguments(["--policy", file]);
        setup.arguments(arguments).start()
    }
}

fn escape() -> Finding {
    leak("device-escape").bound("fab0").egress("eth1")
}

/// Waits until the finding has this state and so many packets.
fn wait_for(auditor: &mut Auditor<'_>, state: AlertState, packets: u64) -> FindingLine {
    auditor.wait_for_finding_that(state.name(), |finding| {
        finding.state == state && finding.packets == packets
    })
}

#[test]
fn an_accepted_finding_is_counted_and_fails_nothing() {
    scenario("accept counted", &[], |bench| {
        let policy = Policy::new(&accept(KNOWN, "2100-12-31"));
        let mut auditor = policy.audit(bench, &["--fail-on", "risk"]);
        let sent = bench.send(&format!("{LEAK} --count 1000"));
        let finding = wait_for(&mut auditor, AlertState::Accepted, 1000);
        let accepted = finding.accepted.expect("the policy names it");
        assert_eq!(
            (&*accepted.reason, &*accepted.until, accepted.expired),
            ("known: TICKET-7", "2100-12-31", false)
        );
        let report = auditor.stop();
        let expected = report.expect().finding(escape().packets(1000).by(&sent));
        expected.exit(0).nothing_else();
        assert_eq!((report.summary.findings, report.summary.accepted), (1, 1));
    });
}

#[test]
fn it_is_accepted_while_the_policy_or_a_file_beside_it_says_so() {
    scenario("accept reload", &[], |bench| {
        let policy = Policy::new(&accept(KNOWN, "2100-12-31"));
        let mut auditor = policy.audit(bench, &[]);
        let sent = bench.send(&format!("{LEAK} --count 10"));
        wait_for(&mut auditor, AlertState::Accepted, 10);
        // From here on, no packet is sent.
        policy.write("");
        let open = wait_for(&mut auditor, AlertState::Open, 10);
        assert_eq!(open.accepted, None);

        fs::create_dir(policy.at("policy.d")).expect("a directory");
        let file = policy.at("policy.d/known.toml");
        let new = policy.at("policy.d/known.toml.new");
        let text = accept("executable = \"/nowhere\"\n", "2100-12-31");
        fs::write(&new, text + &accept(KNOWN, "2100-12-31T00:00:00Z")).expect("a file");
        fs::rename(&new, &file).expect("in its place");
        let again = wait_for(&mut auditor, AlertState::Accepted, 10);
        assert_eq!(again.uid, open.uid);
        auditor.wait_for_note("executable /nowhere is not on this machine");

        fs::remove_file(&file).expect("it is there");
        wait_for(&mut auditor, AlertState::Open, 10);
        let report = auditor.stop();
        let expected = report.expect().finding(escape().packets(10).by(&sent));
        expected.nothing_else();
        assert_eq!(report.summary.accepted, 0);
    });
}

#[test]
fn what_is_over_is_reported_at_that_moment_without_a_packet() {
    scenario("accept over", &[], |bench| {
        let policy = Policy::new(&accept(KNOWN, "2100-12-31"));
        let mut auditor = policy.audit(bench, &[]);
        let sent = bench.send(&format!("{LEAK} --count 10"));
        wait_for(&mut auditor, AlertState::Accepted, 10);
        // The clock of the machine is what it is: the date comes to it.
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
        policy.write(&accept(KNOWN, &format!("\"{until:.3}\"")));
        let open = wait_for(&mut auditor, AlertState::Open, 10);
        assert!(jiff::Timestamp::now() >= until);
        let accepted = open.accepted.expect("it was");
        assert!(accepted.expired, "{accepted:?}");
        let note = auditor.wait_for_note("not accepted any more, since its date is over");
        let words = "policy.toml:1): device-escape via eth*: known: TICKET-7";
        assert!(
            note.starts_with("warning: ") && note.ends_with(words),
            "{note}"
        );
        let report = auditor.stop();
        let expected = report.expect().finding(escape().packets(10).by(&sent));
        expected.nothing_else();
    });
}

#[test]
fn a_destination_that_is_not_accepted_opens_it() {
    scenario("accept destination", &[], |bench| {
        let lines = format!("{KNOWN}destination = [\"10.0.0.0/8\"]\n");
        let policy = Policy::new(&accept(&lines, "2100-12-31"));
        let mut auditor = policy.audit(bench, &[]);
        let one = bench.send(&format!("{LEAK} --count 10"));
        wait_for(&mut auditor, AlertState::Accepted, 10);
        let two = bench.send(&format!("{ELSEWHERE} --count 5"));
        let open = wait_for(&mut auditor, AlertState::Open, 15);
        assert_eq!(open.accepted, None);
        let report = auditor.stop();
        report
            .expect()
            .finding(escape().packets(10).by(&one))
            .finding(escape().packets(5).by(&two))
            .nothing_else();
    });
}

#[test]
fn a_program_is_accepted_by_its_file_and_its_user() {
    scenario("accept program", &[], |bench| {
        let mut auditor = bench.auditor().start();
        // It is there while its finding is explained, so that its path is known.
        let mut sender = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
        sender.wait_for("ready").go();
        let finding = auditor.wait_for_finding("device-escape");
        sender.go();
        sender.finish();
        drop(auditor);
        let process = finding.process.expect("it is known");
        let exe = process.exe.expect("it is known");
        let by = |exe: &str, user: u32| {
            accept(
                &format!("executable = \"{exe}\"\nuser = {user}\n"),
                "2100-12-31",
            )
        };
        for (policy, state) in [
            (by(&exe, process.uid), AlertState::Accepted),
            (by(&exe, process.uid + 1), AlertState::Open),
            (by("/bin/sh", process.uid), AlertState::Open),
        ] {
            let policy = Policy::new(&policy);
            let mut auditor = policy.audit(bench, &["--fail-on", "never"]);
            let sent = bench.send(&format!("{LEAK} --count 7"));
            wait_for(&mut auditor, state, 7);
            let report = auditor.stop();
            let expected = report.expect().finding(escape().packets(7).by(&sent));
            expected.exit(0).nothing_else();
        }
    });
}

#[test]
fn acceptance_lets_no_packet_out() {
    scenario("accept enforce", &[], |bench| {
        let before = bench.received_outside();
        let policy = Policy::new(&accept(KNOWN, "2100-12-31"));
        let mut auditor = policy.audit(bench, &["--enforce"]);
        let escaped = bench.send(&format!("{LEAK} --count 1000"));
        assert_eq!(escaped.sent, 0, "{escaped:?}");
        wait_for(&mut auditor, AlertState::Accepted, 1000);
        let report = auditor.stop();
        assert_eq!(bench.received_outside(), before, "{report}");
        assert_eq!(report.sent_by("eth1").packets, 0, "{report}");
        assert_eq!(report.summary.dropped, 1000, "{report}");
        let kept = escape().dropped().packets(1000).by(&escaped);
        report.expect().finding(kept).exit(0).nothing_else();
    });
}

/// Runs `pinif accept` of a finding in an audit's output.
fn accept_by_command(policy: &Policy, lines: &str, arguments: &[&str]) -> Output {
    let from = policy.at("audit.jsonl");
    fs::write(&from, lines).expect("it is ours");
    Command::new(env!("CARGO_BIN_EXE_pinif"))
        .arg("accept")
        .args(arguments)
        .arg("--from")
        .arg(from)
        .arg("--policy")
        .arg(policy.at("policy.toml"))
        .output()
        .expect("pinif starts")
}

#[test]
fn the_command_writes_what_a_running_auditor_takes() {
    scenario("accept command", &[], |bench| {
        let policy = Policy::new("");
        let mode = Permissions::from_mode(0o640);
        fs::set_permissions(policy.at("policy.toml"), mode).expect("it is ours");
        let mut auditor = policy.audit(bench, &[]);
        // It is there while its finding is explained, so that its path is known.
        let mut sender = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
        sender.wait_for("ready").go();
        let finding = auditor.wait_for_finding("device-escape");
        sender.go();
        let sent = sender.finish();
        let line = serde_json::to_value(&finding).expect("JSON");
        let mut line = line.as_object().expect("an object").clone();
        line.insert("type".to_owned(), "finding".into());
        let lines = serde_json::Value::Object(line).to_string();
        let of = |id: &'static str| [id, "--reason", "TICKET-7: \"known\"", "--until"];
        let id: &'static str = finding.id.clone().leak();

        let nowhere = accept_by_command(
            &policy,
            &lines,
            &[&of("0123456789ab")[..], &["2100-12-31"]].concat(),
        );
        assert_eq!(nowhere.status.code(), Some(1), "{nowhere:?}");
        for (until, words) in [
            ("2020-12-31", "pinif: --until is over already"),
            ("soon", "`soon` is no date"),
        ] {
            let refused = accept_by_command(&policy, &lines, &[&of(id)[..], &[until]].concat());
            let text = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(1), "{text}");
            assert!(text.contains(words), "{text}");
        }
        assert!(!policy.at("policy.d").exists(), "nothing is written");

        // Where others could change it, it is not written either.
        fs::create_dir(policy.at("policy.d")).expect("a directory");
        let directory = |mode| {
            let mode = Permissions::from_mode(mode);
            fs::set_permissions(policy.at("policy.d"), mode).expect("it is ours");
        };
        directory(0o777);
        let arguments = [&of(id)[..], &["2100-12-31"]].concat();
        let refused = accept_by_command(&policy, &lines, &arguments);
        let text = String::from_utf8_lossy(&refused.stderr);
        assert!(
            text.contains("others can change the policy: the directory"),
            "{text}"
        );
        let left = fs::read_dir(policy.at("policy.d")).expect("it is there");
        assert_eq!(left.count(), 0);
        directory(0o755);

        let done = accept_by_command(&policy, &lines, &arguments);
        assert!(done.status.success(), "{done:?}");
        let file = policy.at(&format!("policy.d/accept-{id}.toml"));
        let exe = finding
            .process
            .as_ref()
            .and_then(|process| process.exe.clone());
        assert_eq!(
            fs::read_to_string(&file).expect("it is there"),
            format!(
                "[[accept]]\nkind = \"device-escape\"\nexecutable = \"{}\"\nuser = 0\ninterface = \"eth1\"\n\
                 reason = \"TICKET-7: \\\"known\\\"\"\nuntil = \"2100-12-31\"\n",
                exe.expect("it is known")
            )
        );
        let metadata = fs::metadata(&file).expect("it is there");
        assert_eq!((metadata.mode() & 0o7777, metadata.nlink()), (0o640, 1));
        wait_for(&mut auditor, AlertState::Accepted, sent.sent);
        let again = accept_by_command(&policy, &lines, &arguments);
        let text = String::from_utf8_lossy(&again.stderr);
        assert!(text.contains("is accepted in"), "{text}");
        let report = auditor.stop();
        let expected = report
            .expect()
            .finding(escape().packets(sent.sent).by(&sent));
        expected.exit(0).nothing_else();
    });
}

#[test]
fn a_running_auditor_is_asked_for_the_finding_and_the_policy() {
    scenario("accept asked", &[], |bench| {
        let policy = Policy::new("");
        let socket = policy.at("socket");
        let socket = socket.to_str().expect("UTF-8");
        let pinif = |id: &str| {
            let output = Command::new(env!("CARGO_BIN_EXE_pinif"))
                .args(["accept", id, "--reason", "known", "--until", "2100-12-31"])
                .args(["--socket", socket])
                .output();
            let output = output.expect("pinif starts");
            (
                output.status.code(),
                String::from_utf8(output.stderr).expect("UTF-8"),
            )
        };
        let (status, text) = pinif("0123456789ab");
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(socket), "{text}");

        let mut auditor = policy.audit(bench, &["--socket", socket]);
        let mut sender = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
        sender.wait_for("ready").go();
        let finding = auditor.wait_for_finding("device-escape");
        sender.go();
        let sent = sender.finish();
        for (id, words) in [
            ("0123456789ab", "has no finding 0123456789ab"),
            ("../status", "`../status` is no id of a finding"),
        ] {
            let (status, text) = pinif(id);
            assert_eq!(status, Some(1), "{text}");
            assert!(text.contains(words), "{text}");
        }
        let (status, text) = pinif(&finding.id);
        assert_eq!(status, Some(0), "{text}");
        let file = policy.at(&format!("policy.d/accept-{}.toml", finding.id));
        assert!(file.exists());
        wait_for(&mut auditor, AlertState::Accepted, sent.sent);
        let report = auditor.stop();
        let expected = report
            .expect()
            .finding(escape().packets(sent.sent).by(&sent));
        expected.exit(0).nothing_else();
    });
}

#[test]
fn people_and_the_journal_see_that_it_is_accepted() {
    scenario("accept shown", &[], |bench| {
        let policy = Policy::new(&accept(KNOWN, "2100-12-31"));
        let file = policy.at("policy.toml");
        let setup = || {
            let file = file.to_str().expect("UTF-8");
            bench.auditor().arguments(["--policy", file])
        };
        let mut pinif = setup().start_in_journal();
        bench.send(&format!("{LEAK} --count 10"));
        let line = pinif.wait_for_note("device-escape");
        assert!(line.starts_with("<6>leak device-escape: "), "{line}");
        let words = "It is accepted until 2100-12-31: known: TICKET-7. Finding ";
        assert!(line.contains(words), "{line}");
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");

        let mut pinif = setup().start_for_people();
        bench.send(&format!("{LEAK} --count 10"));
        pinif.wait_for_line("it was shown", |line| line.contains("device-escape"));
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        let text = ended.stdout.join("\n");
        assert!(
            text.contains("\n  accepted  until 2100-12-31: known: TICKET-7\n"),
            "{text}"
        );
        assert!(
            text.contains("\n0 leaks, 1 accepted. 10 of 10 packets left"),
            "{text}"
        );
    });
}
