//! `pinif sockets`: every socket, and the interface that it would leave via now.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::unmatched;
use crate::{
    collector::fail_on::{FailOn, exit_status},
    host::{
        namespaces::{Census, Enter},
        netns::NetNs,
        network::NetworkWatch,
    },
    surfaces::{
        Format,
        look::{Look, columns},
    },
    survey::{Line, Query, Survey, survey},
    text::{json, streams},
};

mod filter;
mod table;

use filter::Filter;

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

    #[command(flatten)]
    filter: Filter,

    /// Go on, and show what changes; look every SECONDS, and whenever interfaces, addresses or routes change
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = PERIOD,
        value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,

    /// How sockets are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// The severity from which on a socket makes the exit status 2
    #[arg(long, value_enum, default_value_t = FailOn::Risk)]
    fail_on: FailOn,
}

/// Runs `pinif sockets`. The exit status is that of an audit: 0 nothing at or over `--fail-on` among what was shown last, 2 a socket at or
/// over it, 3 there are sockets that the kernel does not list.
///
/// # Errors
///
/// Where a namespace cannot be had, or the kernel refuses to list its sockets.
pub fn run(args: SocketsArgs) -> Result<ExitCode> {
    let mut shown = Shown {
        namespaces: namespaces(&args)?,
        wanted: Query::from(&args.filter),
        filter: args.filter,
        format: args.format,
        goes_on: args.watch.is_some(),
        lines: BTreeMap::new(),
        table: String::new(),
        status: 0,
        fail_on: args.fail_on,
    };
    let mut outcome = shown.look();
    if let (Some(seconds), Ok(())) = (args.watch, &outcome) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot be started")?;
        let handle = runtime.handle().clone();
        let period = Duration::from_secs(seconds);
        outcome = runtime.block_on(watch(&handle, period, &mut shown));
        runtime.shutdown_background();
    }
    match outcome {
        // Whoever read it may have read enough.
        Err(error) if error.downcast_ref().is_some_and(streams::is_closed) => Ok(ExitCode::SUCCESS),
        outcome => outcome.map(|()| ExitCode::from(shown.status)),
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

async fn watch(handle: &tokio::runtime::Handle, period: Duration, shown: &mut Shown) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut watches = Vec::new();
    for netns in &shown.namespaces {
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
        shown.look()?;
    }
}

/// What is shown, and was shown last.
struct Shown {
    namespaces: Vec<NetNs>,
    wanted: Query,
    filter: Filter,
    format: Format,
    goes_on: bool,
    fail_on: FailOn,
    lines: BTreeMap<(String, u64), String>,
    /// The table, or the line of what is not listed.
    table: String,
    /// The exit status of what was shown last.
    status: u8,
}

impl Shown {
    fn look(&mut self) -> Result<()> {
        let mut all = survey(&self.namespaces)?;
        let why = match all.sockets.iter().any(|socket| self.wanted.takes(socket)) {
            true => None,
            false => self.filter.unmatched(&all.sockets),
        };
        all.sockets.retain(|socket| self.wanted.takes(socket));
        let severities = all.sockets.iter().map(|socket| socket.risk.severity());
        let worst = severities.max().flatten();
        self.status = exit_status(self.fail_on, worst, all.unlisted_raw > 0);
        match self.format {
            Format::Json => {
                if !self.goes_on {
                    unmatched::note(why.as_deref());
                }
                self.show_lines(&all)
            }
            Format::Human => self.show_table(&all, why),
        }
    }

    /// The sockets that are new or otherwise than they were, then those that are gone.
    fn show_lines(&mut self, all: &Survey) -> Result<()> {
        let mut text = String::new();
        let mut now = BTreeMap::new();
        for socket in &all.sockets {
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
        let unlisted =
            (all.unlisted_raw > 0).then(|| json::line(&Line::unlisted(all.unlisted_raw)));
        let unlisted = unlisted.transpose()?.unwrap_or_default();
        if self.table != unlisted {
            text.push_str(&unlisted);
            self.table = unlisted;
        }
        streams::write(&text)?;
        self.lines = now;
        Ok(())
    }

    fn show_table(&mut self, all: &Survey, why: Option<String>) -> Result<()> {
        let out = io::stdout();
        let enter = match &self.namespaces[..] {
            [only] => Enter::of(only),
            _ => Enter::Own,
        };
        let table = table::render(all, why, &enter, Look::of(&out), columns(&out));
        if table == self.table {
            return Ok(());
        }
        let before = if self.goes_on && out.is_terminal() {
            // The cursor goes home, and all below it is cleared (ECMA-48, CUP and ED).
            "\x1b[H\x1b[J"
        } else if self.table.is_empty() {
            ""
        } else {
            "\n"
        };
        streams::write(&format!("{before}{table}"))?;
        self.table = table;
        Ok(())
    }
}
