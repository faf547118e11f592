//! `pinif run`: a command whose sockets are bound to one device from birth, and stay so.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    commands::complaint::complain,
    hold::{
        Target,
        cgroup::{self, CommandCgroup},
        follow::Follower,
        report::PinReport,
        sockets,
    },
    host::{capabilities, cgroups, kernel_types, netns::NetNs},
    kernel::pins::{self, Arrivals, NewPin, PinMaps},
    text::{escape::visible, json, streams::note},
};

mod child;
mod signals;

use child::{Child, End};

/// How long what has left is waited for, where a neighbour is asked for.
const PATIENCE: Duration = Duration::from_millis(100);

/// pinif itself failed, as env(1) has it.
pub const FAILED: u8 = 125;

/// The arguments of `pinif run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The interface that the sockets of COMMAND are bound to, by its name
    #[arg(long, value_name = "NAME")]
    interface: String,

    /// Run COMMAND in this network namespace: a name, a path or a process id [default: this one]
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,

    /// Let COMMAND bind its sockets to another device
    #[arg(long)]
    allow_rebind: bool,

    /// Make the command's cgroup below this one [default: the one that pinif is in]
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,

    /// How to report at the end, on standard error, what was pinned and what left
    #[arg(long, value_enum, default_value_t = Report::Human)]
    report: Report,

    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// How to report at a command's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Report {
    /// In lines for a person
    Human,
    /// As one line of JSON
    Json,
    /// Not at all
    None,
}

/// Runs `pinif run`. The exit status is COMMAND's; where COMMAND was ended by a signal, pinif ends by the same. As of
/// env(1), it is 125 where pinif failed, 126 where COMMAND cannot be executed, and 127 where there is none.
pub fn run(args: RunArgs) -> ExitCode {
    let status = held(&args).unwrap_or_else(|error| {
        complain(&error);
        FAILED
    });
    ExitCode::from(status)
}

fn held(args: &RunArgs) -> Result<u8> {
    // Before pinif opens anything of its own.
    let handed = sockets::handed();
    if let Some(obstacle) = capabilities::obstacle(&capabilities::check()) {
        bail!("{obstacle}");
    }
    let target = Target {
        netns: match &args.netns {
            Some(name) => NetNs::named(name)?,
            None => NetNs::current()?,
        },
        interface: args.interface.clone(),
        allow_rebind: args.allow_rebind,
    };
    let follower = Follower::open(target.clone())?;
    let network = follower.network();
    let pin = target.pin(&network.links)?;
    let parent = parent(args.cgroup.as_deref())?;
    refuse_nesting(&parent, &target)?;
    // Before there is anything that a signal would leave behind.
    let signals = signals::Signals::block()?;
    let own = CommandCgroup::make(&parent)?;
    let offsets = kernel_types::of_kernel()?.offsets_of_pins;
    let mut new = NewPin::load(pin, &target.aim(network), &offsets)?;
    // Without it, what went to the device is what is reported.
    let arrivals = new.count_arrivals().ok();
    let maps = new.attach(own.path())?;
    if args.report != Report::None {
        for socket in &handed {
            note(&format!(
                "{}: it is not pinned, and not held",
                phrase(socket)
            ));
        }
    }

    if let Some(signal) = signals.fatal()? {
        left_behind(own, args.report);
        return Ok(signals::end_by(signal));
    }
    let child = match Child::start(&args.command, &target.netns, own.path(), &signals) {
        Ok(child) => child,
        Err(child::StartError::Command(error)) => {
            let name = args.command[0].to_string_lossy();
            note(&format!("cannot run {name}: {error}"));
            return Ok(if error.kind() == io::ErrorKind::NotFound {
                127
            } else {
                126
            });
        }
        Err(child::StartError::Pinif(error)) => return Err(error),
    };
    follower.follow(maps, own.path().to_owned())?;
    let end = child.wait(&signals)?;
    report(args.report, own.path(), arrivals.as_ref());
    left_behind(own, args.report);
    Ok(match end {
        End::Exited(status) => status,
        End::Signalled(signal) => signals::end_by(signal),
    })
}

/// The cgroup below which the command's is made.
fn parent(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(named) => Ok(cgroups::directory(named)?.canonicalize()?),
        None => cgroup::own(),
    }
}

/// Within a pin, a further one to another interface would let nothing leave: both hold.
fn refuse_nesting(parent: &Path, target: &Target) -> Result<()> {
    let root = cgroups::cgroup2_root()?;
    let Some((above, maps)) = pins::nearest(parent, &root)? else {
        return Ok(());
    };
    let pin = maps.pin()?;
    let account = PinReport::read(&above, &maps)?;
    if pin.netns == target.netns.cookie && account.interface == target.interface {
        return Ok(());
    }
    bail!(
        "what is run in the cgroup {} is pinned to {} already, and cannot be pinned to {} as well; name a cgroup that is not \
         pinned with --cgroup",
        above.display(),
        visible(&account.interface),
        visible(&target.interface)
    )
}

fn phrase(socket: &sockets::Handed) -> String {
    let local = match socket.local {
        Some(local) => format!(" at {local}"),
        None => String::new(),
    };
    format!(
        "descriptor {}, a {} socket{local}, was handed in",
        socket.descriptor, socket.kind
    )
}

fn report(how: Report, cgroup: &Path, arrivals: Option<&Arrivals>) {
    let read = || {
        let maps = pins::on(cgroup)?;
        maps.map(|maps| counted(cgroup, &maps, arrivals))
            .transpose()
    };
    let account = match read() {
        Ok(Some(account)) => account,
        Ok(None) => {
            return note(
                "the pin was undone while the command ran: its sockets were held no longer",
            );
        }
        Err(error) => return note(&format!("what was counted cannot be read: {error:#}")),
    };
    match how {
        Report::Human => account.lines().iter().for_each(|line| note(line)),
        Report::Json => {
            if let Ok(line) = json::line(&account) {
                // The command is what counts, whoever reads of it.
                let _ = io::stderr().write_all(line.as_bytes());
            }
        }
        Report::None => {}
    }
}

/// What was counted. A neighbour may answer a moment after the command has ended: what waits for it is given that moment.
fn counted(cgroup: &Path, maps: &PinMaps, arrivals: Option<&Arrivals>) -> Result<PinReport> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut report = PinReport::read(cgroup, maps)?;
        if let Some(arrivals) = arrivals {
            report = report.with_arrivals(&arrivals.packets()?);
        }
        if report.missing() == 0 || Instant::now() >= end {
            return Ok(report);
        }
        thread::sleep(PATIENCE / 20);
    }
}

/// Removes the cgroup, or reports the processes that are left in it. The pin stays with them: it is the cgroup's own.
fn left_behind(own: CommandCgroup, how: Report) {
    let cgroup = own.path().to_owned();
    let left = match own.remove() {
        Ok(left) => left,
        Err(error) => {
            let shown = cgroup.display();
            return note(&format!(
                "whether processes are left in the cgroup {shown} is unknown: {error}"
            ));
        }
    };
    if !left.is_empty() && how != Report::None {
        let (processes, go, their) = match left.len() {
            1 => ("one process".to_owned(), "goes", "it stays"),
            many => (format!("{many} processes"), "go", "they stay"),
        };
        note(&format!(
            "{processes} of the command {go} on, and {their} pinned, in the cgroup {}",
            cgroup.display()
        ));
    }
}
