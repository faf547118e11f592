//! `pinif sockets`: every socket, and the interface that it would leave via now.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    host::{namespaces::Census, netns::NetNs, network::NetworkWatch},
    surfaces::{Format, look::Look},
    survey::{Risk, SurveyedSocket, survey},
    text::{json, streams},
};

mod line;
mod table;

pub use line::Line;

/// The kernel reports no changes of sockets: they are listed this often, and when the network changes.
const PERIOD: &str = "2";

/// The arguments of `pinif sockets`.
#[derive(Args, Clone, Debug)]
pub struct SocketsArgs {
    /// A network namespace: a name, a path or a process id; may be repeated [default: this one]
    #[arg(long, value_name = "NAME", conflicts_with = "all_netns")]
    netns: Vec<String>,

    /// Every network namespace that has a name or a process in it
    #[arg(long)]
    all_netns: bool,

    /// Go on, and show what changes; look every SECONDS, and whenever interfaces, addresses or routes change
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = PERIOD,
        value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,

    /// How sockets are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// Runs `pinif sockets`.
///
/// # Errors
///
/// Where a namespace cannot be had, or the kernel refuses to list its sockets.
pub fn run(args: SocketsArgs) -> Result<ExitCode> {
    let namespaces = namespaces(&args)?;
    let mut shown = Shown::default();
    let first = survey(&namespaces)?;
    let outcome = shown.show(&first, args.format, args.watch.is_some());
    if let (Some(seconds), Ok(())) = (args.watch, &outcome) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot be started")?;
        let handle = runtime.handle().clone();
        let period = Duration::from_secs(seconds);
        let watched =
            runtime.block_on(watch(&namespaces, &handle, period, args.format, &mut shown));
        runtime.shutdown_background();
        return ended(watched);
    }
    ended(outcome)
}

/// Whoever read it may have read enough.
fn ended(outcome: Result<()>) -> Result<ExitCode> {
    match outcome {
        Err(error) if error.downcast_ref().is_some_and(streams::is_closed) => Ok(ExitCode::SUCCESS),
        outcome => outcome.map(|()| ExitCode::SUCCESS),
    }
}

fn namespaces(args: &SocketsArgs) -> Result<Vec<NetNs>> {
    let mut all = Vec::new();
    if args.all_netns {
        let census = Census::take(&[]).context("/proc cannot be read")?;
        for inode in census.inodes() {
            all.extend(census.open(inode)?);
        }
    } else if args.netns.is_empty() {
        all.push(NetNs::current()?);
    }
    for name in &args.netns {
        all.push(NetNs::named(name)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|netns| seen.insert(netns.cookie));
    Ok(all)
}

async fn watch(
    namespaces: &[NetNs],
    handle: &tokio::runtime::Handle,
    period: Duration,
    format: Format,
    shown: &mut Shown,
) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut watches = Vec::new();
    for netns in namespaces {
        watches.push(NetworkWatch::open(netns, handle)?.1);
    }
    let mut again = tokio::time::interval(period);
    again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let change =
            futures::future::select_all(watches.iter_mut().map(|watch| Box::pin(watch.next())));
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            () = streams::closed() => return Ok(()),
            _ = again.tick() => {}
            // What it is does not matter: all is read anew.
            _ = change => {}
        }
        shown.show(&survey(namespaces)?, format, true)?;
    }
}

/// What was shown last.
#[derive(Default)]
struct Shown {
    lines: BTreeMap<(String, u64), String>,
    table: String,
}

impl Shown {
    fn show(&mut self, sockets: &[SurveyedSocket], format: Format, go_on: bool) -> Result<()> {
        match format {
            Format::Json => self.show_lines(sockets),
            Format::Human => self.show_table(sockets, go_on),
        }
    }

    /// The sockets that are new or otherwise than they were, then those that are gone.
    fn show_lines(&mut self, sockets: &[SurveyedSocket]) -> Result<()> {
        let mut text = String::new();
        let mut now = BTreeMap::new();
        for socket in sockets {
            let key = (socket.netns.clone(), socket.cookie.0);
            let line = json::line(&Line::of(socket))?;
            if self.lines.get(&key) != Some(&line) {
                text.push_str(&line);
            }
            now.insert(key, line);
        }
        for key in self.lines.keys().filter(|key| !now.contains_key(*key)) {
            text.push_str(&json::line(&Line::gone(&key.0, key.1))?);
        }
        write(&text)?;
        self.lines = now;
        Ok(())
    }

    fn show_table(&mut self, sockets: &[SurveyedSocket], go_on: bool) -> Result<()> {
        let out = io::stdout();
        let mut table = table::render(
            sockets,
            Look::of(&out),
            crate::surfaces::look::columns(&out),
        );
        table.push_str(&sum(sockets));
        if table == self.table {
            return Ok(());
        }
        let before = if go_on && out.is_terminal() {
            // The cursor goes home, and all below it is cleared (ECMA-48, CUP and ED).
            "\x1b[H\x1b[J"
        } else if self.table.is_empty() {
            ""
        } else {
            "\n"
        };
        write(&format!("{before}{table}"))?;
        self.table = table;
        Ok(())
    }
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context(streams::UNWRITTEN)
}

/// How many there are of each risk, in a line.
fn sum(sockets: &[SurveyedSocket]) -> String {
    let mut text = crate::text::words::counted(sockets.len() as u64, "socket");
    for risk in Risk::ALL {
        let many = sockets.iter().filter(|socket| socket.risk == risk).count();
        if many != 0 {
            text.push_str(if text.contains(':') { ", " } else { ": " });
            text.push_str(&format!("{many} {}", risk.name()));
        }
    }
    text.push('\n');
    text
}
