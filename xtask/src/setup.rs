//! `cargo xtask setup`: brings the eBPF toolchain and what the tests need.
//!
//! The other tasks call the same functions, each for what it needs.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{
    browser, debian, linker,
    process::{output, run as run_command, say, which},
    prometheus, rotel,
    toolchain::{self, Toolchain},
    tshark, victoria, vm,
    workspace::Workspace,
};

/// The cargo-nextest that setup builds where there is none. It is the newest for the oldest Rust that builds pinif.
const NEXTEST_RELEASE: &str = "0.9.114";

/// The programs that the tests call, each with Debian's package that has it.
const TEST_PROGRAMS: [(&str, &str); 11] = [
    ("bridge", "iproute2"),
    ("curl", "curl"),
    ("ip", "iproute2"),
    ("iperf3", "iperf3"),
    ("nft", "nftables"),
    ("ping", "iputils-ping"),
    ("socat", "socat"),
    ("tcpdump", "tcpdump"),
    ("tcpreplay", "tcpreplay"),
    ("teamnl", "libteam-utils"),
    ("wg", "wireguard-tools"),
];

/// What builds the eBPF object.
#[derive(Debug)]
pub struct BuildTools {
    /// The compiler and its cargo.
    pub toolchain: Toolchain,
    /// Where bpf-linker is.
    pub linker: PathBuf,
}

/// Runs the task: brings all that it can, and ends with what is there, or with all that is missing.
///
/// # Errors
/// Where something is missing and cannot be brought.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let build_tools = ensure_build_tools(workspace);
    let mut missing = Vec::new();
    missing.extend(ensure_programs(&TEST_PROGRAMS, "the tests need").err());
    missing.extend(ensure_nextest(workspace).err());
    missing.extend(prometheus::ensure(workspace).err());
    missing.extend(rotel::ensure(workspace).err());
    missing.extend(tshark::ensure(workspace).err());
    missing.extend(browser::ensure(workspace).err());
    missing.extend(victoria::ensure(workspace).err());
    let machines = vm::Supply::bring(workspace, &vm::Line::ALL);
    let arm64 = vm::arm64::Supply::bring(workspace);
    let kernels = machines.kernels();
    let mut missing: Vec<_> = missing
        .into_iter()
        .map(|error| format!("{error:#}"))
        .chain(machines.missing())
        .chain(arm64.missing())
        .collect();
    match build_tools {
        Ok(BuildTools { toolchain, linker }) if missing.is_empty() => {
            say(format_args!(
                "all is there: {toolchain}, {}, Linux {}",
                linker.display(),
                kernels.join(" and ")
            ));
            return Ok(ExitCode::SUCCESS);
        }
        Ok(_) => {}
        Err(error) => missing.insert(0, format!("{error:#}")),
    }
    bail!("{}", sentence(&missing));
}

/// Names all that is missing, each with its fix.
fn sentence(missing: &[String]) -> String {
    match missing {
        [one] => format!("one thing is missing: {one}"),
        several => several.iter().enumerate().fold(
            format!("{} things are missing:", several.len()),
            |text, (index, one)| format!("{text}\n  {}. {one}", index + 1),
        ),
    }
}

/// Brings what builds pinif.
///
/// # Errors
/// Where something is missing and cannot be brought.
pub fn ensure_build_tools(workspace: &Workspace) -> Result<BuildTools> {
    let toolchain = toolchain::ensure(workspace)?;
    let linker = linker::ensure(workspace, &toolchain)?;
    Ok(BuildTools { toolchain, linker })
}

/// Brings what the tests call, beyond what builds pinif.
///
/// # Errors
/// Where something is missing and cannot be brought.
pub fn ensure_test_tools(workspace: &Workspace) -> Result<()> {
    ensure_programs(&TEST_PROGRAMS, "the tests need")?;
    ensure_nextest(workspace)
}

/// Brings programs, each with Debian's package that has it; `purpose` begins the sentence of what lacks.
///
/// # Errors
/// Where one is missing and cannot be brought.
pub fn ensure_programs(programs: &[(&str, &str)], purpose: &str) -> Result<()> {
    let missing: Vec<_> = programs
        .iter()
        .filter(|(program, _)| which(program).is_none())
        .collect();
    if !missing.is_empty() {
        let programs = missing
            .iter()
            .map(|(program, _)| *program)
            .collect::<Vec<_>>()
            .join(", ");
        let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        let purpose = format!("{purpose} {programs}");
        let remedy = format!("your distribution's packages of {}", packages.join(", "));
        if !debian::is_here() {
            bail!("{purpose}, and this machine has no apt-get to bring it: install {remedy}");
        }
        debian::install(&packages, &purpose, &remedy, debian::List::AsItIs)?;
    }
    Ok(())
}

/// Brings the test runner.
fn ensure_nextest(workspace: &Workspace) -> Result<()> {
    if output(workspace.cargo().args(["nextest", "--version"])).is_some() {
        return Ok(());
    }
    say(format_args!(
        "building cargo-nextest {NEXTEST_RELEASE} (some minutes)"
    ));
    run_command(&mut workspace.installation("cargo-nextest", NEXTEST_RELEASE))
        .context("cargo-nextest could not be built")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named() {
        let missing = ["a: install b".to_owned(), "c: install d".to_owned()];
        assert_eq!(
            sentence(&missing[..1]),
            "one thing is missing: a: install b"
        );
        assert_eq!(
            sentence(&missing),
            "2 things are missing:\n  1. a: install b\n  2. c: install d"
        );
    }
}
