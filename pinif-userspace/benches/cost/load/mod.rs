//! The load: what sends, in a process of its own, so that it can be in a namespace and a cgroup of its own.
//!
//! It learns what to be from one argument in JSON, says `ready`, and then sends for as many milliseconds as each line on
//! its standard input says, and reports after each what it did. It ends with its input.

mod alerts;
mod churn;
mod driver;
mod spoof;
mod tcp;
mod udp;
mod visits;
mod web;

use std::fs::{self, File};
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

pub use alerts::{Alert, Alerts};
pub use churn::Churn;
pub use driver::Load;
pub use spoof::Spoof;
pub use tcp::Tcp;
pub use udp::Udp;
pub use visits::{Server, Visits};
pub use web::Web;

/// Where a load runs, and what it sends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Order {
    /// The mount of its network namespace.
    pub netns: PathBuf,
    /// Its cgroup's directory.
    pub cgroup: PathBuf,
    /// What it sends.
    pub kind: Kind,
}

/// What a load sends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Kind {
    /// Datagrams.
    Udp(Udp),
    /// One connection's bytes.
    Tcp(Tcp),
    /// Sockets that are made, used once and closed.
    Churn(Churn),
    /// What answers short connections.
    Server(Server),
    /// Short connections.
    Visits(Visits),
    /// Short connections of a web server.
    Web(Web),
    /// Leaks, a socket each.
    Alerts(Alerts),
    /// Datagrams of flows whose sources are made up.
    Spoof(Spoof),
}

/// What a load did.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Sent {
    /// Packets that the kernel took; of TCP, writes; sockets or connections, of those that are short.
    pub count: u64,
    /// Bytes of payload that the kernel took.
    pub bytes: u64,
    /// Nanoseconds that went by.
    pub elapsed: u64,
    /// Nanoseconds that this process, and what it has started, was on its processor meanwhile: what others take of it makes this no longer. The kernel
    /// counts among them what it does for arriving packets in between, unless it was built with `IRQ_TIME_ACCOUNTING`.
    pub busy: u64,
    /// The leaks that are to be reported.
    pub alerts: Vec<Alert>,
}

/// Something that sends until a moment.
trait Sender {
    /// Sends, and adds what it sent.
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()>;
}

/// Runs a load, as the child of a bench.
///
/// # Errors
/// Where the order is wrong, or the kernel refuses a socket.
pub fn run(order: &str) -> Result<()> {
    let order: Order = serde_json::from_str(order).context("the order of this load is no order")?;
    fs::write(order.cgroup.join("cgroup.procs"), "0")
        .with_context(|| format!("cannot enter the cgroup {}", order.cgroup.display()))?;
    enter(&order.netns)?;
    // Leaks are reported in time whatever else sends at full rate.
    if !matches!(order.kind, Kind::Alerts(_)) {
        run_on_first_processor();
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let mut sender: Box<dyn Sender> = match order.kind {
        Kind::Udp(udp) => Box::new(udp.open()?),
        Kind::Tcp(tcp) => Box::new(tcp.open()?),
        Kind::Churn(churn) => Box::new(churn.open()?),
        Kind::Server(server) => Box::new(server.open()?),
        Kind::Visits(visits) => Box::new(visits.open()?),
        Kind::Web(web) => Box::new(web.open()?),
        Kind::Alerts(alerts) => Box::new(alerts.open()?),
        Kind::Spoof(spoof) => Box::new(spoof.open()?),
    };
    println!("ready");
    for line in io::stdin().lock().lines() {
        let milliseconds = line?.trim().parse().context("no number of milliseconds")?;
        let sent = measure(sender.as_mut(), Duration::from_millis(milliseconds))?;
        println!("{}", serde_json::to_string(&sent)?);
        io::stdout().flush()?;
    }
    Ok(())
}

fn measure(sender: &mut dyn Sender, time: Duration) -> Result<Sent> {
    let mut sent = Sent::default();
    let busy = busy();
    let start = Instant::now();
    sender
        .send_until(start + time, &mut sent)
        .context("the kernel does not take what is sent")?;
    sent.elapsed = start.elapsed().as_nanos() as u64;
    sent.busy += (self::busy() - busy).as_nanos() as u64;
    Ok(sent)
}

/// How long this process was on a processor.
fn busy() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// Moves the calling thread to a network namespace.
fn enter(netns: &Path) -> Result<()> {
    let enter = || -> Result<()> { Ok(setns(File::open(netns)?, CloneFlags::CLONE_NEWNET)?) };
    enter().with_context(|| format!("cannot enter the network namespace {}", netns.display()))
}

/// Keeps this process on one processor, with what it starts from now on: it is not moved within a sample, and its other
/// ends do not run beside it.
fn run_on_first_processor() {
    let mut set = CpuSet::new();
    if set.set(0).is_ok() {
        // It may be another's alone; then the samples are less even.
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}
