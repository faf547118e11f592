//! `pinif demo`: a card in a chassis of network namespaces, a daemon on it that leaks, and pinif watching.
//!
//! The auditor runs in this thread, the story in another: it plays a scene, waits for what the auditor reports of it, and
//! goes on. Whatever ends the audit (a signal, an error) ends the story, and everything that was made is removed.

mod daemon;
mod fabricd;
mod relay;
mod scenes;
mod stage;
mod story;

use std::io::{self, Write as _};
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use futures::FutureExt as _;
use nix::unistd::geteuid;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::signals::Ignored;
use crate::collector;
use crate::host::capabilities;
use crate::hub::Hub;
use crate::text::streams::{is_closed, unless_closed};
use relay::Relay;
use stage::Stage;
use story::{CutShort, Story};

/// How long a person may read a scene.
const PAUSE: Duration = Duration::from_secs(4);

/// The arguments of `pinif demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Leave out the pauses that are there for reading
    #[arg(long)]
    fast: bool,
}

/// Runs `pinif demo`. The exit code is 0 where the auditor saw all that the demo promises, and nothing else; 1 where the
/// demo was ended before.
///
/// # Errors
///
/// Where it cannot run here, or the auditor did not see what it should.
pub fn run(args: DemoArgs) -> Result<ExitCode> {
    ensure!(
        geteuid().is_root(),
        "pinif demo makes network namespaces and loads eBPF programs, which needs root: run `sudo pinif demo`"
    );
    if let Some(obstacle) = capabilities::obstacle(&capabilities::check()) {
        bail!("{obstacle}");
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    // Before anything is made, so that no signal takes the demo away from its guards.
    let mut signals = {
        let _inside = runtime.enter();
        Signals::catch().context("cannot watch for signals")?
    };
    pinif_lab::sweep();
    let mut stage = Stage::build()?;
    let pause = if args.fast { Duration::ZERO } else { PAUSE };
    let played = perform(&runtime, &mut signals, &mut stage, pause);
    drop(stage);
    end(played)
}

/// Is fabricd, the demo's daemon, until standard input ends: a hidden subcommand that only the demo starts.
///
/// # Errors
///
/// Where it gets an order that it cannot carry out.
pub fn daemon() -> Result<ExitCode> {
    daemon::serve(io::stdin().lock(), io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// Audits the stage while the story is played on it; what did not come as promised.
fn perform(
    runtime: &Runtime,
    signals: &mut Signals,
    stage: &mut Stage,
    pause: Duration,
) -> Result<Vec<String>> {
    let plan = stage.plan()?;
    let (sender, events) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    thread::scope(|scope| {
        let story = scope.spawn(|| Story::new(stage, events, pause).run(end));
        let stop = async {
            tokio::select! {
                // The story has ended, or failed.
                _ = ended => {}
                () = signals.next() => {}
            }
        };
        // The story learns that the audit has ended when the relay is gone.
        let audited = {
            let hub = Hub::new();
            hub.add(Box::new(Relay(sender)))
                .context("no thread can be started")?;
            // Nobody gives orders here.
            let (_, orders) = tokio::sync::mpsc::unbounded_channel();
            runtime.block_on(collector::run::run(plan, orders, hub, stop.into_stream()))
        };
        let played = story.join().unwrap_or_else(|panic| resume_unwind(panic));
        // The error is of whichever of the two ended first: a story that was cut short has none of its own.
        let status = match &played {
            Err(error) if !error.is::<CutShort>() => return played,
            _ => audited?,
        };
        let mut broken = played?;
        if status != 0 {
            broken.push("not all packets could be counted".to_owned());
        }
        Ok(broken)
    })
}

/// The last words, once everything is gone.
fn end(played: Result<Vec<String>>) -> Result<ExitCode> {
    let (words, code) = match played {
        Ok(broken) if broken.is_empty() => (END, ExitCode::SUCCESS),
        Ok(broken) => bail!("the demo failed: {}", broken.join("; ")),
        Err(error) if error.is::<CutShort>() => (STOPPED, ExitCode::FAILURE),
        Err(error) if error.downcast_ref().is_some_and(is_closed) => {
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error),
    };
    unless_closed(io::stdout().write_all(words.as_bytes()))
        .context("cannot write the last words")?;
    Ok(code)
}

const END: &str = "
The namespaces, the cgroup and fabricd are gone again.

Try it:
  sudo pinif audit --duration 10s    this machine, with its own sockets and interfaces
  sudo pinif doctor                  what this kernel lets pinif see
";

const STOPPED: &str = "
Stopped. The namespaces, the cgroup and fabricd are gone again.
";

/// The signals that end the demo.
struct Signals([Signal; 4]);

impl Signals {
    fn catch() -> Result<Self> {
        Ignored::but(&[])?;
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::quit())?,
            // The terminal has gone.
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, quit, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = quit.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
