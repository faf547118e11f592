//! An auditor that hangs, and checks that fail by themselves: nobody waits for ever, and monitoring learns that nothing is certain.

use std::{
    fs::File,
    os::unix::net::UnixStream,
    process::{Command, Output, Stdio},
};

use nix::sys::signal::Signal;
use socket2::{Domain, SockAddr, Socket, Type};

use super::asked::{LEAK, Place};
use crate::bench::{Pinif, scenario};

fn pinif(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.args(arguments.split_whitespace());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a stopped process leaves of its socket: it takes callers, as many as its queue has room for, and says nothing.
fn hung(place: &Place, queue: i32) -> Socket {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(place.path()).expect("a path");
    socket.bind(&address).expect("a free path");
    socket.listen(queue).expect("a socket");
    socket
}

#[test]
fn nobody_waits_for_ever_for_an_auditor_that_hangs() {
    let place = Place::new();
    let _hung = hung(&place, 64);
    let silent = format!(
        "the auditor at {} does not answer: ",
        place.path().display()
    );
    // All at once: each waits for some seconds.
    let asked = [
        ("status", 3),
        ("status --format json", 3),
        ("status --format nagios", 3),
        ("findings", 1),
        ("findings --follow", 1),
        ("matrix", 1),
        ("matrix --watch", 1),
        ("metrics", 1),
        ("top --linear", 1),
        ("explain 0123456789ab", 1),
    ];
    let asked = asked.map(|(arguments, status)| {
        let mut command = place.pinif(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        (arguments, status, command.spawn().expect("pinif runs"))
    });
    for (arguments, status, child) in asked {
        let output = child.wait_with_output().expect("it is ours");
        let (out, errors) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "{arguments}: {errors}");
        match arguments {
            "status --format nagios" => {
                let line = format!("PINIF UNKNOWN - {silent}");
                assert!(out.starts_with(&line), "{out}");
                assert_eq!((out.lines().count(), &*errors), (1, ""));
            }
            _ => assert!(errors.contains(&silent), "{arguments}: {errors}"),
        }
        if arguments == "metrics" {
            assert!(out.contains("\npinif_ready 0\n"), "{out}");
        }
    }
}

/// One that is stopped closes nothing: whoever follows it asks.
#[test]
fn following_notices_an_auditor_that_is_stopped() {
    scenario("control follow-hung", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        bench.send(&format!("{LEAK} --count 3"));
        let mut follower = Pinif::start(place.pinif("findings --follow --format json"));
        follower.wait_for_line("the finding", |line| line.contains("device-escape"));
        auditor.signal(Signal::SIGSTOP);
        follower.wait_for_note("the auditor does not answer; waiting for it, or the next one");
        auditor.signal(Signal::SIGCONT);
        follower.wait_for_note("an auditor answers again");
        bench.send(&format!("{LEAK} --count 7"));
        follower.wait_for_line("it is followed", |line| {
            line.contains("\"packets\":7,") || line.contains("\"packets\":10,")
        });
        follower.signal(Signal::SIGINT);
        assert_eq!(follower.end().status.code(), Some(0));
        auditor.stop();
    });
}

#[test]
fn an_auditor_that_takes_no_more_callers_does_not_answer() {
    let place = Place::new();
    let _hung = hung(&place, 0);
    let _caller = UnixStream::connect(place.path()).expect("there is room for one");
    let Output { status, stderr, .. } = place.pinif("status").output().expect("pinif runs");
    let errors = text(&stderr);
    assert_eq!(status.code(), Some(3), "{errors}");
    assert!(errors.contains(" does not answer: "), "{errors}");
}

#[test]
fn a_check_that_fails_by_itself_says_so_as_checks_do() {
    for (arguments, setting, why) in [
        (
            "status --format nagios --no-such",
            None,
            "unexpected argument '--no-such' found",
        ),
        (
            "status --fail-on x --format=nagios",
            None,
            "`x` is none of leak, risk, never",
        ),
        (
            "status --format nagios",
            Some(("PINIF_STATUS_FAIL_ON", "x")),
            "PINIF_STATUS_FAIL_ON in the environment: `x` is none of leak, risk, never",
        ),
        (
            "status --no-such",
            Some(("PINIF_STATUS_FORMAT", "nagios")),
            "unexpected argument '--no-such' found",
        ),
        (
            "--config /nonexistent status --format nagios",
            None,
            "/nonexistent",
        ),
    ] {
        let mut command = pinif(arguments);
        command.envs(setting);
        let output = command.output().expect("pinif runs");
        let (out, errors) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(3), "{arguments}: {errors}");
        assert!(out.starts_with("PINIF UNKNOWN - "), "{arguments}: {out}");
        assert!(out.contains(why), "{arguments}: {out}");
        assert_eq!(out.lines().count(), 1, "{out}");
        assert!(!errors.is_empty(), "{arguments}");
    }
    // Where a file asks for it, be it what is wrong.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pinif.toml");
    let check = "[status]\nformat = \"nagios\"\n";
    for (written, arguments, form, why) in [
        (
            format!("{check}bogus = 1\n"),
            "",
            "",
            "has no option `bogus`",
        ),
        (
            format!("{check}[audit]\nbogus = 1\n"),
            "",
            "",
            "has no option `bogus`",
        ),
        (
            format!("{check}fail-on = \"x\"\n"),
            "",
            "",
            "`x` is none of leak, risk, never",
        ),
        (format!("{check}fail-on =\n"), "", "", "not valid TOML"),
        (
            check.to_owned(),
            " --no-such",
            "",
            "unexpected argument '--no-such' found",
        ),
        // What counts more than the file asks for none.
        (check.to_owned(), " --format json --no-such", "", ""),
        (check.to_owned(), " --no-such", "json", ""),
    ] {
        std::fs::write(&file, &written).expect("it is written");
        let mut command = pinif(&format!("status{arguments}"));
        command
            .env("PINIF_CONFIG", &file)
            .env("PINIF_STATUS_FORMAT", form);
        let output = command.output().expect("pinif runs");
        let (out, errors) = (text(&output.stdout), text(&output.stderr));
        let status = if why.is_empty() { 1 } else { 3 };
        assert_eq!(output.status.code(), Some(status), "{written}: {errors}");
        assert_eq!(
            out.starts_with("PINIF UNKNOWN - "),
            status == 3,
            "{written}: {out}"
        );
        assert!(out.contains(why), "{written}: {out}");
    }
    // Whoever asks for no check gets the status of any command.
    let output = pinif("status --no-such").output().expect("pinif runs");
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(1), String::new())
    );
    let full = File::options().write(true).open("/dev/full");
    let mut command = pinif("status --format nagios --socket /nonexistent");
    let output = command.stdout(full.expect("/dev/full")).output();
    let output = output.expect("pinif runs");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    let why = "pinif: standard output cannot be written to";
    assert!(errors.starts_with(why), "{errors}");
}
