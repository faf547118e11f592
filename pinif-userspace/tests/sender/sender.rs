//! `pinif-sender`: a process of its own that sends what a scenario wants, and prints what it really sent.
//!
//! It joins its cgroup and enters its network namespace before it makes any socket. With `--wait-stdin` it prints `ready`
//! and waits for a line; its last line is a JSON object ([`sent::Sent`]). It ends with whoever started it.

mod args;
mod compat;
mod datagram;
mod frame;
mod groups;
mod handed;
mod ring;
mod sandbox;
mod sent;
mod socket;
mod storm;
mod stream;
mod xdp;

use std::fs;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser as _;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use args::{Args, Traffic};

fn main() -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("cannot ask to end with the parent")?;
    let args = Args::parse();
    if let Some(cgroup) = &args.cgroup {
        join(cgroup)?;
    }
    if let Some(name) = &args.netns {
        enter(name)?;
    }
    let sent = match &args.traffic {
        Traffic::Udp(udp) => datagram::udp(udp, &args)?,
        Traffic::Raw(raw) => datagram::raw(raw, &args)?,
        Traffic::Ping(ping) => datagram::ping(ping, &args)?,
        Traffic::Packet(packet) => frame::packet(packet, &args)?,
        Traffic::Storm(storm) => storm::storm(storm, &args)?,
        Traffic::Xdp(packet) => xdp::xdp(packet, &args)?,
        Traffic::Tcp(tcp) => stream::tcp(tcp, &args)?,
        Traffic::RefuseBind(sandbox) => return sandbox::refuse_bind(sandbox),
        Traffic::Ring(how) => ring::ring(how)?,
        Traffic::Groups(how) => groups::groups(how)?,
        Traffic::HandOn(how) => return handed::hand_on(how, &args),
        Traffic::Given(given) => return handed::given(given),
    };
    println!("{}", serde_json::to_string(&sent)?);
    Ok(())
}

fn join(cgroup: &Path) -> Result<()> {
    let file = cgroup.join("cgroup.procs");
    fs::write(&file, std::process::id().to_string())
        .with_context(|| format!("cannot join {}", file.display()))
}

fn enter(name: &str) -> Result<()> {
    let path = Path::new("/run/netns").join(name);
    let file = fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET)
        .with_context(|| format!("cannot enter the network namespace {name}"))
}

/// Prints `word` on a line and waits for a line on standard input.
fn rendezvous(word: &str) -> Result<()> {
    println!("{word}");
    stdout().flush()?;
    stdin()
        .lock()
        .read_line(&mut String::new())
        .context("cannot wait for standard input")?;
    Ok(())
}
