//! Lines of the documentation, run as a reader runs them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pinif_lab::Cgroup;

use crate::bench::{Events, wait_until};

/// Runs lines in bash, in a folder and in a network namespace that nothing else is in. They call `pinif`, whose audits are of a cgroup that
/// the lines are in.
pub fn run(lines: &str, folder: &Path) -> Output {
    within(&["--net"], lines, folder)
}

/// The same in a mount namespace besides.
pub fn run_on_mounts(lines: &str, folder: &Path) -> Output {
    within(&["--net", "--mount"], lines, folder)
}

fn within(namespaces: &[&str], lines: &str, folder: &Path) -> Output {
    let cgroup = Cgroup::new("shell").expect("a cgroup");
    let programs = tempfile::tempdir().expect("a folder");
    let pinif = programs.path().join("pinif");
    let script = format!(
        "#!/bin/sh\ncase $1 in audit) shift; exec {0} audit --cgroup {1} \"$@\";; *) exec {0} \"$@\";; esac\n",
        env!("CARGO_BIN_EXE_pinif"),
        cgroup.path().display()
    );
    fs::write(&pinif, script).expect("a script");
    fs::set_permissions(&pinif, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = std::env::var("PATH").unwrap_or_default();
    let procs = fs::File::options()
        .write(true)
        .open(cgroup.path().join("cgroup.procs"));
    let procs = procs.expect("it is ours");
    let mut bash = Command::new("unshare");
    bash.args(namespaces)
        .args(["bash", "-euc", lines])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", programs.path().display()))
        .stdin(Stdio::null());
    // SAFETY: one system call, of a descriptor that is open.
    unsafe {
        bash.pre_exec(move || (&procs).write_all(b"0"));
    }
    let output = bash.output().expect("unshare");
    // What the lines have ended goes a moment later, and what they left has to be ended (since Linux 5.14).
    let _unknown = fs::write(cgroup.path().join("cgroup.kill"), "1");
    let events = cgroup.path().join("cgroup.events");
    let changes = Events::of_files([&events]);
    wait_until("the lines' programs are gone", &changes, || {
        fs::read_to_string(&events).is_ok_and(|events| events.contains("populated 0"))
    });
    output
}
