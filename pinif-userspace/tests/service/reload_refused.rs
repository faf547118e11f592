//! Policy files that are changed into something that must not be read, or not by a service.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use tempfile::TempDir;

use crate::bench::scenario;

/// What the sender leaks by [`policy`].
const TRAFFIC: &str = "udp --to 10.9.0.9:9 --count 10";
const STAYS: &str = "the changed policy is wrong, and the one in force stays";

fn policy(rule: &str) -> String {
    format!(
        "[zone.backplane]\ninterfaces = [\"fab*\"]\n\n[[rule]]\nname = \"{rule}\"\ndestination = [\"10.0.0.0/8\"]\nonly_via = \
         [\"backplane\"]\n"
    )
}

/// A folder, and a policy in it.
fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    fs::write(&path, policy("first")).expect("it is ours");
    set_mode(&path, 0o644);
    (folder, path)
}

fn set_mode(path: &PathBuf, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn a_service_keeps_its_policy_when_others_can_write_the_file() {
    scenario("service reload-writable", &[], |bench| {
        let (_folder, path) = file();
        let arguments = ["--policy", path.to_str().expect("UTF-8")];
        let setup = bench.auditor().arguments(arguments);
        let mut auditor = setup.environment("NOTIFY_SOCKET", "/nowhere").start();
        set_mode(&path, 0o666);
        auditor.wait_for_note(STAYS);
        let note = auditor.wait_for_note("others can change the policy");
        assert!(
            note.contains("belongs to root, with mode 0666; run `chmod go-w "),
            "{note}"
        );
        fs::write(&path, policy("second")).expect("it is ours");
        auditor.wait_for_note(STAYS);
        let sent = bench.send(TRAFFIC);
        let finding = auditor.wait_for_finding_that("breaks it", |finding| {
            finding.socket_cookie == Some(sent.cookie)
        });
        assert_eq!(finding.rule.as_deref(), Some("first"));
        // Put right, it comes into force.
        set_mode(&path, 0o644);
        auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
    });
}

#[test]
fn a_person_is_warned_that_others_can_write_the_file() {
    scenario("service start-writable", &[], |bench| {
        let (_folder, path) = file();
        set_mode(&path, 0o666);
        let mut auditor = bench.audit(&["--policy", path.to_str().expect("UTF-8")]);
        let note = auditor.wait_for_note("others can change the policy");
        assert!(note.starts_with("warning: "), "{note}");
    });
}

#[test]
fn no_file_ends_the_reading_of_later_ones() {
    scenario("service reload-hostile", &[], |bench| {
        let (folder, path) = file();
        let mut auditor = bench.audit(&["--policy", path.to_str().expect("UTF-8")]);
        let nested = format!(
            "[zone.a]\ninterfaces = \"{}{}\"\n",
            "{a,".repeat(40),
            "}".repeat(40)
        );
        let many: String = (0..70_000)
            .map(|number| format!("key{number} = 1\n"))
            .collect();
        for (text, words) in [
            (nested, "are inside each other"),
            (many, "and 69900 more errors"),
            ("[zone.a]\n".repeat(70_000), "more errors"),
            ("a = ".to_owned() + &"[".repeat(500_000), "error: "),
        ] {
            let new = folder.path().join("new");
            fs::write(&new, text).expect("it is ours");
            fs::rename(new, &path).expect("it is ours");
            auditor.wait_for_note(STAYS);
            auditor.wait_for_note(words);
        }
        for words in ["it is a pipe (FIFO)", "it is a directory"] {
            let new = folder.path().join("new");
            match words {
                "it is a directory" => {
                    fs::remove_file(&path).expect("it is ours");
                    fs::create_dir(&new).expect("a folder");
                }
                _ => mkfifo(&new, Mode::S_IRUSR).expect("a FIFO"),
            }
            fs::rename(new, &path).expect("it is ours");
            auditor.wait_for_note(words);
        }
        fs::remove_dir(&path).expect("it is ours");
        fs::write(&path, policy("second")).expect("it is ours");
        auditor.signal(Signal::SIGHUP);
        auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
        bench.send(TRAFFIC);
        let finding = auditor.wait_for_finding_that("breaks it", |_| true);
        assert_eq!(finding.rule.as_deref(), Some("second"));
    });
}
