//! Names that others choose, to deceive whoever looks at them: bytes that a terminal would act on, or that are no text.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::bench::plug::{plug, rename_to_bytes};
use crate::bench::{Bench, SENDER, Sender, Setup, made, risk, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10";

/// What the sender's process is called: it clears the screen, begins a line with a priority of its own, sets colours (by a
/// C1 character too), and is no UTF-8. Fifteen bytes, as many as a process may have.
const COMM: &[u8] = b"\x1b[2J\n<0>\xc2\x9b31m\xff";
const COMM_TEXT: &str = "\u{1b}[2J\n<0>\u{9b}31m\u{fffd}";
const COMM_SHOWN: &str = "\\x1b[2J\\n<0>\\u{9b}31m\u{fffd}";

/// A cgroup's name may have no newline.
const CGROUP: &str = "c\u{1b}]0;title\u{7}";
const CGROUP_SHOWN: &str = "c\\x1b]0;title\\x07";

/// Turns the direction of writing, and colours red: fifteen bytes, without the end.
const LINK: &str = "e\u{1b}[31m\u{202e}1hte";
const LINK_SHOWN: &str = "e\\x1b[31m\\u{202e}1hte";

/// A sender with a bad name, in a cgroup with another.
struct Masked<'a> {
    bench: &'a Bench,
    folder: TempDir,
    cgroup: PathBuf,
}

impl<'a> Masked<'a> {
    fn new(bench: &'a Bench) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        symlink(*SENDER, folder.path().join(OsStr::from_bytes(COMM))).expect("a link");
        let cgroup = bench.cgroup_path().join(CGROUP);
        fs::create_dir(&cgroup).expect("a cgroup");
        Self {
            bench,
            folder,
            cgroup,
        }
    }

    /// Sends, and stays until the sender is dropped.
    fn send(&self) -> Sender {
        let path = self.folder.path().join(OsStr::from_bytes(COMM));
        let arguments = format!("{LEAK} --pause-after 9");
        let mut sender = Sender::start_as(&path, self.bench.card(), Some(&self.cgroup), &arguments);
        sender.wait_for("paused");
        sender
    }
}

impl Drop for Masked<'_> {
    fn drop(&mut self) {
        let _gone = fs::remove_dir(&self.cgroup);
    }
}

/// Nothing of a line may act on a terminal.
fn is_harmless(line: &str) -> bool {
    !line.contains(pinif_userspace::text::escape::is_hazardous)
}

/// Lets an auditor find the masked sender, and gives all that it says until its end, which must be harmless.
fn said_of_masked(bench: &Bench, setup: Setup<'_>, found: &str, in_journal: bool) -> Vec<String> {
    let masked = Masked::new(bench);
    let mut pinif = if in_journal {
        setup.start_in_journal()
    } else {
        setup.start_for_people()
    };
    let sender = masked.send();
    if in_journal {
        pinif.wait_for_note(found);
    } else {
        pinif.wait_for_line("the finding", |line| line.contains(found));
    }
    drop(sender);
    pinif.signal(Signal::SIGTERM);
    let ended = pinif.end();
    let lines = [ended.stdout, ended.stderr].concat();
    for line in &lines {
        assert!(is_harmless(line), "{line:?}");
    }
    lines
}

#[test]
fn a_name_of_a_process_deceives_nobody_who_reads_along() {
    scenario("service names-human", &[], |bench| {
        let found = format!("leak  device-escape  {COMM_SHOWN} (pid ");
        let lines = said_of_masked(bench, bench.auditor(), &found, false);
        let process = lines.iter().find(|line| line.starts_with("  process   "));
        let process = process.expect("its process is known");
        assert!(process.contains(COMM_SHOWN), "{process}");
        assert!(process.contains(CGROUP_SHOWN), "{process}");
        assert!(
            !lines.iter().any(|line| line.starts_with("<0>")),
            "{lines:?}"
        );
    });
}

#[test]
fn a_name_of_a_process_makes_no_line_in_the_journal() {
    scenario("service names-journal", &[], |bench| {
        let found = format!("<2>leak device-escape: {COMM_SHOWN} (pid ");
        let lines = said_of_masked(bench, bench.auditor(), &found, true);
        assert!(
            !lines.iter().any(|line| line.starts_with("<0>")),
            "{lines:?}"
        );
    });
}

#[test]
fn a_name_of_a_process_is_whole_in_json() {
    scenario("service names-json", &[], |bench| {
        let masked = Masked::new(bench);
        let mut auditor = bench.audit(&[]);
        let mut sender = masked.send();
        let finding = auditor.wait_for_finding("device-escape");
        let process = finding.process.expect("its process is known");
        assert_eq!(process.comm, COMM_TEXT);
        let cgroup = format!("{}/{CGROUP}", bench.cgroup());
        assert_eq!(process.cgroup.as_deref(), Some(&*cgroup));
        assert_eq!(process.exe.as_deref(), Some(*SENDER));
        sender.go();
        sender.finish();
        let report = auditor.stop();
        assert!(
            report.lines.iter().all(|line| is_harmless(line)),
            "{report}"
        );
    });
}

#[test]
fn a_name_of_an_interface_is_audited_and_deceives_nobody() {
    scenario("service names-interface", &[], |bench| {
        let mut pinif = bench.auditor().start_for_people();
        plug(bench, bench.card(), LINK, None);
        let note = pinif.wait_for_note("audited from now on");
        assert_eq!(note, format!("{LINK_SHOWN} is audited from now on"));
        bench.send(&format!(
            "udp --bind-device fab0 --pktinfo {LINK} --to 10.0.0.2:9 --count 10"
        ));
        pinif.wait_for_line("the finding", |line| {
            line.contains("Z  leak  device-escape") && line.ends_with(&format!(" via {LINK_SHOWN}"))
        });
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        for line in ended.stdout.iter().chain(&ended.stderr) {
            assert!(is_harmless(line), "{line:?}");
        }
    });
}

#[test]
fn a_name_of_an_interface_is_whole_in_json() {
    scenario("service names-interface-json", &[], |bench| {
        plug(bench, bench.card(), LINK, None);
        let auditor = bench.audit(&[]);
        bench.send(&format!(
            "udp --bind-device {LINK} --to 10.7.0.2:9 --count 10"
        ));
        let report = auditor.stop();
        assert!(
            report.ready.interfaces.iter().any(|name| name == LINK),
            "{report}"
        );
        report.expect().contained(LINK, LINK, 10).nothing_else();
    });
}

#[test]
fn an_interface_whose_name_is_no_text_is_reported_as_unaudited() {
    scenario("service names-no-text", &[], |bench| {
        plug(bench, bench.card(), "eth2", None);
        rename_to_bytes(bench.card(), "eth2", b"eth\xff");
        let report = bench.audit(&[]).stop();
        report
            .expect()
            .finding(
                risk("unaudited")
                    .egress("eth\u{fffd}")
                    .cause("eth\u{fffd} could not be attached (its name is not UTF-8; rename it)"),
            )
            .nothing_else();
        assert_eq!(made(&report.ready), ["lo", "fab0", "eth1"]);
    });
}

#[test]
fn an_interface_whose_name_is_no_text_any_more_is_still_audited() {
    scenario("service names-no-text-any-more", &[], |bench| {
        plug(bench, bench.card(), "eth2", None);
        let mut auditor = bench.audit(&[]);
        let mut sender =
            bench.sender("udp --bind-device eth2 --to 10.7.0.2:9 --count 100 --pause-after 50");
        sender.wait_for("paused");
        rename_to_bytes(bench.card(), "eth2", b"eth\xff");
        auditor.wait_for_note("eth2 is called eth\u{fffd} from now on");
        sender.go();
        sender.finish();
        auditor
            .stop()
            .expect()
            .contained("eth\u{fffd}", "eth\u{fffd}", 100)
            .nothing_else();
    });
}

/// The links that lead to a sender are this test's own.
#[test]
fn the_mask_is_what_it_should_be() {
    assert!(COMM.len() <= 15 && LINK.len() <= 15);
    assert_eq!(String::from_utf8_lossy(COMM), COMM_TEXT);
    assert!(Path::new(*SENDER).is_absolute());
}
