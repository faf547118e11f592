//! Running other programs: found, elevated, shown and checked in one way.

use std::{
    env,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Says what a task does, on standard error.
pub fn say(text: impl std::fmt::Display) {
    eprintln!("xtask: {text}");
}

/// Finds a program on `PATH`, or where the superuser's programs are, which other users' `PATH` often lacks.
pub fn which(name: &str) -> Option<PathBuf> {
    all_on_path(name).into_iter().next()
}

/// All programs of a name, in the order in which [`which`] looks.
pub fn all_on_path(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .filter(|program| program.is_file())
        .collect()
}

/// A command without what cargo and rustup hand down to the programs they start: a toolchain of its own must not be
/// led to the libraries, wrappers and flags of the one that builds xtask.
pub fn detached(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for name in [
        "CARGO",
        "CARGO_BUILD_RUSTC",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "LD_LIBRARY_PATH",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ] {
        command.env_remove(name);
    }
    command
}

/// Whether this process has the rights that audits, tests and package installations need.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A command that runs `program` as root: itself, or through sudo. `task` is what needs it, for the error.
///
/// # Errors
/// Where this process is not root and there is no sudo.
pub fn as_root(program: impl AsRef<Path>, task: &str) -> Result<Command> {
    let program = program.as_ref();
    if is_root() {
        return Ok(Command::new(program));
    }
    let mut sudo = Command::new(sudo(task)?);
    sudo.arg("--").arg(program);
    Ok(sudo)
}

/// Whether [`as_root`] will work: asked before long work, whose result would be of no use without.
///
/// # Errors
/// As [`as_root`].
pub fn can_be_root(task: &str) -> Result<()> {
    as_root("", task).map(drop)
}

/// Where sudo is.
///
/// # Errors
/// Where it is not installed.
pub fn sudo(task: &str) -> Result<PathBuf> {
    which("sudo").with_context(|| {
        format!("{task} needs root, and sudo is missing: run it as root, or let root bring sudo (`apt-get install sudo`)")
    })
}

/// Runs a command to its end, its standard output joined to standard error.
///
/// # Errors
/// Where it cannot be started or fails; the error names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let stderr = io::stderr().as_fd().try_clone_to_owned()?;
    let status = command.stdout(stderr).status();
    check(command, status)
}

/// Runs a cargo command, showing what it says but the line that says it is done: where there is nothing to do, nothing
/// is shown. On a terminal all is cargo's, for its progress bar.
///
/// # Errors
/// As [`run`].
pub fn run_cargo(command: &mut Command) -> Result<()> {
    if io::stderr().is_terminal() {
        return run(command);
    }
    let stdout = io::stderr().as_fd().try_clone_to_owned()?;
    let mut child = command
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line?;
            if !is_finished_line(&String::from_utf8_lossy(&line)) {
                let mut out = io::stderr().lock();
                out.write_all(&line)?;
                out.write_all(b"\n")?;
            }
        }
    }
    check(command, child.wait())
}

/// What a command prints on standard output; `None` where it cannot be started or fails. Its errors are not shown.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a command answers on standard output; what it says to people is shown.
///
/// # Errors
/// As [`run`].
pub fn answer(command: &mut Command) -> Result<String> {
    let answer = output_bytes(command)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The same as bytes: of what may be no text.
///
/// # Errors
/// As [`run`].
pub fn output_bytes(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| cannot_start(command))?;
    check(command, Ok(output.status))?;
    Ok(output.stdout)
}

fn check(command: &Command, status: io::Result<ExitStatus>) -> Result<()> {
    let status = status.with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", in_words(command));
    }
    Ok(())
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", in_words(command))
}

/// A command as a person would type it.
pub fn in_words(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a line is cargo's "Finished …", coloured or not.
fn is_finished_line(line: &str) -> bool {
    let mut rest = line.trim_start();
    while let Some(escape) = rest.strip_prefix("\x1b[") {
        rest = escape
            .split_once('m')
            .map_or("", |(_, after)| after)
            .trim_start();
    }
    rest.starts_with("Finished")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_the_end_is_hidden() {
        assert!(is_finished_line(
            "    Finished `release` profile [optimized] target(s) in 0.03s"
        ));
        assert!(is_finished_line(
            "\x1b[1m\x1b[92m    Finished\x1b[0m `release` profile"
        ));
        assert!(!is_finished_line("   Compiling pinif-ebpf v0.1.0"));
        assert!(!is_finished_line(
            "\x1b[1m\x1b[92m   Compiling\x1b[0m Finished v0.1.0"
        ));
        assert!(!is_finished_line("error: Finished"));
        assert!(!is_finished_line("\x1b["));
        assert!(!is_finished_line(""));
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        assert_eq!(which("no-program-has-this-name"), None);
        assert!(which("sh").is_some());
    }
}
