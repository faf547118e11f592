//! Sockets with the processes that have them.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use anyhow::{Context as _, Result};
use rustix::process::geteuid;

use crate::{
    findings::process::Process,
    host::{
        netns::NetNs,
        processes::{self, ProcessId},
        socket_options::named_interfaces,
        sockets::{self, DiagSocket},
    },
};

/// `TCP_TIME_WAIT`: no process has it any more.
pub(super) const TIME_WAIT: u8 = 6;

/// The state of a socket that is closed: none of the kernel's.
pub const CLOSED: u8 = 0;

/// A TCP, UDP or raw socket, with the processes that have it.
#[derive(Clone, Debug)]
pub struct Owned {
    /// The socket.
    pub socket: DiagSocket,
    /// Its processes.
    pub processes: Vec<Process>,
    /// Of one that was closed, and of which nobody knows any more where it sent: the address that it sent from.
    pub sent_from: Option<IpAddr>,
}

impl Owned {
    /// Whether it may have an option that names an interface, and could not be asked for it. One of the kernel's own has no process,
    /// and no such option; where processes may not be looked into, none is known of any.
    pub fn may_name_an_interface(&self) -> bool {
        let socket = &self.socket;
        let is_known = self.processes.is_empty() && geteuid().is_root();
        socket.device.is_none() && socket.looks_at_options() && socket.named.is_none() && !is_known
    }

    /// Whether it is closed, and as an audit has seen it: the kernel's states begin at 1 (`TCP_ESTABLISHED`).
    pub fn is_closed(&self) -> bool {
        self.socket.state == CLOSED
    }

    /// The process that most likely sends by it: not the first one, which makes sockets for others and keeps its copy.
    pub fn holder(&self) -> Option<&Process> {
        let mut processes = self.processes.iter();
        processes
            .find(|process| process.pid != Some(1))
            .or(self.processes.first())
    }
}

/// The TCP, UDP and raw sockets of a namespace, with their processes.
///
/// # Errors
///
/// Where the namespace may not be entered, or the kernel refuses `sock_diag`.
pub fn owned(netns: &NetNs) -> Result<Vec<Owned>> {
    let sockets = sockets::list(netns).with_context(|| {
        format!(
            "the sockets of the network namespace {} cannot be read",
            netns.name
        )
    })?;
    let living = sockets
        .into_iter()
        .filter(|socket| socket.state != TIME_WAIT);
    Ok(with_owners(living.collect()))
}

/// Sockets with their processes.
pub fn with_owners(sockets: Vec<DiagSocket>) -> Vec<Owned> {
    let inodes = sockets.iter().map(|socket| socket.inode);
    let mut owners = Owners::of(&inodes.filter(|inode| *inode != 0).collect());
    own(sockets, &mut owners)
}

/// The same with owners that were looked for already: also what their options name is asked for.
pub(super) fn own(sockets: Vec<DiagSocket>, owners: &mut Owners) -> Vec<Owned> {
    let owned = |socket: DiagSocket| Owned {
        processes: owners.have(socket.inode),
        socket,
        sent_from: None,
    };
    let mut all: Vec<Owned> = sockets.into_iter().map(owned).collect();
    let asked = |owned: &Owned| {
        let socket = &owned.socket;
        let is_open = socket.device.is_none() && socket.looks_at_options();
        Some((socket.inode, owned.holder().filter(|_| is_open)?.id()?))
    };
    let mut named = named_interfaces(&all.iter().filter_map(asked).collect());
    for owned in &mut all {
        owned.socket.named = named.remove(&owned.socket.inode);
    }
    all
}

/// The processes that have sockets, each looked at once.
pub(super) struct Owners {
    holders: HashMap<u64, Vec<ProcessId>>,
    known: HashMap<ProcessId, Option<Process>>,
}

impl Owners {
    pub(super) fn of(inodes: &HashSet<u64>) -> Self {
        Self {
            holders: processes::holders(inodes),
            known: HashMap::new(),
        }
    }

    /// Those that have a socket.
    pub(super) fn have(&mut self, inode: u64) -> Vec<Process> {
        let ids = self.holders.get(&inode).into_iter().flatten();
        ids.filter_map(|id| {
            let known = self.known.entry(*id);
            known
                .or_insert_with(|| processes::describe(*id).map(Process::from))
                .clone()
        })
        .collect()
    }
}
