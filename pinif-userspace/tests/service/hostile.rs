//! Names with every hazard in them, of a process, a network namespace, an interface, a cgroup and a rule: no command lets one
//! pass to whoever reads, and JSON has each exactly as it is.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;
use pinif_userspace::text::escape::is_hazardous;
use serde_json::Value;

use crate::bench::plug::plug;
use crate::bench::{Bench, SENDER, Sender, scenario};

/// A C1 control, a bidirectional override, a space without a width and an invisible filler: no name of the kernel's may be
/// longer.
const HOSTILE: &str = "\u{9b}\u{202e}\u{200b}\u{3164}x";
const SHOWN: &str = "\\u{9b}\\u{202e}\\u{200b}\\u{3164}x";

/// The name of a rule, which may have no control characters.
const RULE: &str = "r\u{202e}\u{200b}\u{3164}x";
const RULE_SHOWN: &str = "r\\u{202e}\\u{200b}\\u{3164}x";

/// A second name of the card, which a person chose.
struct Named(PathBuf);

impl Named {
    fn new(bench: &Bench) -> Self {
        let path = Path::new("/run/netns").join(format!("{}-{HOSTILE}", bench.card().name()));
        File::create(&path).expect("a file");
        let named = Self(path);
        let (none, bind) = (None::<&str>, MsFlags::MS_BIND);
        mount(Some(bench.card().path()), &named.0, none, bind, none).expect("a second name");
        named
    }

    fn name(&self) -> &str {
        let name = self.0.file_name().and_then(OsStr::to_str);
        name.expect("UTF-8")
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _unmounted = umount2(&self.0, MntFlags::MNT_DETACH);
        let _gone = fs::remove_file(&self.0);
    }
}

/// Runs pinif to its end: what it printed on both streams, which must be harmless.
fn pinif(arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pinif"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("cannot start pinif");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    for line in stdout.lines().chain(stderr.lines()) {
        is_harmless(line);
    }
    (stdout, stderr)
}

#[track_caller]
fn is_harmless(line: &str) {
    assert!(!line.contains(is_hazardous), "{line:?}");
}

/// A sender that is called so, in a cgroup that is; ended when dropped.
struct Masked {
    _folder: tempfile::TempDir,
    sender: Option<Sender>,
    cgroup: PathBuf,
}

impl Masked {
    fn new(bench: &Bench, arguments: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(HOSTILE);
        symlink(*SENDER, &path).expect("a link");
        let cgroup = bench.cgroup_path().join(HOSTILE);
        fs::create_dir(&cgroup).expect("a cgroup");
        let mut sender = Sender::start_as(&path, bench.card(), Some(&cgroup), arguments);
        sender.wait_for("paused");
        Self {
            _folder: folder,
            sender: Some(sender),
            cgroup,
        }
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        drop(self.sender.take());
        let _gone = fs::remove_dir(&self.cgroup);
    }
}

/// Bound to an address of fab0, by whose route it does not leave.
const RISK: &str =
    "udp --bind 10.0.0.1:7001 --to 203.0.113.9:9 --connect --count 10 --pause-after 9";

#[test]
fn sockets_and_foresee_let_no_hazard_pass() {
    scenario("service hostile-sockets", &[], |bench| {
        plug(bench, bench.card(), HOSTILE, None);
        let named = Named::new(bench);
        let _masked = Masked::new(bench, RISK);
        let netns = named.name();
        let (lines, _) = pinif(&["sockets", "--netns", netns, "--format", "json"]);
        let line = lines.lines().find(|line| line.contains("10.0.0.1:7001"));
        let line: Value = serde_json::from_str(line.expect("its socket")).expect("JSON");
        assert_eq!(line["processes"][0]["comm"], HOSTILE);
        let cgroup = format!("{}/{HOSTILE}", bench.cgroup());
        assert_eq!(line["processes"][0]["cgroup"], cgroup);
        let (table, _) = pinif(&["sockets", "--netns", netns]);
        assert!(table.contains(&format!("{SHOWN} (pid ")), "{table}");
        // An interface that goes down is one of those that are foreseen.
        let (lines, _) = pinif(&["foresee", "--netns", netns, "--format", "json"]);
        let last: Value =
            serde_json::from_str(lines.lines().last().expect("an end")).expect("JSON");
        let foreseen = last["foreseen"].as_array().expect("a list");
        assert!(
            foreseen.contains(&format!("{HOSTILE} down").into()),
            "{lines}"
        );
        let (text, _) = pinif(&["foresee", "--netns", netns]);
        assert!(text.contains(&format!("{SHOWN} down: ")), "{text}");
    });
}

#[test]
fn an_audit_lets_no_hazard_pass() {
    scenario("service hostile-audit", &[], |bench| {
        let policy = format!(
            "[zone.inside]\ninterfaces = \"fab*\"\n[[rule]]\nname = \"{RULE}\"\ndestination = \"203.0.113.0/24\"\n\
             only_via = \"inside\"\n"
        );
        for attached_first in [true, false] {
            if !attached_first {
                plug(bench, bench.card(), HOSTILE, None);
            }
            let mut auditor = bench.audit_with(&policy, &[]);
            let masked = Masked::new(bench, RISK);
            let finding = auditor.wait_for_finding("policy-escape");
            assert_eq!(finding.rule.as_deref(), Some(RULE));
            assert_eq!(finding.process.expect("it is known").comm, HOSTILE);
            drop(masked);
            for line in &auditor.stop_unsettled().lines {
                is_harmless(line);
            }
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), &policy).expect("a policy");
        let setup = bench
            .auditor()
            .arguments([OsStr::new("--policy"), file.path().as_os_str()]);
        let mut pinif = setup.start_for_people();
        let masked = Masked::new(bench, RISK);
        pinif.wait_for_line("the finding", |line| {
            line.contains(&format!("Z  leak  policy-escape  {SHOWN} (pid "))
        });
        drop(masked);
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        for line in ended.stdout.iter().chain(&ended.stderr) {
            is_harmless(line);
        }
        let rule = format!("rule {RULE_SHOWN}");
        assert!(
            ended.stdout.iter().any(|line| line.contains(&rule)),
            "{ended:#?}"
        );
    });
}

#[test]
fn a_running_auditor_lets_no_hazard_pass() {
    scenario("service hostile-asked", &[], |bench| {
        plug(bench, bench.card(), HOSTILE, None);
        let policy = format!(
            "[zone.inside]\ninterfaces = \"fab*\"\n[[rule]]\nname = \"{RULE}\"\ndestination = \"203.0.113.0/24\"\n\
             only_via = \"inside\"\n"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("pinif.sock");
        let socket = socket.to_str().expect("UTF-8");
        let setup = bench.auditor().policy(&policy);
        let mut auditor = setup.arguments(["--socket", socket]).start();
        let masked = Masked::new(bench, RISK);
        let id = auditor.wait_for_finding("policy-escape").id;
        let ask = |arguments: &[&str]| pinif(&[arguments, &["--socket", socket]].concat());
        for arguments in [
            &["status"][..],
            &["findings"],
            &["findings", "--format", "csv"],
            &["findings", &id],
            &["explain", &id],
        ] {
            let (text, _) = ask(arguments);
            assert!(text.contains(SHOWN), "{arguments:?}: {text}");
        }
        ask(&["matrix"]);
        let (line, _) = ask(&["findings", "--format", "json"]);
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["process"]["comm"], HOSTILE);
        assert_eq!(line["rule"], RULE);
        let (status, _) = ask(&["status", "--format", "json"]);
        let status: Value = serde_json::from_str(&status).expect("JSON");
        assert_eq!(status["worst"][0]["process"]["comm"], HOSTILE);
        for arguments in [
            &["findings", HOSTILE][..],
            &["findings", "--kind", HOSTILE],
            &["findings", "--since", HOSTILE],
        ] {
            let (_, error) = ask(arguments);
            assert!(error.contains("\\u{202e}"), "{arguments:?}: {error}");
        }
        drop(masked);
        for line in &auditor.stop_unsettled().lines {
            is_harmless(line);
        }
    });
}

#[test]
fn pins_let_no_hazard_pass() {
    scenario("service hostile-pins", &[], |bench| {
        plug(bench, bench.card(), HOSTILE, None);
        let cgroup = bench.cgroup_path().join(HOSTILE);
        fs::create_dir(&cgroup).expect("a cgroup");
        let path = cgroup.to_str().expect("UTF-8");
        let netns = bench.card().name();
        let (said, _) = pinif(&[
            "pin",
            "--cgroup",
            path,
            "--netns",
            netns,
            "--interface",
            HOSTILE,
        ]);
        assert!(
            said.ends_with(&format!("/{SHOWN} is pinned to {SHOWN}\n")),
            "{said}"
        );
        let (line, _) = pinif(&["pin", "--list", "--cgroup", path, "--format", "json"]);
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            (&line["cgroup"], &line["interface"]),
            (&path.into(), &HOSTILE.into())
        );
        let (list, _) = pinif(&["pin", "--list", "--cgroup", path]);
        assert!(list.contains(&format!("pinned to {SHOWN}")), "{list}");
        let (_, error) = pinif(&[
            "pin",
            "--cgroup",
            path,
            "--netns",
            netns,
            "--interface",
            "fab0",
        ]);
        assert!(
            error.contains(&format!("/{SHOWN} is pinned to {SHOWN} already")),
            "{error}"
        );
        pinif(&["pin", "--undo", "--cgroup", path]);
        fs::remove_dir(&cgroup).expect("it is empty");
        let parent = bench.cgroup_path().to_str().expect("UTF-8");
        let run = [
            "run",
            "--netns",
            netns,
            "--cgroup",
            parent,
            "--interface",
            HOSTILE,
        ];
        let (_, report) = pinif(&[&run[..], &["--", "true"]].concat());
        assert!(report.contains(&format!("pinned to {SHOWN}")), "{report}");
        let (_, report) = pinif(&[&run[..], &["--report", "json", "--", "true"]].concat());
        let line: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!(line["interface"], HOSTILE);
        let (_, error) = pinif(&[&run[..], &["--", HOSTILE]].concat());
        assert!(error.contains(&format!("cannot run {SHOWN}: ")), "{error}");
    });
}

#[test]
fn errors_let_no_hazard_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(OsStr::from_bytes(
        [HOSTILE.as_bytes(), b"\xff"].concat().as_slice(),
    ));
    let named = format!("{SHOWN}\u{fffd}");
    fs::write(
        &file,
        format!("[zone.a]\ninterfaces = \"{HOSTILE}\" {HOSTILE}\n"),
    )
    .expect("a policy");
    let check = Command::new(env!("CARGO_BIN_EXE_pinif"))
        .args(["policy", "check"])
        .arg(&file)
        .output()
        .expect("cannot start pinif");
    let said = String::from_utf8(check.stderr).expect("UTF-8");
    said.lines().for_each(is_harmless);
    assert!(said.contains(&named), "{said}");
    assert!(
        said.contains(&format!("interfaces = \"{SHOWN}\" {SHOWN}")),
        "{said}"
    );
    for arguments in [
        &["audit", "--netns", HOSTILE][..],
        &["audit", "--duration", HOSTILE],
        &["audit", "--policy", HOSTILE],
        &["audit", "--interface", "[\u{202e}"],
        &["explain", HOSTILE],
        &["explain", "--from", HOSTILE],
        &["foresee", "--down", HOSTILE],
        &["foresee", "--route-add", HOSTILE],
        &["pin", "--undo", "--cgroup", HOSTILE],
        &["run", "--interface", HOSTILE, "--netns", HOSTILE, "true"],
        &["sockets", "--netns", HOSTILE],
        &["sockets", HOSTILE],
        &["status", "--socket", HOSTILE],
        &["findings", "--socket", HOSTILE],
        &["matrix", "--watch", "--socket", HOSTILE],
        &["history", "--history", HOSTILE],
        &["history", "--since", HOSTILE],
        &["serve", "--listen", HOSTILE],
        &["serve", "--history", "/nowhere/\u{202e}"],
        &["audit", "--socket", HOSTILE, "--netns", HOSTILE],
        &[HOSTILE],
    ] {
        let (_, error) = pinif(arguments);
        let shown = error.contains("\\u{202e}");
        assert!(shown, "{arguments:?}: {error}");
    }
}
