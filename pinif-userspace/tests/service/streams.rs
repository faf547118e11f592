//! Commands whose standard output or standard error fails: what they do is done all the same, and what they were asked is not
//! answered in silence.

use std::fs::File;
use std::io::pipe;
use std::process::{Command, Output, Stdio};

use crate::bench::{Bench, SENDER, scenario};

/// What the card's default route leads out of eth1.
const SEND: &str = "udp --to 10.9.0.9:9 --count 1000";

/// Streams that take nothing, and what is wrong with each.
fn broken() -> [(Stdio, &'static str); 2] {
    let (reader, closed) = pipe().expect("a pipe");
    drop(reader);
    let full = File::options().write(true).open("/dev/full");
    let full = full.expect("every Linux has it");
    [(closed.into(), "closed"), (full.into(), "full")]
}

/// pinif on the card, with this for standard output.
fn pinif(bench: &Bench, arguments: &[&str], stdout: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped());
    let child = bench.card().run(|| command.spawn());
    let child = child
        .expect("the card is there")
        .expect("cannot start pinif");
    // Our copy of the stream would keep it open.
    drop(command);
    child.wait_with_output().expect("a child")
}

fn said(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_command_is_held_whoever_reads_of_it() {
    scenario("service streams-run", &[], |bench| {
        for report in ["human", "json"] {
            for ((stdout, what), (stderr, _)) in broken().into_iter().zip(broken()) {
                let mut command = bench.pinned_reported("fab0", report);
                // Its own output goes nowhere, so that it ends well.
                command.args(["sh", "-c", r#"exec "$@" >/dev/null 2>&1"#, "sh", *SENDER]);
                command.args(SEND.split_whitespace());
                command.stdout(stdout).stderr(stderr);
                let before = bench.inside();
                let (status, outside) =
                    bench.outside_while(|| command.status().expect("cannot start pinif"));
                assert_eq!(status.code(), Some(0), "{what}");
                assert_eq!((outside, bench.inside() - before), (0, 1000), "{what}");
            }
        }
    });
}

#[test]
fn a_pin_is_made_and_undone_whoever_reads_of_it() {
    scenario("service streams-pin", &[], |bench| {
        let path = bench.cgroup_path().to_str().expect("UTF-8");
        for (stdout, what) in broken() {
            let pin = ["pin", "--cgroup", path, "--interface", "fab0"];
            let (status, note) = said(&pinif(bench, &pin, stdout));
            assert_eq!(status, Some(0), "{what}: {note}");
            assert_eq!(note, note_of(what, &format!("{path} is pinned to fab0")));
            let (_, outside) = bench.outside_while(|| bench.send(SEND));
            assert_eq!(outside, 0, "{what}");
            let [(stdout, _), _] = broken();
            let undo = ["pin", "--undo", "--cgroup", path];
            assert_eq!(said(&pinif(bench, &undo, stdout)), (Some(0), String::new()));
            let (_, outside) = bench.outside_while(|| bench.send(SEND));
            assert_eq!(outside, 1000, "{what}");
        }
    });
}

/// What standard error says of something that was done.
fn note_of(what: &str, done: &str) -> String {
    match what {
        // Whoever closed it does not want to know.
        "closed" => String::new(),
        _ => format!(
            "pinif: {done} (standard output cannot be written to: No space left on device (os error 28))\n"
        ),
    }
}

#[test]
fn a_question_that_cannot_be_answered_is_an_error_unless_nobody_listens() {
    scenario("service streams-questions", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("policy.toml");
        std::fs::write(&policy, "").expect("a policy");
        let policy = policy.to_str().expect("UTF-8");
        let questions: [&[&str]; 10] = [
            &["doctor"],
            &["doctor", "--format", "json"],
            &["explain", "device-escape"],
            &["foresee"],
            &["foresee", "--format", "json"],
            &["pin", "--list"],
            &["policy", "check", policy],
            &["sockets"],
            &["sockets", "--format", "json"],
            &["sockets", "--watch"],
        ];
        // So that each has something to say.
        let _socket = bench
            .card()
            .run(|| std::net::UdpSocket::bind("10.0.0.1:7001"));
        for question in questions {
            let [(closed, _), (full, _)] = broken();
            let (status, note) = said(&pinif(bench, question, closed));
            // Of foresee, what it has found.
            let found = if question[0] == "foresee" { 2 } else { 0 };
            assert_eq!((status, &*note), (Some(found), ""), "{question:?}");
            let (status, note) = said(&pinif(bench, question, full));
            assert_eq!(
                (status, note.lines().count()),
                (Some(1), 1),
                "{question:?}: {note}"
            );
            assert!(
                note.starts_with(
                    "pinif: standard output cannot be written to: No space left on device"
                ),
                "{question:?}: {note}"
            );
        }
    });
}
