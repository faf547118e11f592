//! Programs that stand where pinif's do: the least that such a program can be, and what others attach.

use anyhow::Result;

use crate::bpf::{
    Attached, Hook, Instruction, Link, Map, MapKind, Program, assemble, naming, peers,
};
use crate::site::Site;

/// What [`restriction`] is.
pub const RESTRICTION: &str = "systemd's RestrictNetworkInterfaces=";
/// What [`flows`] is.
pub const FLOWS: &str = "a table of flows";
/// What [`recognizing`] is.
pub const RECOGNIZING: &str = "the least that recognizes copies";
/// What [`naming()`] is.
pub const NAMING: &str = "the least that names whose copies they are";
/// What [`placed_once`] is.
pub const ONCE: &str = "the least that is loaded once for all namespaces";
/// As many as pinif has room for of sockets that are there, and of closed ones.
const SOCKETS: (u32, u32) = (262_144, 32_768);
/// More than any namespace of a site has.
const MOST_INTERFACES: u32 = 64;
/// How many flows are kept: more than any load has.
const MOST_FLOWS: u32 = 262_144;

/// The hooks on system calls where pinif's programs are, of IPv4.
pub const HOOKS: [Hook; 6] = [
    Hook::CREATE,
    Hook::SETSOCKOPT,
    Hook::POST_BIND4,
    Hook::CONNECT4,
    Hook::SENDMSG4,
    Hook::RELEASE,
];

/// An attached program; detached when dropped.
#[derive(Debug)]
pub struct Placed {
    /// Which one, and where.
    pub attached: Attached,
    _program: Program,
    _links: Vec<Link>,
    /// What it goes on with: a program array forgets its programs once no process holds it.
    _behind: Option<(Map, Program)>,
}

impl Placed {
    /// Attaches a program to the egress of all links of a site's card, or to its cgroup.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(site: &Site, hook: Hook, instructions: &[Instruction]) -> Result<Self> {
        let program = Program::load(hook, instructions)?;
        Ok(Self {
            attached: Attached {
                program: program.id(),
                hook,
            },
            _links: site.attach(&program, hook)?,
            _program: program,
            _behind: None,
        })
    }
}

/// The least at the egress and at each hook: what is stored with each socket is made at `socket()`, and found everywhere else.
///
/// # Errors
/// Where the kernel refuses.
pub fn least(site: &Site) -> Result<Vec<Placed>> {
    place_least(site, None)
}

/// The same with what recognizes the copy of a packet, which has no socket: by an entry in a table of the sockets that are there, made with the
/// socket's first packet, which the close moves to a table of closed sockets.
///
/// # Errors
/// Where the kernel refuses.
pub fn recognizing(site: &Site) -> Result<Vec<Placed>> {
    let (sockets, closed) = SOCKETS;
    let sockets = Map::new(MapKind::Hash, 24, sockets)?;
    let closed = Map::new(MapKind::LruHash, 24, closed)?;
    place_least(site, Some((&sockets, &closed)))
}

/// The same with what a finding of a copy names: who made the socket is read at `socket()`, and is in the tables. What it keeps is as long as
/// what pinif does.
///
/// # Errors
/// Where the kernel refuses.
pub fn naming(site: &Site) -> Result<Vec<Placed>> {
    let (sockets, closed) = SOCKETS;
    let records = Map::with_values(MapKind::SocketStorage, 4, naming::RECORD, 0)?;
    let counter = Map::new(MapKind::PerCpuArray, 4, 1)?;
    let sockets = Map::with_values(MapKind::Hash, naming::KEY, naming::VALUE, sockets)?;
    let closed = Map::with_values(MapKind::LruHash, naming::KEY, naming::VALUE, closed)?;
    let mut placed = Vec::new();
    for hook in HOOKS {
        let program = match hook {
            Hook::CREATE => naming::write_maker(&records),
            Hook::RELEASE => naming::move_closed(&records, &sockets, &closed),
            _ => assemble::storage_at(hook, &records),
        };
        placed.push(Placed::new(site, hook, &program)?);
    }
    let program = naming::enter_once(&records, &counter, &sockets);
    placed.push(Placed::new(site, Hook::EGRESS, &program)?);
    Ok(placed)
}

/// The least of a program that is loaded once, whatever the number of namespaces, and has a policy that changes while it runs: as pinif's, each
/// namespace has a program of its own that writes a word for this one, which reads that, and which policy is in force.
///
/// # Errors
/// Where the kernel refuses.
pub fn placed_once(site: &Site) -> Result<Vec<Placed>> {
    let stored = Map::new(MapKind::SocketStorage, 4, 0)?;
    let counter = Map::new(MapKind::PerCpuArray, 4, 1)?;
    let namespace = Map::new(MapKind::PerCpuArray, 4, 1)?;
    let in_force = Map::new(MapKind::Array, 4, 1)?;
    let program = assemble::all([
        assemble::look_up(&in_force),
        assemble::look_up(&namespace),
        assemble::least(&stored, &counter),
    ]);
    let program = Program::load(Hook::EGRESS, &program)?;
    let programs = Map::new(MapKind::Programs, 4, 1)?;
    programs.enter_program(&program)?;
    let entry = assemble::all([
        assemble::look_up(&namespace),
        assemble::tail_call(&programs),
    ]);
    let mut placed = place_at_hooks(site, &stored, None)?;
    placed.push(Placed {
        _behind: Some((programs, program)),
        ..Placed::new(site, Hook::EGRESS, &entry)?
    });
    Ok(placed)
}

fn place_least(site: &Site, tables: Option<(&Map, &Map)>) -> Result<Vec<Placed>> {
    let stored = Map::new(MapKind::SocketStorage, 4, 0)?;
    let counter = Map::new(MapKind::PerCpuArray, 4, 1)?;
    let mut placed = place_at_hooks(site, &stored, tables)?;
    let least = assemble::least(&stored, &counter);
    let program = match tables {
        Some((sockets, _)) => assemble::all([least, assemble::enter_cookie_once(&stored, sockets)]),
        None => least,
    };
    placed.push(Placed::new(site, Hook::EGRESS, &program)?);
    Ok(placed)
}

fn place_at_hooks(site: &Site, stored: &Map, tables: Option<(&Map, &Map)>) -> Result<Vec<Placed>> {
    let mut placed = Vec::new();
    for hook in HOOKS {
        let program = match tables {
            Some((sockets, closed)) if hook == Hook::RELEASE => {
                assemble::move_cookie(stored, sockets, closed)
            }
            _ => assemble::storage_at(hook, stored),
        };
        placed.push(Placed::new(site, hook, &program)?);
    }
    Ok(placed)
}

/// What systemd attaches to a cgroup for `RestrictNetworkInterfaces=`, with all links allowed, of each namespace that a load is in.
///
/// # Errors
/// Where the kernel refuses.
pub fn restriction(site: &Site) -> Result<Vec<Placed>> {
    let allowed = Map::with_values(MapKind::Hash, 4, 1, MOST_INTERFACES)?;
    for index in 1..=MOST_INTERFACES {
        allowed.enter(&index.to_ne_bytes())?;
    }
    let program = peers::allow_interfaces(&allowed);
    [Hook::CGROUP_EGRESS, Hook::CGROUP_INGRESS]
        .into_iter()
        .map(|hook| Placed::new(site, hook, &program))
        .collect()
}

/// A program at the egress that keeps flows in a hash table, as agents do that export them.
///
/// # Errors
/// Where the kernel refuses.
pub fn flows(site: &Site) -> Result<Vec<Placed>> {
    let flows = Map::with_values(
        MapKind::Hash,
        peers::FLOW_KEY,
        peers::FLOW_VALUE,
        MOST_FLOWS,
    )?;
    let program = peers::count_flow(&flows);
    Ok(vec![Placed::new(site, Hook::EGRESS, &program)?])
}
