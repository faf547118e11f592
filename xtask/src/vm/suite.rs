//! The tests in a machine: built here, run there.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use super::{kernels::Kernel, machine::Machine};
use crate::{
    build,
    process::{in_words, say, which},
    scenarios::{self, DIRECTORY_VARIABLE},
    tally::{self, Totals},
    test::CHECKED,
    workspace::Workspace,
};

/// The tests that run in a machine: those of userspace that ask something of the kernel. What else there is (the policy's
/// language, what is printed, how the program begins and ends) is the same everywhere.
const FILTER: &str = "kind(test) & package(pinif-userspace) & not (binary(service) \
    & test(/^(ends|errors|journal|logging|names|output|policy|reload)::/))";
/// How much longer than usual the tests wait for what ought to come: the processor is emulated.
const PATIENCE: &str = "5";

/// The built tests.
#[derive(Debug)]
pub struct Suite {
    nextest: PathBuf,
    binaries: PathBuf,
    metadata: PathBuf,
    filter: String,
}

/// What became of the tests on one kernel.
#[derive(Debug)]
pub struct Done {
    /// How many passed, failed and were skipped.
    pub totals: Totals,
    /// Whether all that ran passed.
    pub success: bool,
    /// What the scenarios tell.
    pub summary: String,
}

impl Suite {
    /// Builds the tests and notes where they are. A filter leaves those of them that it names.
    ///
    /// # Errors
    /// Where they do not build.
    pub fn build(workspace: &Workspace, filter: Option<&str>) -> Result<Self> {
        let directory = workspace.target.join("vm");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        build::build_ebpf(workspace)?;
        let suite = Self {
            nextest: nextest(workspace)?,
            binaries: directory.join("binaries.json"),
            metadata: directory.join("metadata.json"),
            filter: match filter {
                Some(filter) => format!("({FILTER}) & ({filter})"),
                None => FILTER.to_owned(),
            },
        };
        // The same build as that of the tests on this machine's kernel.
        let mut list = workspace.cargo();
        list.args(["nextest", "list", "--package", "pinif-userspace"])
            .args(["--cargo-profile", CHECKED])
            .args(["--list-type", "binaries-only", "--message-format", "json"]);
        into_file(&mut list, &suite.binaries)?;
        let mut metadata = workspace.cargo();
        metadata.args(["metadata", "--format-version", "1", "--offline"]);
        into_file(&mut metadata, &suite.metadata)?;
        Ok(suite)
    }

    /// Runs them in a machine.
    ///
    /// # Errors
    /// Where the machine does not come to their end.
    pub fn run(
        &self,
        workspace: &Workspace,
        machine: Machine<'_>,
        kernel: &Kernel,
    ) -> Result<Done> {
        let scenarios = machine.directory()?.join("scenarios");
        scenarios::clear(&scenarios)?;
        let report = machine.directory()?.join("report.json");
        let _none = fs::remove_file(&report);
        let started = Instant::now();
        let success = machine.run(&self.command(&scenarios, &report))?;
        let text = fs::read_to_string(&report)
            .with_context(|| format!("cannot read {}", report.display()))?;
        let mut tally = tally::Nextest::default();
        text.lines().for_each(|line| tally.take(line));
        let totals = tally.totals();
        if totals == Totals::default() {
            bail!("no test ran on Linux {}", kernel.release);
        }
        let kept = scenarios::directory(workspace, kernel.line.name());
        if self.is_whole() {
            scenarios::clear(&kept)?;
        }
        scenarios::keep(&scenarios, &kept)?;
        let scenarios = scenarios::read(&scenarios)?;
        let skipped = scenarios
            .iter()
            .filter(|scenario| scenario.is_skipped())
            .count();
        let totals = totals.with_skipped_by_themselves(skipped);
        say(format_args!(
            "Linux {}: {totals}, in {} s",
            kernel.release,
            started.elapsed().as_secs()
        ));
        Ok(Done {
            totals,
            success,
            summary: scenarios::summary(&scenarios),
        })
    }

    /// Whether all tests run, so that what others told before is out of date.
    fn is_whole(&self) -> bool {
        self.filter == FILTER
    }

    /// nextest in the machine: it has cargo's files, and needs no cargo.
    fn command(&self, scenarios: &Path, report: &Path) -> Vec<OsString> {
        let script = r#"report=$1; shift; exec "$@" >"$report""#;
        let mut words: Vec<OsString> = ["env", "NEXTEST_EXPERIMENTAL_LIBTEST_JSON=1"]
            .map(OsString::from)
            .into();
        words.push(format!("PINIF_PATIENCE={PATIENCE}").into());
        words.push(assignment(DIRECTORY_VARIABLE, scenarios));
        words.extend(["sh", "-c", script, "sh"].map(OsString::from));
        words.push(report.into());
        words.push((&self.nextest).into());
        words.extend(
            ["nextest", "run", "--profile", "vm", "--binaries-metadata"].map(OsString::from),
        );
        words.push((&self.binaries).into());
        words.push("--cargo-metadata".into());
        words.push((&self.metadata).into());
        words.extend(
            [
                "--message-format",
                "libtest-json",
                "--show-progress",
                "none",
            ]
            .map(OsString::from),
        );
        let color = if io::stderr().is_terminal() {
            "always"
        } else {
            "never"
        };
        words.extend(["--color", color, "--filterset", &self.filter].map(OsString::from));
        words
    }
}

fn assignment(variable: &str, value: &Path) -> OsString {
    let mut word = OsString::from(variable);
    word.push("=");
    word.push(value);
    word
}

/// The program of `cargo nextest`, where cargo would find it.
fn nextest(workspace: &Workspace) -> Result<PathBuf> {
    let homes = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    homes
        .into_iter()
        .chain([workspace.tools()])
        .map(|home| home.join("bin/cargo-nextest"))
        .find(|program| program.is_file())
        .or_else(|| which("cargo-nextest"))
        .context("cargo-nextest is on no path that cargo looks for it on")
}

/// Runs a command, its standard output into a file.
fn into_file(command: &mut Command, file: &Path) -> Result<()> {
    let out = fs::File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    let status = command
        .stdout(Stdio::from(out))
        .status()
        .with_context(|| format!("cannot start `{}`", in_words(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", in_words(command));
    }
    Ok(())
}
