//! An audit that cannot be: one clear sentence on standard error, exit status 1, nothing on standard output.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bench::{Bench, Need, scenario};

/// The user that has nothing (`nobody`).
const NOBODY: u32 = 65534;

/// What pinif says when it is asked for the impossible.
fn refusal(mut command: Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("cannot start pinif");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

/// An audit that would not take long, nor touch anything, were it possible.
fn audit_nothing(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.args(["audit", "--duration", "1s"]).args(arguments);
    command
}

/// The same, of the card.
fn audit(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = audit_nothing(&["--netns", bench.card().name()]);
    command.args(arguments);
    command
}

#[test]
fn an_unknown_namespace_is_reported_with_those_that_there_are() {
    scenario("service unknown-namespace", &[], |bench| {
        let said = refusal(audit_nothing(&["--netns", "no-such-card"]));
        let start = "pinif: there is no network namespace `no-such-card`; `ip netns list` shows those that there are: ";
        assert!(said.starts_with(start), "{said}");
        assert!(said.contains(bench.card().name()), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    });
}

#[test]
fn a_file_that_is_no_namespace_is_reported() {
    let said = refusal(audit_nothing(&["--netns", "/proc/self/status"]));
    assert_eq!(
        said,
        "pinif: `/proc/self/status` is no network namespace; if it is left of one, remove it with `ip netns delete` and \
         make it anew\n"
    );
}

#[test]
fn all_that_is_wrong_with_a_policy_is_shown_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.toml");
    let text = "\
[zone.front]
interfaces = [\"eth*\"]

[[rule]]
name = \"control-plane\"
destination = [\"10.0.0.0/33\"]
only_via = [\"backplane\"]
pined = true
";
    fs::write(&file, text).expect("a policy");
    let path = file.to_str().expect("UTF-8");
    let said = refusal(audit_nothing(&[
        "--netns",
        "no-such-card",
        "--policy",
        path,
    ]));
    insta::assert_snapshot!(said.replace(path, "policy.toml"));

    fs::write(&file, "[zone.front]\n\u{1b}[2J = 1\n").expect("a policy");
    let said = refusal(audit_nothing(&[
        "--netns",
        "no-such-card",
        "--policy",
        path,
    ]));
    assert!(
        !said.contains('\u{1b}') && said.contains("policy.toml:2:1"),
        "{said}"
    );
}

#[test]
fn a_policy_that_is_not_there_is_reported() {
    let said = refusal(audit_nothing(&["--policy", "/nowhere/policy.toml"]));
    assert_eq!(
        said,
        "pinif: cannot read /nowhere/policy.toml: there is no such file; create it, or name the file that the policy is \
         in\n"
    );
    let said = refusal(audit_nothing(&["--policy", "/proc"]));
    assert_eq!(
        said,
        "pinif: cannot read /proc: it is a directory; name the policy file in it\n"
    );
}

/// pinif as a user without any privilege, who may at least execute it.
fn as_nobody(folder: &Path, arguments: &[&str]) -> Command {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a folder for all");
    let pinif = folder.join("pinif");
    fs::copy(env!("CARGO_BIN_EXE_pinif"), &pinif).expect("a copy");
    let mut command = Command::new(pinif);
    command.args(["audit", "--duration", "1s"]).args(arguments);
    command.uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn a_user_without_privileges_is_shown_which_are_needed() {
    scenario("service no-privileges", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let said = refusal(as_nobody(folder.path(), &["--netns", bench.card().name()]));
        assert_eq!(
            said,
            "pinif: root is needed, or at least CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN as well; run it as root: `sudo \
             pinif …`\n"
        );
    });
}

#[test]
fn a_user_without_privileges_is_shown_by_doctor_once_what_is_lacking() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = as_nobody(folder.path(), &[]);
    let program = command.get_program().to_owned();
    command = Command::new(program);
    let output = command
        .arg("doctor")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("pinif");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    // The columns are as wide as the longest name.
    let rows: Vec<_> = said.split_whitespace().collect();
    let words = rows.join(" ");
    let privileges =
        "FAIL privileges root is needed, or at least CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN as well →";
    assert!(words.contains(privileges), "{said}");
    for chain in [
        "os error",
        "map error",
        "failed to create",
        "bpf_prog_query",
        "Operation not permitted",
    ] {
        assert!(!said.contains(chain), "{chain}: {said}");
    }
    assert!(words.contains("unknown: that needs root, too"), "{said}");
}

/// Root that may trace no process of another user, as in a container.
#[test]
fn a_process_that_may_not_be_looked_into_is_named() {
    scenario("service untraceable", &[Need::Program("setpriv")], |_| {
        let mut other = Command::new("sleep")
            .arg("60")
            .uid(NOBODY)
            .spawn()
            .expect("sleep");
        let mut command = Command::new("setpriv");
        command
            .args(["--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"])
            .args([env!("CARGO_BIN_EXE_pinif"), "sockets", "--netns"])
            .arg(other.id().to_string());
        let said = refusal(command);
        other.kill().expect("kill");
        other.wait().expect("wait");
        assert_eq!(
            said,
            format!(
                "pinif: process {} may not be asked for its network namespace (ptrace(2)): this needs CAP_SYS_PTRACE in the user namespace \
                 of that process, which `sudo` on the host has, and a container or a service may lack; `pinif doctor` lists what pinif \
                 lacks: Permission denied (os error 13)\n",
                other.id()
            )
        );
    });
}

#[test]
fn a_policy_that_may_not_be_read_is_reported() {
    scenario("service unreadable-policy", &[], |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.toml");
        fs::write(&file, "").expect("a policy");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
        let path = file.to_str().expect("UTF-8");
        let said = refusal(as_nobody(folder.path(), &["--policy", path]));
        assert_eq!(
            said,
            format!(
                "pinif: cannot read {path}: permission denied; run as root, or let this user read the file\n"
            )
        );
    });
}

#[test]
fn a_cgroup_that_is_none_is_reported_with_where_they_are() {
    scenario("service no-cgroup", &[], |bench| {
        let root = pinif_lab::hierarchy().expect("cgroup v2");
        let fix = format!(
            "name a directory below {}, where cgroup v2 is mounted\n",
            root.display()
        );
        let said = refusal(audit(bench, &["--cgroup", "/nowhere"]));
        assert_eq!(said, format!("pinif: there is no cgroup /nowhere; {fix}"));
        for path in ["/proc", "/proc/version"] {
            let said = refusal(audit(bench, &["--cgroup", path]));
            assert_eq!(
                said,
                format!("pinif: {path} is no cgroup of the second version; {fix}")
            );
        }
        let file = root.join("cgroup.procs");
        let file = file.to_str().expect("UTF-8");
        let said = refusal(audit(bench, &["--cgroup", file]));
        assert_eq!(
            said,
            format!("pinif: {file} is no cgroup of the second version; {fix}")
        );
    });
}

#[test]
fn interfaces_that_are_not_there_are_reported_with_those_that_are() {
    scenario("service no-interface", &[], |bench| {
        let arguments = ["--interface", "wan*", "--interface", "fab1"];
        let said = refusal(audit(bench, &arguments));
        assert_eq!(
            said,
            "pinif: no interface is named `wan*` or `fab1`; there are eth1, fab0, lo\n"
        );
    });
}

/// clap would end with 2, which says that there was a finding.
#[test]
fn a_wrong_command_line_is_an_error_and_is_no_finding() {
    for (arguments, message) in [
        (
            &["--duration", "soon"][..],
            "error: invalid value 'soon' for '--duration <TIME>': `soon` is no time; write a number and its unit, such as \
             10s, 5m or 1h\n",
        ),
        (
            &["--duration=-5s"],
            "error: invalid value '-5s' for '--duration <TIME>': `-5s` is no time;",
        ),
        (
            &["--interface", "eth["],
            "error: invalid value 'eth[' for '--interface <GLOB>': error parsing glob 'eth['",
        ),
        (
            &["--fail-on", "chance"],
            "error: invalid value 'chance' for '--fail-on <FAIL_ON>'",
        ),
        (&["--bogus"], "error: unexpected argument '--bogus' found"),
        (
            &["--netns", "a", "--all-netns"],
            "error: the argument '--netns <NAME>' cannot be used with '--all-netns'",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.arg("audit").args(arguments);
        let said = refusal(command);
        assert!(said.starts_with(message), "{said}");
    }
}

#[test]
fn help_is_no_error() {
    for argument in ["--help", "--version"] {
        let output = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .args(["audit", argument])
            .output()
            .expect("cannot start pinif");
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[test]
fn an_error_that_nobody_hears_is_no_panic() {
    let full = || {
        fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full")
    };
    for arguments in [
        &["--netns", "no-such-card"][..],
        &["--duration", "soon"],
        &["--netns", "no-such-card", "--policy", "/nowhere"],
    ] {
        let status = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .arg("audit")
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(full())
            .status()
            .expect("cannot start pinif");
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
}
