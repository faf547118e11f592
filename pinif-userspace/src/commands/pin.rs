//! `pinif pin`: the sockets of a running service's cgroup are bound to one device.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{complaint::complain, signals::Held};
use crate::{
    hold::{
        Target, cgroup,
        follow::refresh,
        report::PinReport,
        sockets::{self, Bound},
    },
    host::{
        capabilities, cgroups, kernel_types, namespaces::Census, netns::NetNs, network::Network,
    },
    kernel::pins::{self, NewPin, PinMaps},
    surfaces::Format,
    text::{
        escape::{visible, visible_path},
        json, streams,
    },
};

/// The arguments of `pinif pin`.
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["interface", "list", "undo", "refresh"]))]
pub struct PinArgs {
    /// Pin the cgroup to this interface, by its name
    #[arg(long, value_name = "NAME", requires = "cgroup")]
    interface: Option<String>,

    /// The cgroup, a directory of the v2 hierarchy; those below it are held as well
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,

    /// The network namespace that the interface is in: a name, a path or a process id [default: this one]
    #[arg(long, value_name = "NAME", requires = "interface")]
    netns: Option<String>,

    /// Let processes bind their sockets to another device
    #[arg(long, requires = "interface")]
    allow_rebind: bool,

    /// List the pins: what they are pinned to, and what they did
    #[arg(long)]
    list: bool,

    /// Undo the pin of the cgroup
    #[arg(long, requires = "cgroup")]
    undo: bool,

    /// Point the pin of the cgroup, or every pin, at the interface that has its name now
    #[arg(long)]
    refresh: bool,

    /// How pins are listed
    #[arg(long, value_enum, default_value_t = Format::Human, requires = "list")]
    format: Format,
}

/// Runs `pinif pin`.
///
/// # Errors
///
/// What it lacks, in a sentence with the fix.
pub fn run(args: PinArgs) -> Result<ExitCode> {
    if let Some(obstacle) = capabilities::obstacle(&capabilities::check()) {
        bail!("{obstacle}");
    }
    let cgroup = args.cgroup.as_deref().map(directory).transpose()?;
    match (args.interface, cgroup) {
        (Some(interface), Some(cgroup)) => {
            let target = Target {
                netns: match &args.netns {
                    Some(name) => NetNs::named(name)?,
                    None => NetNs::current()?,
                },
                interface,
                allow_rebind: args.allow_rebind,
            };
            pin(&target, &cgroup)?;
        }
        (None, Some(cgroup)) if args.undo => undo(&cgroup)?,
        (_, cgroup) => {
            let found = found(cgroup)?;
            if args.refresh {
                refresh_all(found)?;
            } else {
                list(&found, args.format)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn directory(named: &Path) -> Result<PathBuf> {
    cgroups::directory(named)?
        .canonicalize()
        .with_context(|| format!("the cgroup {} cannot be looked at", named.display()))
}

fn pin(target: &Target, cgroup: &Path) -> Result<()> {
    let root = cgroups::cgroup2_root()?;
    if cgroup == root {
        bail!(
            "the root cgroup holds every process of this machine, the one that would undo the pin among them; name one below {}",
            root.display()
        );
    }
    if let Some((held, maps)) = pins::nearest(cgroup, &root)? {
        return pinned_already(target, cgroup, &held, maps);
    }
    if let Some((below, account)) = pinned_below(cgroup)? {
        bail!(
            "the cgroup {}, which is below {}, is pinned to {}, and both would hold; undo that: `pinif pin --undo --cgroup {0}`",
            below.display(),
            cgroup.display(),
            visible(&account.interface)
        );
    }
    let network = Network::read(&target.netns)
        .with_context(|| format!("the interfaces of {} cannot be read", target.netns.name))?;
    let pin = target.pin(&network.links)?;
    let offsets = kernel_types::of_kernel()?.offsets_of_pins;
    let pinned = NewPin::load(pin, &target.aim(&network), &offsets)?;
    // A signal must not leave half a pin.
    let held = Held::new();
    pinned.attach(cgroup)?;
    let bound = sockets::bind(cgroup, &target.netns, &network, pin.interface);
    drop(held);
    let before = match bound {
        Ok(bound) => before(bound),
        Err(error) => format!(
            "; the sockets that were there cannot be looked for ({error}), but can send via no other either: restart the service"
        ),
    };
    streams::done(&format!(
        "{} is pinned to {}{}",
        cgroup.display(),
        target.interface,
        before
    ));
    Ok(())
}

fn before(bound: Bound) -> String {
    let are = |number| match number {
        1 => "one is".to_owned(),
        many => format!("{many} are"),
    };
    match bound {
        Bound { bound: 0, left: 0 } => String::new(),
        Bound { bound, left: 0 } => {
            format!(
                "; of the sockets that were there, {} bound to it",
                are(bound)
            )
        }
        Bound { bound, left } => format!(
            "; of the sockets that were there, {} bound to it, and {} not, but can send via no other either: restart the service",
            are(bound),
            are(left)
        ),
    }
}

/// The same pin once more is refreshed; another is an error.
fn pinned_already(target: &Target, cgroup: &Path, held: &Path, mut maps: PinMaps) -> Result<()> {
    let account = PinReport::read(held, &maps)?;
    let is_same = account.netns_cookie == target.netns.cookie.0
        && account.interface == target.interface
        && account.allow_rebind == target.allow_rebind;
    if is_same && held == cgroup {
        return refreshed(cgroup, &mut maps);
    }
    bail!(
        "the cgroup {} is pinned to {} already{}; undo that first: `pinif pin --undo --cgroup {0}`",
        held.display(),
        visible(&account.interface),
        if held == cgroup {
            ""
        } else {
            ", and those below it with it"
        }
    )
}

fn pinned_below(cgroup: &Path) -> Result<Option<(PathBuf, PinReport)>> {
    for below in cgroup::below(cgroup)? {
        if let Some(maps) = pins::on(&below)? {
            let account = PinReport::read(&below, &maps)?;
            return Ok(Some((below, account)));
        }
        if let Some(found) = pinned_below(&below)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn undo(cgroup: &Path) -> Result<()> {
    let account = match pins::on(cgroup) {
        Ok(Some(maps)) => PinReport::read(cgroup, &maps).ok(),
        // One of another version can be undone, though not read.
        Err(_) | Ok(None) => None,
    };
    let bound = account.as_ref().map(|account| {
        let netns = NetNsCookie(account.netns_cookie);
        let bound = sockets::bound_to(cgroup, netns, account.index.map(IfIndex));
        (account.interface.as_str(), bound)
    });
    let held = Held::new();
    let was_pinned = pins::detach(cgroup)?;
    drop(held);
    if !was_pinned {
        bail!(
            "the cgroup {} is not pinned; `pinif pin --list` shows those that are",
            cgroup.display()
        );
    }
    let sockets = bound.map_or_else(String::new, |(interface, bound)| match bound {
        Ok(bound) => stay(interface, &bound),
        Err(_) => format!("; its sockets stay bound to {interface} until they are closed"),
    });
    streams::done(&format!(
        "{} is no longer pinned{sockets}",
        cgroup.display()
    ));
    Ok(())
}

/// Which sockets stay bound: the first ones, and how many more.
fn stay(interface: &str, sockets: &[String]) -> String {
    const SHOWN: usize = 8;
    let (stay, closed) = match sockets.len() {
        0 => return String::new(),
        1 => ("1 socket stays".to_owned(), "it is closed"),
        many => (format!("{many} sockets stay"), "they are closed"),
    };
    let mut shown: Vec<_> = sockets.iter().take(SHOWN).cloned().collect();
    if sockets.len() > SHOWN {
        shown.push(format!("and {} more", sockets.len() - SHOWN));
    }
    let shown = shown.join(", ");
    format!("; {stay} bound to {interface} until {closed}: {shown}")
}

/// The pin of a cgroup, or all that there are.
fn found(cgroup: Option<PathBuf>) -> Result<Vec<(PathBuf, PinMaps)>> {
    if let Some(cgroup) = cgroup {
        let Some(maps) = pins::on(&cgroup)? else {
            bail!(
                "the cgroup {} is not pinned; `pinif pin --list` shows those that are",
                cgroup.display()
            );
        };
        return Ok(vec![(cgroup, maps)]);
    }
    let mut found = Vec::new();
    collect(&cgroups::cgroup2_root()?, &mut found)?;
    Ok(found)
}

fn collect(cgroup: &Path, found: &mut Vec<(PathBuf, PinMaps)>) -> Result<()> {
    match pins::on(cgroup) {
        Ok(maps) => found.extend(maps.map(|maps| (cgroup.to_owned(), maps))),
        // It went away while it was looked at.
        Err(_) if !cgroup.exists() => return Ok(()),
        Err(error) => return Err(error),
    }
    cgroup::below(cgroup)?
        .iter()
        .try_for_each(|below| collect(below, found))
}

/// Refreshes each pin. One that cannot be refreshed keeps no other from it, and is the error.
fn refresh_all(found: Vec<(PathBuf, PinMaps)>) -> Result<()> {
    let number = found.len();
    let mut failed = Vec::new();
    for (cgroup, mut maps) in found {
        if let Err(error) = refreshed(&cgroup, &mut maps) {
            failed.push(error);
        }
    }
    match failed.len() {
        0 => Ok(()),
        1 => failed.into_iter().try_for_each(Err),
        several => {
            for error in &failed {
                complain(error);
            }
            bail!("{several} of {number} pins cannot be refreshed")
        }
    }
}

fn refreshed(cgroup: &Path, maps: &mut PinMaps) -> Result<()> {
    let account = PinReport::read(cgroup, maps)?;
    let target = Target {
        netns: namespace(account.netns_cookie)?.with_context(|| {
            format!(
                "the network namespace of the pin of {} is gone; undo it: `pinif pin --undo --cgroup {0}`",
                cgroup.display()
            )
        })?,
        interface: account.interface,
        allow_rebind: account.allow_rebind,
    };
    let from = maps.pin()?.interface;
    let now = refresh(&target, maps, cgroup)?;
    let name = &target.interface;
    let shown = cgroup.display();
    streams::done(&if !now.is_some() {
        format!("{shown} is pinned to {name}, which is away: nothing leaves until it is back")
    } else if now == from {
        format!("{shown} is pinned to {name}, as before")
    } else {
        format!(
            "{shown} is pinned to {name}, which is interface {} now",
            now.0
        )
    });
    Ok(())
}

/// The namespace with a cookie, wherever it is mounted or has a process.
fn namespace(cookie: u64) -> Result<Option<NetNs>> {
    let own = NetNs::current()?;
    if own.cookie.0 == cookie {
        return Ok(Some(own));
    }
    let census = Census::take(&[]).context("/proc cannot be read")?;
    for inode in census.inodes() {
        // One that may not be entered is not this one, or cannot be refreshed.
        if let Ok(Some(netns)) = census.open(inode)
            && netns.cookie.0 == cookie
        {
            return Ok(Some(netns));
        }
    }
    Ok(None)
}

fn list(found: &[(PathBuf, PinMaps)], format: Format) -> Result<()> {
    if found.is_empty() && format != Format::Json {
        return streams::answer("no cgroup is pinned\n");
    }
    let mut text = String::new();
    for (cgroup, maps) in found {
        let account = PinReport::read(cgroup, maps)?;
        match format {
            Format::Json => text.push_str(&json::line(&account)?),
            Format::Human => {
                text.push_str(&visible_path(cgroup));
                text.push('\n');
                let away =
                    "the interface is away: nothing leaves until `pinif pin --refresh`".to_owned();
                let away = account.index.is_none().then_some(away);
                let mut lines = account.lines();
                // Those that were there when it was pinned are counted by nothing.
                if let (0, Some(first)) = (account.pinned, lines.first_mut()) {
                    let interface = visible(&account.interface);
                    *first = format!("pinned to {interface}; no socket was made since");
                }
                for line in lines.iter().chain(&away) {
                    text.push_str(&format!("  {line}\n"));
                }
            }
        }
    }
    streams::answer(&text)
}
