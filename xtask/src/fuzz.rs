//! `cargo xtask fuzz`: damaged policies and packets, for as long as is said.
//!
//! What reads them and how it is judged is in `pinif-userspace/fuzz`, whose tests try a little of both.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    process::{as_root, can_be_root, in_words, run as run_command, run_cargo, say, which},
    setup,
    test::CHECKED,
    workspace::Workspace,
};

/// The cargo profile of packets: fast, and with all assertions. Policies have the tests' ([`CHECKED`]), whose libraries are built already.
const PROFILE: &str = "fuzz";

/// A compiler of pinif's own crates that has LLVM count, for libFuzzer, which parts of them run, and hand it what is compared: what
/// cargo-fuzz sets too. Not of what runs while they are built.
const COVERING: &str = r#"#!/bin/sh
case " $* " in
*" --crate-name build_script_"*) exec "$@" ;;
esac
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
"#;

/// What is fuzzed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Policies that are damaged, by libFuzzer: what makes pinif panic, or takes longer than a second, is kept
    Policy {
        /// How long, as in 90s, 5m or 1h
        #[arg(long = "for", default_value = "5m", value_parser = duration, value_name = "TIME")]
        length: Duration,
    },
    /// Packets through the parser that the programs have, compared with what etherparse and this kernel make of them; as root
    Packets {
        /// How many are compared with etherparse
        #[arg(long, default_value_t = 100_000_000)]
        count: u64,
        /// How many are sent, and compared with the kernel
        #[arg(long, default_value_t = 200_000)]
        sent: u64,
        /// What they follow from: the same packets for the same seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

/// Runs the task.
///
/// # Errors
/// Where a tool is missing, the build fails, or something was found: what, is in the last lines.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    match args.what {
        What::Policy { length } => policy(workspace, length),
        What::Packets { count, sent, seed } => packets(workspace, count, sent, seed),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// What is new in the corpus of an earlier run is tried first: it goes on where that ended.
fn policy(workspace: &Workspace, length: Duration) -> Result<()> {
    ensure!(
        which("c++").is_some(),
        "libFuzzer is C++, and there is no c++: install it (`apt-get install g++`)"
    );
    let directory = workspace.target.join("fuzz/policy");
    let corpus = directory.join("corpus");
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    write_found(workspace, &corpus)?;
    let mut fuzzer = Command::new(libfuzzer(workspace, &directory)?);
    fuzzer
        .arg(format!("-max_total_time={}", length.as_secs()))
        .arg(format!("-artifact_prefix={}/", directory.display()))
        // What is slow is measured by the processor's time; this is for what does not end.
        .args(["-max_len=2048", "-timeout=900", "-print_final_stats=1"])
        .arg(&corpus)
        .arg(workspace.root.join("pinif-userspace/fuzz/corpus/policy"));
    say(in_words(&fuzzer));
    run_command(&mut fuzzer).with_context(|| {
        format!(
            "the text is the newest file in {}: add it to the corpus",
            directory.display()
        )
    })
}

/// Writes what earlier fuzzers have found as libFuzzer takes it: a file each.
fn write_found(workspace: &Workspace, directory: &Path) -> Result<()> {
    let path = workspace
        .root
        .join("pinif-userspace/fuzz/corpus/found.json");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let found: Vec<String> = serde_json::from_slice(&text)
        .with_context(|| format!("{} is no list of texts", path.display()))?;
    for (number, text) in found.iter().enumerate() {
        let file = directory.join(format!("found-{number}"));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Builds the fuzzer, and returns where it is.
fn libfuzzer(workspace: &Workspace, directory: &Path) -> Result<PathBuf> {
    let compiler = directory.join("rustc");
    fs::write(&compiler, COVERING)
        .and_then(|()| fs::set_permissions(&compiler, Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", compiler.display()))?;
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--package", "pinif-fuzz", "--bin", "fuzz-policy"])
        .args(["--features", "libfuzzer", "--profile", CHECKED])
        .env("RUSTC_WORKSPACE_WRAPPER", compiler);
    run_cargo(&mut cargo)?;
    Ok(workspace.built(CHECKED, "fuzz-policy"))
}

fn packets(workspace: &Workspace, count: u64, sent: u64, seed: u64) -> Result<()> {
    can_be_root("cargo xtask fuzz packets")?;
    setup::ensure_programs(&[("nft", "nftables")], "the kernel is asked by")?;
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--package", "pinif-fuzz", "--bin", "fuzz-packets"])
        .args(["--profile", PROFILE])
        // The parser is of the host here.
        .env("PINIF_WITHOUT_PROGRAMS", "1");
    run_cargo(&mut cargo)?;
    let program = workspace.built(PROFILE, "fuzz-packets");
    let mut fuzzer = as_root(program, "cargo xtask fuzz packets")?;
    fuzzer.args(["--count", &count.to_string()]);
    fuzzer.args(["--sent", &sent.to_string(), "--seed", &seed.to_string()]);
    run_command(&mut fuzzer)
}

/// `90s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration> {
    let unit = text.chars().last().context("no time is given")?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => bail!("write it as in 90s, 5m or 1h"),
    };
    let number: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .context("write it as in 90s, 5m or 1h")?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        let seconds = |text| duration(text).ok().map(|time| time.as_secs());
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("5m"), Some(300));
        assert_eq!(seconds("1h"), Some(3600));
        for wrong in ["", "s", "5", "5d", "-1s", "5é"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
