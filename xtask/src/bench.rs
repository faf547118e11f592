//! `cargo xtask bench`: what pinif costs on this machine.
//!
//! What measures is a bench of cargo (`pinif-userspace/benches/cost`), which is not installed with pinif.

use std::{
    ffi::OsString, fs, os::unix::process::CommandExt as _, path::PathBuf, process::ExitCode,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    build,
    process::{answer, as_root, can_be_root, in_words, is_root, say},
    prometheus, rotel, setup, victoria, web,
    workspace::Workspace,
};

const TASK: &str = "cargo xtask bench";
/// The parts that want what is brought for them.
const WITH_OTHERS: [&str; 2] = ["alertmanager", "fleet"];

/// The part that wants a server, and what connects to it.
const WITH_WEB: &str = "throughput";

/// What pinif is compared with, each with Debian's package that has it.
const COMPARED: [(&str, &str); 4] = [
    ("bpftrace", "bpftrace"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("tcpdump", "tcpdump"),
];

/// What is measured, and how often.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often each thing is measured, all in turn
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Measure this part alone (repeatable; a name that there is none of gives their list). The documentation stays as it is, but for this part's tables
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
}

/// Builds pinif and its bench, and becomes the bench: signals reach it, and its exit status is the task's.
///
/// # Errors
/// Where a tool is missing, the build fails, or the bench cannot be started as root.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    can_be_root(TASK)?;
    setup::ensure_programs(&COMPARED, "the bench compares with")?;
    let wants_others = |part: &String| WITH_OTHERS.contains(&&**part);
    if args.only.is_empty() || args.only.iter().any(wants_others) {
        prometheus::ensure(workspace)?;
        rotel::ensure(workspace)?;
        victoria::ensure(workspace)?;
    }
    if args.only.is_empty() || args.only.iter().any(|part| part == WITH_WEB) {
        web::ensure(workspace)?;
    }
    build::build_ebpf(workspace)?;
    let bench = build_bench(workspace)?;
    // This user's, also where the bench is root's.
    let output = workspace.target.join("bench");
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;

    // `sudo` passes no variables on.
    let settings = [
        (prometheus::VARIABLE, prometheus::directory(workspace)),
        (rotel::VARIABLE, rotel::program(workspace)),
        (victoria::VARIABLE, victoria::directory(workspace)),
        (web::VARIABLE, web::directory(workspace)),
    ]
    .map(|(variable, path)| {
        let mut setting = OsString::from(format!("{variable}="));
        setting.push(path);
        setting
    });
    let mut command = as_root("env", TASK)?;
    command
        .args(settings)
        .arg(bench)
        .args(["--rounds", &args.rounds.to_string()])
        .args(args.only.iter().flat_map(|part| ["--only", part]))
        .arg("--output")
        .arg(output)
        .arg("--documentation")
        .arg(workspace.root.join("docs"))
        .env_remove("LD_LIBRARY_PATH");
    if !is_root() {
        say(in_words(&command));
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", in_words(&command)))
}

/// Builds the bench, with the pinif that it measures, and returns where it is.
fn build_bench(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args([
        "bench",
        "--package",
        "pinif-userspace",
        "--bench",
        "cost",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let output = answer(&mut cargo)?;
    output
        .lines()
        .find_map(executable)
        .with_context(|| format!("`{}` names no executable", in_words(&cargo)))
}

/// The executable of a message of cargo's, if it is of the bench.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    (message["target"]["name"] == "cost")
        .then(|| message["executable"].as_str().map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_benchs() {
        let of = |name: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"executable":"/t/{name}-1"}}"#
            )
        };
        assert_eq!(executable(&of("cost")), Some(PathBuf::from("/t/cost-1")));
        assert_eq!(executable(&of("pinif")), None);
        assert_eq!(executable(r#"{"reason":"build-finished"}"#), None);
    }
}
