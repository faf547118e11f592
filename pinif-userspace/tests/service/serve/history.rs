//! What was found is kept: over restarts of the auditor and of what keeps it, and where there is no room.

use std::path::{Path, PathBuf};

use pinif_lab::{BpfFs, FullDisk};
use pinif_userspace::{findings::summary::Totals, schema};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use super::served::{Served, history, shown};
use crate::{
    bench::{leak, risk, scenario, valid},
    control::asked::{LEAK, Place},
};

/// A history's file in a folder of its own.
fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.db");
    (folder, path)
}

/// The lines of this type, each of which is valid.
fn lines(file: &Path, name: &str) -> Vec<Value> {
    let text = shown(file, "--format json");
    let lines = text.lines().map(|line| valid(line, schema::history));
    lines.filter(|line| line["type"] == name).collect()
}

fn totals(file: &Path) -> Totals {
    let mut all = Totals::default();
    for audit in lines(file, "audit") {
        let number = |name: &str| audit[name].as_u64().expect("a number");
        all.packets += number("packets");
        all.bytes += number("bytes");
        all.dropped += number("dropped");
    }
    all
}

fn is_whole(file: &Path) {
    let connection = Connection::open(file).expect("it opens");
    let answer: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("an answer");
    assert_eq!(answer, "ok");
}

/// Waits until the history has the first finding with so many packets: a first sighting is written before the others are counted.
fn until_packets(served: &Served, packets: u64) {
    served.until(&format!("a finding of {packets} packets"), |served| {
        let (_, page) = served.json("/v1/history");
        (page["findings"][0]["packets"] == packets).then_some(())
    });
}

fn escape() -> crate::bench::Finding {
    leak("device-escape").bound("fab0").egress("eth1")
}

#[test]
fn sums_are_equal_over_restarts_of_both() {
    scenario("history restarts", &[], |bench| {
        let place = Place::new();
        let (_folder, file) = file();
        let mut auditor = place.audit(bench, &[]);
        let mut served = Served::with_history(&place, &file);
        served.wait_until_heard();
        let one = bench.send(&format!("{LEAK} --count 7"));
        auditor.wait_for_finding("device-escape");
        let first = auditor.stop();
        served.pinif.wait_for_note("no auditor is heard");

        let mut auditor = place.audit(bench, &[]);
        served.wait_until_heard();
        let two = bench.send(&format!("{LEAK} --count 5"));
        auditor.wait_for_finding("device-escape");
        // It is written within a second, whenever it is killed after that.
        until_packets(&served, 12);
        served.pinif.kill();
        is_whole(&file);
        let three = bench.send(&format!("{LEAK} --count 3"));
        let mut served = Served::with_history(&place, &file);
        served.wait_until_heard();
        let second = auditor.stop();
        served.pinif.wait_for_note("no auditor is heard");
        served.stop();

        first
            .expect()
            .finding(escape().packets(7).by(&one))
            .nothing_else();
        second
            .expect()
            .finding(escape().packets(5).by(&two))
            .finding(escape().packets(3).by(&three))
            .nothing_else();
        assert_eq!(
            totals(&file),
            Totals {
                packets: first.summary.packets + second.summary.packets,
                bytes: first.summary.bytes + second.summary.bytes,
                dropped: 0,
            }
        );
        let audits = lines(&file, "audit");
        let ended: Vec<_> = audits.iter().map(|audit| &audit["ended"]).collect();
        assert_eq!(ended, [true, true]);
        let findings = lines(&file, "finding");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0]["packets"], 15);
        assert_eq!(findings[0]["audits"], 2);
        let changes: Vec<_> = findings[0]["transitions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|transition| transition["change"].as_str())
            .collect();
        assert_eq!(changes, [Some("opened"), Some("opened")]);
        is_whole(&file);

        // In each form, and only what is asked for.
        let csv = shown(&file, "--format csv");
        let rows: Vec<Vec<&str>> = csv
            .split("\r\n")
            .filter(|row| !row.is_empty())
            .map(|row| row.split(',').collect())
            .collect();
        assert_eq!(rows.len(), 2, "{csv}");
        // Some texts between them have commas of their own.
        let last = |row: &[&str]| row[row.len() - 2].to_owned();
        assert_eq!([last(&rows[0]), last(&rows[1])], ["audits", "2"]);
        assert_eq!((rows[0][5], rows[1][5]), ("kind", "device-escape"));
        assert_eq!((rows[0][9], rows[1][9]), ("packets", "15"));
        let human = shown(&file, "");
        assert!(human.contains("device-escape"), "{human}");
        assert!(human.contains("2 audits: "), "{human}");
        for (filter, found) in [
            ("--kind device-escape", true),
            ("--kind unpinned", false),
            ("--severity risk", false),
            ("--since 1h", true),
            ("--since 2100-01-01T00:00:00Z", false),
            ("--process pinif-sender", true),
            ("--process another", false),
            ("--netns another", false),
        ] {
            let csv = shown(&file, &format!("--format csv {filter}"));
            assert_eq!(csv.contains("device-escape"), found, "{filter}: {csv}");
        }
        let human = shown(&file, "--process another");
        let why = "none of 1 finding is as `--process another` says; those that there are: pinif-sender\n";
        assert!(human.starts_with(why), "{human}");
        let wrong = history(&file, "--kind nothing");
        assert_eq!(wrong.status.code(), Some(1));
        let error = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert!(error.contains("there is no kind `nothing`"), "{error}");
    });
}

#[test]
fn a_full_disk_delays_the_history_and_nothing_else() {
    scenario("history full disk", &[], |bench| {
        let place = Place::new();
        let disk = FullDisk::new("history").expect("a disk");
        disk.free().expect("there is room");
        let file = disk.path().join("history.db");
        let mut auditor = place.audit(bench, &[]);
        let mut served = Served::with_history(&place, &file);
        served.wait_until_heard();
        let metric = |served: &Served, name: &str| {
            let (_, text) = served.get("/metrics");
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
            line.expect(name)
        };
        served.until("that it is written", |served| {
            let written = metric(served, "pinif_history_written_timestamp_seconds");
            (written != "0").then_some(())
        });
        assert_eq!(metric(&served, "pinif_history_writable"), "1");

        disk.fill().expect("it is full");
        let sent = bench.send(&format!("{LEAK} --count 7"));
        auditor.wait_for_finding("device-escape");
        let note = served.pinif.wait_for_note("the history ");
        assert!(
            note.contains("no space is left; free some on its disk. The audit goes on"),
            "{note}"
        );
        assert_eq!(metric(&served, "pinif_history_writable"), "0");
        let (status, now) = served.of_auditor("/v1/findings");
        assert_eq!((status, &now["findings"][0]["packets"]), (200, &7.into()));

        disk.free().expect("there is room");
        served.pinif.wait_for_note("the history is written again");
        let report = auditor.stop();
        served.pinif.wait_for_note("no auditor is heard");
        let ended = served.stop();
        assert_eq!(
            ended
                .stderr
                .iter()
                .filter(|line| line.contains("no space is left"))
                .count(),
            1,
            "it is said once: {:?}",
            ended.stderr
        );
        report
            .expect()
            .finding(escape().packets(7).by(&sent))
            .nothing_else();
        assert_eq!(totals(&file).packets, report.summary.packets);
        let findings = lines(&file, "finding");
        assert_eq!((findings.len(), &findings[0]["packets"]), (1, &7.into()));
        is_whole(&file);
    });
}

/// As log rotation does it, or a restore: nothing is written where nobody finds it, nothing of what was is lost, and what is open is in
/// the new one, too.
#[test]
fn a_history_that_was_moved_away_or_replaced_is_noticed() {
    scenario("history replaced", &[], |bench| {
        let place = Place::new();
        let (folder, file) = file();
        let mut auditor = place.audit(bench, &[]);
        let mut served = Served::with_history(&place, &file);
        served.wait_until_heard();
        let one = bench.send(&format!("{LEAK} --count 7"));
        auditor.wait_for_finding("device-escape");
        let kinds = |served: &Served| {
            let (_, page) = served.json("/v1/history");
            let findings = page["findings"].as_array().cloned().unwrap_or_default();
            findings
                .iter()
                .map(|one| one["kind"].as_str().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        until_packets(&served, 7);
        assert_eq!(kinds(&served), ["device-escape"]);
        // Another is put where it was, in one step.
        let (moved, other) = (
            folder.path().join("moved.db"),
            folder.path().join("other.db"),
        );
        std::fs::rename(&file, &moved).expect("it is ours");
        std::fs::File::create(&other).expect("a file");
        std::fs::rename(&other, &file).expect("it is ours");
        let two = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 3");
        auditor.wait_for_finding("address-escape");
        let note = served.pinif.wait_for_note(" was moved away or replaced");
        assert!(note.contains(&*file.to_string_lossy()), "{note}");
        served.until("both findings", |served| {
            (kinds(served) == ["device-escape", "address-escape"]).then_some(())
        });
        let old = lines(&moved, "finding");
        assert_eq!((old.len(), &old[0]["packets"]), (1, &7.into()));
        is_whole(&moved);
        // A copy has what it was copied from.
        let copy = folder.path().join("copy.db");
        served.until("that a copy has both", |_| {
            std::fs::copy(&file, &copy).expect("it is copied");
            // What was copied while it was written may be none.
            let read = history(&copy, "--format json").stdout;
            let read = String::from_utf8_lossy(&read);
            (read.matches("\"type\":\"finding\"").count() == 2).then_some(())
        });
        // Two do not keep one.
        let mut second = std::process::Command::new(env!("CARGO_BIN_EXE_pinif"));
        second.args(["serve", "--listen", "127.0.0.1:0", "--history"]);
        let second = second.arg(&file).output().expect("pinif runs");
        let error = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(1), "{error}");
        assert!(
            error.contains("another process keeps the history"),
            "{error}"
        );
        let report = auditor.stop();
        served.pinif.wait_for_note("no auditor is heard");
        served.stop();
        report
            .expect()
            .finding(escape().packets(7).by(&one))
            .finding(risk("address-escape").egress("eth1").packets(3).by(&two))
            .nothing_else();
        is_whole(&file);
    });
}

/// A collector that goes on with the counts of the one before adds nothing to them.
#[test]
fn counts_that_go_on_are_kept_once() {
    scenario("history persist", &[], |bench| {
        let place = Place::new();
        let pins = BpfFs::new("pins").expect("a BPF file system");
        let (_folder, file) = file();
        let persist = format!("--persist={}", pins.path().join("auditor").display());
        let auditor = place.audit(bench, &[&persist]);
        let mut served = Served::with_history(&place, &file);
        served.wait_until_heard();
        let one = bench.send(&format!("{LEAK} --count 7"));
        let began = auditor.kill();
        served.pinif.wait_for_note("no auditor is heard");
        let two = bench.send(&format!("{LEAK} --count 4"));
        let auditor = place.audit(bench, &[&persist]).since(&began);
        served.wait_until_heard();
        let report = auditor.stop();
        served.pinif.wait_for_note("no auditor is heard");
        served.stop();
        report
            .expect()
            .finding(escape().packets(7).by(&one))
            .finding(escape().packets(4).by(&two))
            .nothing_else();
        let audits = lines(&file, "audit");
        assert_eq!((audits.len(), &audits[0]["runs"]), (1, &2.into()));
        assert_eq!(audits[0]["packets"], report.summary.packets);
        let findings = lines(&file, "finding");
        assert_eq!(findings.len(), 1);
        assert_eq!(
            (&findings[0]["packets"], &findings[0]["audits"]),
            (&11.into(), &1.into())
        );
    });
}

#[test]
fn what_cannot_be_read_is_said_with_the_fix() {
    let (_folder, file) = file();
    let none = history(&file, "");
    assert_eq!(none.status.code(), Some(1));
    let error = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(
        error.contains("`pinif serve --history FILE` keeps one"),
        "{error}"
    );
    std::fs::write(&file, "not a history, but a text".repeat(99)).expect("it is written");
    let other = history(&file, "");
    assert_eq!(other.status.code(), Some(1));
    let error = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(error.contains("is no history of pinif's"), "{error}");
}
