//! What pinif costs, measured. `cargo xtask bench` builds and runs it.

mod asking;
mod auditor;
mod bpf;
mod clock;
mod documentation;
mod leak;
mod load;
mod machine;
mod others;
mod parts;
#[path = "../../tests/paths/mod.rs"]
mod paths;
mod placed;
mod plot;
mod policies;
mod progress;
mod report;
mod rivals;
mod served;
mod site;
mod statistics;
mod waiting;
mod web;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, Subcommand};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use serde::Serialize;

use crate::parts::Plan;
use crate::progress::Progress;
use crate::report::Section;

#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    /// How often each thing is measured, all in turn
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Measure these parts alone
    #[arg(long)]
    only: Vec<String>,
    /// Where the results go
    #[arg(long)]
    output: Option<PathBuf>,
    /// Where the tables and the plot go
    #[arg(long)]
    documentation: Option<PathBuf>,
    /// Cargo says so to all benches
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Measures, for a bench that cleans up behind it
    #[command(hide = true)]
    Measure,
    /// Sends, for a bench that started it
    #[command(hide = true)]
    Load {
        /// What, in JSON
        order: String,
    },
}

/// What `results.json` holds.
#[derive(Serialize)]
struct Results<'a> {
    machine: String,
    rounds: usize,
    sections: &'a [Section],
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.role {
        Some(Role::Load { order }) => load::run(order).map(|()| true),
        Some(Role::Measure) => measure(&args).map(|()| true),
        None => supervise(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Has a child measure with the same arguments, and removes what it left, however it ended. Returns whether it succeeded.
fn supervise() -> Result<bool> {
    pinif_lab::sweep();
    ignore_interrupts()?;
    let status = Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .arg("measure")
        .status()
        .context("the bench cannot start itself")?;
    pinif_lab::sweep();
    Ok(status.success())
}

/// Ctrl-C is the child's, which it ends.
fn ignore_interrupts() -> Result<()> {
    extern "C" fn ignore(_signal: libc::c_int) {}
    // A handler, and not "ignore", which the child would inherit.
    let action = SigAction::new(
        SigHandler::Handler(ignore),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing, so it is safe at any point of the program.
    unsafe { sigaction(Signal::SIGINT, &action) }.context("cannot handle SIGINT")?;
    Ok(())
}

fn measure(args: &Args) -> Result<()> {
    let known: Vec<&str> = parts::ALL.iter().map(|part| part.name).collect();
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        bail!(
            "there is no part {unknown:?} of the bench: there are {}",
            known.join(", ")
        );
    }
    let plan = Plan {
        rounds: args.rounds,
        progress: Progress::new(),
    };
    let (mut sections, mut failed) = (Vec::new(), Vec::new());
    for part in parts::ALL {
        if args.only.is_empty() || args.only.iter().any(|name| name == part.name) {
            // What the others measure is not lost.
            match (part.run)(&plan) {
                Ok(measured) => sections.extend(measured),
                Err(error) => failed.push(format!("cannot measure {}: {error:#}", part.name)),
            }
        }
    }
    plan.progress.end();
    for section in &sections {
        println!("\n{}\n\n{}", section.title, section.table());
    }
    if let Some(output) = &args.output {
        fs::create_dir_all(output)?;
        let file = output.join("results.json");
        let results = Results {
            machine: machine::description(),
            rounds: args.rounds,
            sections: &sections,
        };
        fs::write(&file, serde_json::to_string_pretty(&results)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(directory) = &args.documentation {
        documentation::write(&sections, args.rounds, directory)?;
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}
