//! pinif's build tasks: `cargo xtask TASK`.
//!
//! Every task brings what it needs first, and says what it brings; where all is there, it is silent about it. What the
//! tasks themselves say goes to standard error, so that standard output is pinif's alone.

mod bench;
mod book;
mod browser;
mod build;
mod cross;
mod debian;
mod dist;
mod fuzz;
mod launch;
mod linker;
mod own_network;
mod package;
mod process;
mod prometheus;
mod pypi;
mod remap;
mod report;
mod rotel;
mod scenarios;
mod script;
mod setup;
mod tally;
mod target;
mod test;
mod toolchain;
mod tshark;
mod victoria;
mod vm;
mod web;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::workspace::Workspace;

/// pinif's build tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Bring the eBPF toolchain and what the tests need; nothing where all is there
    Setup,
    /// Build the eBPF object and the pinif that holds it: target/release/pinif
    Build(build::Args),
    /// Build, then audit this machine, as root: pinif audit ARGS
    Run(launch::Args),
    /// Build, then show a leaking chassis in namespaces, as root: pinif demo ARGS
    Demo(launch::Args),
    /// Build, then show what this machine allows, as root: pinif doctor ARGS
    Doctor(launch::Args),
    /// Build, then run every test, as root, here and on the older kernels
    Test(test::Args),
    /// Boot Debian's older kernels in virtual machines, and run the scenarios there, or another COMMAND
    Vm(vm::Args),
    /// Show what the last runs found in each case on each kernel, and write it into the documentation
    Scenarios,
    /// Measure what pinif costs, as root, and write it into the documentation
    Bench(bench::Args),
    /// Make the documentation a book of web pages, by mdBook: target/book/book/index.html
    Book,
    /// Make what is installed where there is no compiler: a tarball, a Debian package and an RPM of one static binary
    Dist(dist::Args),
    /// Make the crates as a registry has them, with the eBPF objects inside
    Package(package::Args),
    /// Try damaged policies, or packets, for long, and keep what is wrong
    Fuzz(fuzz::Args),
}

fn main() -> ExitCode {
    let task = Task::parse();
    let workspace = match Workspace::find() {
        Ok(workspace) => workspace,
        Err(error) => return fail(&error),
    };
    let done = match task {
        Task::Setup => setup::run(&workspace),
        Task::Build(args) => build::run(&workspace, &args),
        Task::Run(args) => launch::run(&workspace, "audit", &args),
        Task::Demo(args) => launch::run(&workspace, "demo", &args),
        Task::Doctor(args) => launch::run(&workspace, "doctor", &args),
        Task::Test(args) => test::run(&workspace, &args),
        Task::Vm(args) => vm::run(&workspace, &args),
        Task::Scenarios => scenarios::run(&workspace),
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Book => book::run(&workspace),
        Task::Dist(args) => dist::run(&workspace, &args),
        Task::Package(args) => package::run(&workspace, &args),
        Task::Fuzz(args) => fuzz::run(&workspace, &args),
    };
    done.unwrap_or_else(|error| fail(&error))
}

/// Prints an error once, as one sentence with its causes.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
