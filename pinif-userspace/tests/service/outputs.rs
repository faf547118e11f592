//! An audit whose standard output or standard error fails: its reader leaves, its disk is full. What it enforces stays, and
//! what it could not write is counted.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, pipe};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use pinif_lab::FullDisk;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::bench::plug::plug;
use crate::bench::{Bench, Pinif, SENDER, Sender, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10";
const RISK: &str = "udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 10";
/// The reader of the pipe has gone, as the watch of it or the first write shows.
const LEFT: [&str; 2] = ["its reader has left", "Broken pipe (os error 32)"];
const FULL: &str = "No space left on device (os error 28)";

/// An audit that finds whatever leaks, and whose exit status says only whether anything is missing.
fn command(bench: &Bench, more: &[&str]) -> Command {
    let setup = bench.auditor().arguments(["--fail-on", "never"]);
    setup.arguments(more).into_command()
}

fn full() -> File {
    let full = File::options().write(true).open("/dev/full");
    full.expect("every Linux has it")
}

/// The next line of an audit's standard output.
fn line(reader: &mut BufReader<PipeReader>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line
}

/// That a leak is kept inside.
fn enforces(bench: &Bench) {
    let (sent, outside) = bench.outside_while(|| bench.send(LEAK));
    assert_eq!((sent.refused["EPERM"], outside), (10, 0));
}

/// The number at the beginning of a text.
fn number(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{text}"))
}

/// The lines that an audit says were lost in all, by its last words.
fn lost_in_all(notes: &[String]) -> u64 {
    let last = notes.last().expect("a note");
    assert!(
        last.ends_with(" could not be written to standard output, in all"),
        "{notes:#?}"
    );
    number(last.strip_prefix("warning: ").expect("a warning"))
}

#[test]
fn a_reader_that_leaves_takes_no_enforcement_away() {
    scenario("service output-enforce-reader-leaves", &[], |bench| {
        for format in ["json", "human"] {
            let (reader, writer) = pipe().expect("a pipe");
            let command = command(bench, &["--enforce", "--format", format]);
            let mut pinif = Pinif::start_onto(command, writer);
            let mut reader = BufReader::new(reader);
            if format == "json" {
                assert!(line(&mut reader).starts_with(r#"{"type":"ready""#));
            } else {
                pinif.wait_for_note("Auditing ");
            }
            drop(reader);
            let note = pinif.wait_for_note("standard output cannot be written to");
            assert!(
                LEFT.iter().any(|left| note.contains(left))
                    && note.ends_with("; the audit goes on, and enforcement with it"),
                "{note}"
            );
            enforces(bench);
            // What comes later is attached to, and held as well.
            let late = if format == "json" { "eth2" } else { "eth3" };
            plug(bench, bench.card(), late, None);
            pinif.wait_for_note(&format!("{late} is audited from now on"));
            let leak =
                format!("udp --bind-device fab0 --pktinfo {late} --to 10.0.0.2:9 --count 10");
            bench.send(&leak);
            assert_eq!(bench.card().sent(late).expect("it is there").packets, 0);
            pinif.signal(Signal::SIGTERM);
            let ended = pinif.end();
            assert_eq!(ended.status.code(), Some(3), "{ended:#?}");
            // Two findings and the summary, at least.
            assert!(lost_in_all(&ended.stderr) >= 3, "{ended:#?}");
            let said = ended.stderr.iter();
            let said = said.filter(|note| note.contains("cannot be written to"));
            assert_eq!(said.count(), 1, "{ended:#?}");
        }
    });
}

/// An audit onto a pipe that takes a page, of which nothing is read after the first line, and more lines than it takes.
fn unread(bench: &Bench, more: &[&str]) -> (Pinif, BufReader<PipeReader>) {
    let (reader, writer) = pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe");
    let mut command = command(bench, more);
    command.args(["--format", "json"]);
    let pinif = Pinif::start_onto(command, writer);
    let mut reader = BufReader::with_capacity(1, reader);
    assert!(line(&mut reader).starts_with(r#"{"type":"ready""#));
    for _ in 0..8 {
        let cgroup = bench.cgroup_below("unread");
        let sender = Sender::start_as(SENDER.as_ref(), bench.card(), Some(cgroup.path()), LEAK);
        let sent = sender.finish();
        // Where it is enforced, all are refused.
        assert_eq!(sent.sent + sent.refused.values().sum::<u64>(), 10);
    }
    (pinif, reader)
}

#[test]
fn a_reader_that_stands_still_stops_nothing() {
    scenario("service output-unread", &[], |bench| {
        let (mut pinif, reader) = unread(bench, &["--enforce"]);
        // What comes meanwhile is attached to, and held as well.
        plug(bench, bench.card(), "eth2", None);
        pinif.wait_for_note("eth2 is audited from now on");
        enforces(bench);
        let leak = "udp --bind-device fab0 --pktinfo eth2 --to 10.0.0.2:9 --count 10";
        bench.send(leak);
        assert_eq!(bench.card().sent("eth2").expect("it is there").packets, 0);
        pinif.signal(Signal::SIGTERM);
        let lines: Vec<Value> = reader
            .lines()
            .map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"))
            .collect();
        let last = lines.last().expect("a summary");
        assert_eq!(
            (&last["type"], &last["dropped"]),
            (&"summary".into(), &100.into())
        );
        assert_eq!(last["uncounted"], Value::Object(serde_json::Map::new()));
        let packets: std::collections::BTreeMap<&str, u64> = lines
            .iter()
            .filter(|line| line["type"] == "finding")
            .map(|line| {
                (
                    line["id"].as_str().expect("text"),
                    line["packets"].as_u64().expect("a count"),
                )
            })
            .collect();
        assert_eq!(packets.values().sum::<u64>(), 100, "{lines:#?}");
        assert_eq!(pinif.end().status.code(), Some(0));
    });
}

/// The second request for the end gives up a reader that never reads, and what it lacks is counted.
#[test]
fn an_audit_ends_without_a_reader_that_never_reads() {
    scenario("service output-never-read", &[], |bench| {
        let (mut pinif, reader) = unread(bench, &[]);
        pinif.signal(Signal::SIGTERM);
        pinif.wait_for_note("the audit has ended, and waits until its output is read");
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(3), "{ended:#?}");
        drop(reader);
    });
}

#[test]
fn a_full_disk_takes_no_enforcement_away_and_output_goes_on_when_there_is_room() {
    scenario("service output-enforce-full", &[], |bench| {
        let disk = FullDisk::new("log").expect("a disk");
        let command = command(bench, &["--enforce", "--format", "json"]);
        let mut pinif = Pinif::start_onto(command, disk.log().expect("a log"));
        let note = pinif.wait_for_note("standard output cannot be written to");
        assert_eq!(
            note,
            format!(
                "warning: standard output cannot be written to: {FULL}; 1 line is lost, and those that follow are counted; the \
                 audit goes on, and enforcement with it"
            )
        );
        enforces(bench);
        assert_eq!(disk.written().expect("a log"), "");
        disk.free().expect("there is something to free");
        bench.send(RISK);
        let again = pinif.wait_for_note("standard output can be written to again; ");
        enforces(bench);
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(3), "{ended:#?}");
        let (_, lost) = again.split_once("; ").expect("it was waited for");
        let lost = number(lost);
        assert_eq!(lost_in_all(&ended.stderr), lost, "{ended:#?}");
        let written = disk.written().expect("a log");
        let lines: Vec<Value> = written
            .lines()
            .map(|line| crate::bench::valid(line, pinif_userspace::findings::line::schema))
            .collect();
        assert_eq!(lines[0]["type"], "lost", "{written}");
        assert_eq!(lines[0]["lines"], lost, "{written}");
        let summary = lines.last().expect("an end");
        assert_eq!(summary["type"], "summary", "{written}");
        // Nothing but what was written is missing.
        assert_eq!(summary["dropped"], 20, "{written}");
    });
}

#[test]
fn a_person_sees_in_the_log_where_lines_are_missing() {
    scenario("service output-full-human", &[], |bench| {
        let disk = FullDisk::new("log").expect("a disk");
        let mut pinif = Pinif::start_onto(command(bench, &[]), disk.log().expect("a log"));
        pinif.wait_for_note("Auditing ");
        bench.send(LEAK);
        let note = pinif.wait_for_note("standard output cannot be written to");
        assert!(note.ends_with("; the audit goes on"), "{note}");
        disk.free().expect("there is something to free");
        bench.send(RISK);
        let again = pinif.wait_for_note("standard output can be written to again; ");
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(3), "{ended:#?}");
        let lost = lost_in_all(&ended.stderr);
        assert!(
            again.contains(&format!("; {lost} lines were lost")),
            "{again}"
        );
        let written = disk.written().expect("a log");
        let missing = format!("warning: {lost} lines could not be written here\n");
        assert!(written.starts_with(&missing), "{written}");
        let is_last = |line: &str| line.starts_with("1 leak, 1 risk. ");
        assert!(written.lines().any(is_last), "{written}");
    });
}

/// With the exit status of what it found.
#[test]
fn an_audit_whose_disk_is_full_goes_on_to_its_end() {
    scenario("service output-full", &[], |bench| {
        let setup = bench.auditor().arguments(["--format", "json"]);
        let mut pinif = Pinif::start_onto(setup.into_command(), full());
        pinif.wait_for_note("standard output cannot be written to");
        bench.send(LEAK);
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        assert!(lost_in_all(&ended.stderr) >= 3, "{ended:#?}");
    });
}

/// What a file may have at most is another limit than the disk's: SIGXFSZ would end the audit.
#[test]
fn a_log_of_the_largest_size_takes_no_enforcement_away() {
    scenario("service output-largest", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a log");
        let command = command(bench, &["--enforce"]);
        let mut pinif = Pinif::start_onto(command, log);
        pinif.wait_for_note("Auditing ");
        let limit = Rlimit {
            current: Some(1),
            maximum: Some(1),
        };
        let pid = Pid::from_raw(pinif.pid().as_raw());
        prlimit(pid, Resource::Fsize, limit).expect("root may");
        enforces(bench);
        // The first byte still has room, and the line that it begins is kept until there is more.
        let note = pinif.wait_for_note("standard output cannot be written to");
        assert!(note.contains("File too large (os error 27)"), "{note}");
        enforces(bench);
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(3), "{ended:#?}");
    });
}

#[test]
fn an_audit_that_nobody_hears_at_all_enforces() {
    scenario("service output-none", &[], |bench| {
        let (reader, stdout) = pipe().expect("a pipe");
        let (notes, stderr) = pipe().expect("a pipe");
        let mut child = command(bench, &["--enforce", "--format", "json"])
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("cannot start pinif");
        let mut reader = BufReader::new(reader);
        assert!(line(&mut reader).starts_with(r#"{"type":"ready""#));
        drop((reader, notes));
        enforces(bench);
        enforces(bench);
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(pid, Signal::SIGTERM).expect("it runs");
        assert_eq!(child.wait().expect("a child").code(), Some(3));
    });
}

#[test]
fn a_standard_error_that_fails_costs_nothing_but_its_lines() {
    scenario("service output-stderr", &[], |bench| {
        let arguments = ["--enforce", "--format", "json", "--duration", "200ms"];
        let (left, closed) = pipe().expect("a pipe");
        drop(left);
        for stderr in [Stdio::from(full()), Stdio::from(closed)] {
            let output = command(bench, &arguments)
                .stdin(Stdio::null())
                .stderr(stderr)
                .output()
                .expect("cannot start pinif");
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let text = String::from_utf8(output.stdout).expect("UTF-8");
            assert!(
                text.lines()
                    .last()
                    .is_some_and(|line| line.starts_with(r#"{"type":"summary""#)),
                "{text}"
            );
        }
    });
}

/// The journal's stream is standard error, and may be away while journald is.
#[test]
fn a_journal_that_takes_nothing_takes_no_enforcement_away() {
    scenario("service output-journal", &[], |bench| {
        let status = full().metadata().expect("it is there");
        let ended = command(bench, &["--enforce", "--duration", "200ms"])
            .env(
                "JOURNAL_STREAM",
                format!("{}:{}", status.dev(), status.ino()),
            )
            .stdin(Stdio::null())
            .stderr(full())
            .output()
            .expect("cannot start pinif");
        assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    });
}
