//! `cargo xtask setup`: brings the eBPF toolchain and what the tests need.
//!
//! The other tasks call the same functions, each for what it needs.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{
    debian, linker,
    process::{output, run as run_command, say, which},
    toolchain::{self, Toolchain},
    vm,
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

/// Runs the task.
///
/// # Errors
/// Where something is missing and cannot be brought.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let BuildTools { toolchain, linker } = ensure_build_tools(workspace)?;
    ensure_test_tools(workspace)?;
    vm::bring(workspace);
    say(format_args!(
        "all is there: {toolchain}, {}",
        linker.display()
    ));
    Ok(ExitCode::SUCCESS)
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
    run_command(
        workspace
            .cargo()
            .args([
                "install",
                "cargo-nextest",
                "--locked",
                "--version",
                NEXTEST_RELEASE,
                "--root",
            ])
            .arg(workspace.tools()),
    )
    .context("cargo-nextest could not be built")
}
