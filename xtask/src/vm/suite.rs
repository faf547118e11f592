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

use super::{
    kernels::Line,
    machine::{End, Machine},
    pool::Share,
    results::{Done, Ended},
};
use crate::{
    build,
    process::{in_words, say, which},
    scenarios::{self, DIRECTORY_VARIABLE},
    tally::{self, Totals},
    test::{CHECKED, host},
    workspace::Workspace,
};

/// The tests that report scenarios.
const SCENARIOS: &str = "kind(test) & package(pinif-userspace)";
/// Of these, those that ask something of the kernel. What else there is (the policy's language and its file, what is printed, the states of a finding, how the
/// program and a command that it pins begin and end) is the same everywhere.
const OF_A_KERNEL: &str = "not (binary(service) \
    & test(/^(book|confined|ends|errors|hostile|instructions|journal|logging|many_interfaces|names|output|outputs)::/)) & not (binary(service) \
    & test(/^(policy|reload|reload_refused|serve::(chassis|otlp)|signals|sizes|states|streams|without_programs)::/)) \
    & not (binary(hold) & test(/^run::ends::/) & not test(/leaves_behind/))";
/// How much longer than usual the tests wait: the processor is emulated.
const PATIENCE: &str = "5";

/// Which of the tests run.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// Those of each kernel's selection.
    Selections,
    /// All, on each kernel.
    All,
    /// Those that a filterset of nextest's names, on each kernel.
    Filter(String),
    /// The same, with those that ask nothing of the kernel and those that an emulated processor takes long for.
    Every(String),
}

/// The built tests.
#[derive(Debug)]
pub struct Suite {
    nextest: PathBuf,
    binaries: PathBuf,
    metadata: PathBuf,
    chosen: Chosen,
}

impl Suite {
    /// Builds the tests and notes where they are.
    ///
    /// # Errors
    /// Where they do not build.
    pub fn build(workspace: &Workspace, chosen: Chosen) -> Result<Self> {
        let directory = workspace.target.join("vm");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        build::build_ebpf(workspace)?;
        let suite = Self {
            nextest: nextest(workspace)?,
            binaries: directory.join("binaries.json"),
            metadata: directory.join("metadata.json"),
            chosen,
        };
        // Where all tests ran on this machine's kernel, the same build as theirs: a library that other members use as well has their features, too.
        let members: &[&str] = match suite.chosen {
            Chosen::Selections => &["--workspace"],
            Chosen::All | Chosen::Filter(_) | Chosen::Every(_) => &["--package", "pinif-userspace"],
        };
        let mut list = workspace.cargo();
        list.args(["nextest", "list", "--cargo-profile", CHECKED])
            .args(members)
            .args(["--list-type", "binaries-only", "--message-format", "json"]);
        into_file(&mut list, &suite.binaries)?;
        let mut metadata = workspace.cargo();
        // Of this platform alone: cargo has not downloaded the packages of others.
        metadata.args(["metadata", "--format-version", "1", "--filter-platform"]);
        metadata.arg(host(workspace)?);
        into_file(&mut metadata, &suite.metadata)?;
        Ok(suite)
    }

    /// Runs a share of them in a machine; once more where the machine is cut short, which is said: an emulator, or its host, may end
    /// it for reasons of its own.
    ///
    /// # Errors
    /// Where a file cannot be read or written, or the machine cannot be started.
    pub fn run(&self, machine: &Machine<'_>, share: Share) -> Result<Ended> {
        match self.run_once(machine, share)? {
            Ended::Cut(reason) => {
                say(format_args!(
                    "{}: {reason}\nit runs once more",
                    machine.name()
                ));
                self.run_once(machine, share)
            }
            ended => Ok(ended),
        }
    }

    fn run_once(&self, machine: &Machine<'_>, share: Share) -> Result<Ended> {
        let scenarios = machine.directory()?.join("scenarios");
        scenarios::clear(&scenarios)?;
        let report = machine.directory()?.join("report.json");
        let _none = fs::remove_file(&report);
        let started = Instant::now();
        let command = self.command(machine.line(), &scenarios, &report, share);
        let end = machine.run(&command)?;
        let console = machine.console();
        let success = match end {
            End::Command { success } => success,
            End::Cut => {
                return Ok(Ended::Cut(format!(
                    "a machine did not come to the tests' end; the last that it printed:\n{}",
                    machine.last_words()?
                )));
            }
            End::NotUp => {
                return Ok(Ended::NotUp(format!(
                    "its machine did not come up: {} has what it printed",
                    console.display()
                )));
            }
        };
        let text = fs::read_to_string(&report)
            .with_context(|| format!("cannot read {}", report.display()))?;
        let mut tally = tally::Nextest::default();
        text.lines().for_each(|line| tally.take(line));
        let totals = tally.totals();
        if totals == Totals::default() && !success {
            return Ok(Ended::Broken(format!(
                "the test runner ran no test: {} has what it printed",
                console.display()
            )));
        }
        Ok(Ended::Done(Done {
            totals,
            success,
            tests: tally.times(),
            scenarios: scenarios::read(&scenarios)?,
            time: started.elapsed(),
        }))
    }

    /// Keeps what the scenarios of all shares said of a kernel.
    ///
    /// # Errors
    /// Where a file cannot be read or written.
    pub fn keep_scenarios<'a>(
        &self,
        kept: &Path,
        machines: impl Iterator<Item = &'a Machine<'a>>,
    ) -> Result<()> {
        if self.is_whole() {
            scenarios::clear(kept)?;
        }
        for machine in machines {
            scenarios::keep(&machine.directory()?.join("scenarios"), kept)?;
        }
        Ok(())
    }

    /// Whether all tests run, so that what an earlier run left is out of date.
    fn is_whole(&self) -> bool {
        matches!(self.chosen, Chosen::All)
    }

    /// The filterset of the tests that run on a kernel.
    fn filter(&self, line: Line) -> String {
        let filter = match &self.chosen {
            Chosen::Selections => line.selection(),
            Chosen::All => "all()",
            Chosen::Filter(filter) => filter,
            Chosen::Every(filter) => return format!("({SCENARIOS}) & ({filter})"),
        };
        format!("({SCENARIOS}) & ({OF_A_KERNEL}) & ({filter})")
    }

    /// nextest in the machine: it has cargo's files, and needs no cargo.
    fn command(&self, line: Line, scenarios: &Path, report: &Path, share: Share) -> Vec<OsString> {
        let script = r#"report=$1; shift; exec "$@" >"$report""#;
        let mut words: Vec<OsString> = ["env", "NEXTEST_EXPERIMENTAL_LIBTEST_JSON=1"]
            .map(OsString::from)
            .into();
        words.push(format!("PINIF_PATIENCE={PATIENCE}").into());
        words.push("PINIF_OWN_MACHINE=1".into());
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
                // A share of a few chosen tests may have none of them.
                "--no-tests",
                "pass",
                "--partition",
            ]
            .map(OsString::from),
        );
        words.push(format!("count:{}/{}", share.number, share.of).into());
        let color = if io::stderr().is_terminal() {
            "always"
        } else {
            "never"
        };
        let filter = self.filter(line);
        words.extend(["--color", color, "--filterset", &filter].map(OsString::from));
        if matches!(self.chosen, Chosen::Every(_)) {
            words.push("--ignore-default-filter".into());
        }
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
