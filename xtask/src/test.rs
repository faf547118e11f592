//! `cargo xtask test`: every test, as root, and a closing line that counts them.

use std::{
    env,
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Write as _},
    num::NonZero,
    process::{Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::{
    browser, build,
    own_network::OwnNetwork,
    package,
    process::{can_be_root, in_words, is_root, output, run as run_command, say, sudo},
    prometheus,
    report::Report,
    rotel,
    scenarios::{self, DIRECTORY_VARIABLE},
    setup,
    tally::{self, Totals},
    target,
    toolchain::Version,
    tshark, victoria, vm,
    workspace::Workspace,
};

const TASK: &str = "cargo xtask test";
/// The profile that the tests are built by, on every kernel: with assertions, and optimized a little.
pub const CHECKED: &str = "checked";
/// How many tests run at a time for two processors: they wait for what they start, and for the kernel's lock of interfaces (RTNL) and its
/// grace periods (RCU), for half of their time. With more, what a test must see within a time comes too late on a machine that does something else.
const TESTS_OF_TWO_PROCESSORS: usize = 3;
/// The environment variable by which nextest takes how many run at a time.
const TEST_THREADS: &str = "NEXTEST_TEST_THREADS";

/// Which tests run, and how they are built.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Test an optimized pinif, without debug assertions; the eBPF programs are the same in both
    #[arg(long)]
    release: bool,
    /// Leave out the older kernels, on which the tests run in virtual machines (`cargo xtask vm`)
    #[arg(long)]
    this_kernel: bool,
    /// What nextest is given: a filter, for example; then nothing runs on other kernels
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Runs the task. Its last line on standard output is `N passed, N failed, N skipped`.
///
/// # Errors
/// Where a tool is missing, or the tests do not build; failed tests are reported by the exit status.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let began = Instant::now();
    let mut report = Report::default();
    can_be_root(TASK)?;
    setup::ensure_test_tools(workspace)?;
    // A run of chosen tests is of those alone.
    let is_whole = args.args.is_empty();
    let ahead = if is_whole {
        build_ahead(workspace, args)?
    } else {
        None
    };
    let supply = (is_whole && !args.this_kernel).then(|| {
        let machines = vm::Supply::bring(workspace, &vm::Line::ALL);
        (machines, vm::arm64::Supply::bring(workspace))
    });
    let prometheus = is_whole.then(|| prometheus::ensure(workspace));
    // Without it, what needs it is skipped, and says so.
    if let Some(Err(error)) = is_whole.then(|| rotel::ensure(workspace)) {
        say(format_args!("rotel: {error:#}"));
    }
    if let Some(Err(error)) = is_whole.then(|| victoria::ensure(workspace)) {
        say(format_args!("VictoriaMetrics: {error:#}"));
    }
    if let Some(Err(error)) = is_whole.then(|| tshark::ensure(workspace)) {
        say(format_args!("tshark: {error:#}"));
    }
    if let Some(Err(error)) = is_whole.then(|| browser::ensure(workspace)) {
        say(format_args!("Chromium: {error:#}"));
    }
    report.add_work("tools and kernels", began.elapsed());

    let started = Instant::now();
    if let Some(ahead) = ahead {
        ahead.finish(workspace)?;
    }
    build::build_ebpf(workspace)?;
    // What chooses tests may be no arguments of a build alone.
    if is_whole {
        run_command(nextest(workspace, args).arg("--no-run"))?;
    }
    report.add_work("build", started.elapsed());

    survive_interrupts()?;
    let own = OwnNetwork::read().context("cannot read this machine's own network")?;
    count_this_kernel(workspace, args, &mut report)?;
    if let Some(programs) = prometheus {
        prometheus::check(workspace, &programs, &mut report);
    }
    if is_whole {
        let started = Instant::now();
        let (totals, status) = count_documentation_tests(workspace, args)?;
        let name = "documentation tests";
        report.add_tests(name, started.elapsed(), totals, status.success());
    }
    if let Some((supply, arm64)) = supply {
        package::check(workspace, &mut report);
        say("the same on older kernels, in virtual machines; `--this-kernel` leaves them out");
        vm::run_scenarios(workspace, &supply, vm::Chosen::Selections, &mut report)?;
        vm::arm64::run(workspace, &arm64, &mut report);
    }
    own.check(&mut report);
    Ok(if report.close(began.elapsed()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Has a first build of the tests begin, and brings the eBPF programs that it waits for. It goes on while other things are downloaded.
/// `None` where there was a build: whether one of today is needed, cargo knows only when the programs are there.
///
/// # Errors
/// Where a tool is missing, or the programs do not build.
fn build_ahead(workspace: &Workspace, args: &Args) -> Result<Option<build::Ahead>> {
    let profile = if args.release { "release" } else { CHECKED };
    if workspace.built(profile, "pinif").is_file() {
        return Ok(None);
    }
    let mut tests = nextest(workspace, args);
    tests.arg("--no-run");
    let mut ahead = build::Ahead::start(workspace, tests)?;
    build::build_ebpf(workspace)?;
    ahead.go_on(workspace)?;
    Ok(Some(ahead))
}

/// Runs the tests on this machine's kernel.
fn count_this_kernel(workspace: &Workspace, args: &Args, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    let directory = scenarios::directory(workspace, scenarios::HERE);
    scenarios::clear(&directory)?;
    let mut nextest = nextest(workspace, args);
    nextest
        .args(["--message-format", "libtest-json"])
        .args(&args.args)
        .env("NEXTEST_EXPERIMENTAL_LIBTEST_JSON", "1")
        .env(DIRECTORY_VARIABLE, &directory)
        .env(prometheus::VARIABLE, prometheus::directory(workspace))
        .env(rotel::VARIABLE, rotel::program(workspace))
        .env(tshark::VARIABLE, tshark::directory(workspace))
        .env(browser::VARIABLE, browser::directory(workspace))
        .env(victoria::VARIABLE, victoria::directory(workspace));
    if env::var_os(TEST_THREADS).is_none() {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let tests = (TESTS_OF_TWO_PROCESSORS * processors).div_ceil(2);
        nextest.env(TEST_THREADS, tests.to_string());
    }
    run_as_root(&mut nextest, workspace)?;
    let (tally, status) = count_nextest(&mut nextest)?;
    let totals = tally.totals();
    if totals == Totals::default() && !status.success() {
        bail!("no test ran: `{}` ended with {status}", in_words(&nextest));
    }
    let scenarios = scenarios::read(&directory)?;
    println!("{}", scenarios::summary(&scenarios));
    report.add_tests(
        "this machine's kernel",
        started.elapsed(),
        scenarios::count(totals, &scenarios),
        status.success(),
    );
    report.add_times("here", tally.times());
    Ok(())
}

/// The runner of all tests, of the profile that was chosen.
fn nextest(workspace: &Workspace, args: &Args) -> Command {
    let mut nextest = workspace.cargo();
    nextest.args(["nextest", "run", "--workspace"]);
    if args.release {
        nextest.arg("--release");
    } else {
        nextest.args(["--cargo-profile", CHECKED]);
    }
    nextest
}

/// Has the tests, and only them, run by root: what is built stays this user's.
fn run_as_root(nextest: &mut Command, workspace: &Workspace) -> Result<()> {
    if is_root() {
        return Ok(());
    }
    let sudo = sudo(TASK)?;
    say("the tests make network namespaces and load eBPF programs, so sudo runs them");
    run_command(Command::new(&sudo).arg("--validate"))?;
    let host = host(workspace)?;
    nextest.env(
        target::variable(&host, "RUNNER"),
        format!("{} --preserve-env --", sudo.display()),
    );
    Ok(())
}

/// The target that cargo builds the tests for.
///
/// # Errors
/// Where `rustc` does not say.
pub fn host(workspace: &Workspace) -> Result<String> {
    output(workspace.rustc().arg("-vV"))
        .and_then(|verbose| Version::parse(&verbose))
        .map(|version| version.host)
        .context("`rustc -vV` does not name this machine's target")
}

/// Runs nextest and counts what it reports on standard output; what a person reads is on standard error.
fn count_nextest(nextest: &mut Command) -> Result<(tally::Nextest, ExitStatus)> {
    let mut child = nextest
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", in_words(nextest)))?;
    let mut tally = tally::Nextest::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            tally.take(&String::from_utf8_lossy(&line?));
        }
    }
    Ok((tally, child.wait()?))
}

/// Runs the tests in the documentation, which nextest does not, and counts. They are shown where there are any.
fn count_documentation_tests(workspace: &Workspace, args: &Args) -> Result<(Totals, ExitStatus)> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--quiet", "--workspace", "--doc"]);
    if args.release {
        cargo.arg("--release");
    } else {
        cargo.args(["--profile", CHECKED]);
    }
    let output = cargo
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", in_words(&cargo)))?;
    let totals = tally::cargo_test(&String::from_utf8_lossy(&output.stdout));
    if totals != Totals::default() {
        io::stderr().write_all(&output.stdout)?;
    }
    Ok((totals, output.status))
}

/// Leaves Ctrl-C to the runner, which ends its tests and cleans up, so that what ran is still counted.
fn survive_interrupts() -> Result<()> {
    extern "C" fn ignore(_signal: nix::libc::c_int) {}
    // A handler, and not "ignore", which the runner and its tests would inherit.
    let action = SigAction::new(
        SigHandler::Handler(ignore),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing, so it is safe at any point of the program.
    unsafe { sigaction(Signal::SIGINT, &action) }.context("cannot handle SIGINT")?;
    Ok(())
}
