//! What a socket sends, as the decision wants it: the packet, and who sends it.

use std::{collections::HashMap, net::SocketAddr, path::Path};

use pinif_ebpf::{
    key::IfIndex,
    packet::Packet,
    policy::dimension,
    sighting::Origin,
    verdict::{Decision, Traffic},
};

use super::owned::Owned;
use crate::{
    host::{
        cgroups,
        executables::Mounts,
        processes::{self, ProcessId},
        routes::RouteResult,
        sockets::DiagSocket,
    },
    policy::evaluate::{FileId, InForce, Sender, Surroundings},
};

/// The packet that a socket would send there, but for a source address that routing chooses.
pub fn packet(socket: &DiagSocket, to: SocketAddr) -> Packet {
    let (from, ported) = (socket.local, !socket.raw);
    Packet {
        source: from.ip().into(),
        destination: to.ip().into(),
        source_port: if ported { from.port() } else { 0 },
        destination_port: if ported { to.port() } else { 0 },
        protocol: socket.protocol,
        later_fragment: false,
        icmp_type: 0,
        tos: 0,
    }
}

/// The packet as it would leave by a route.
pub fn routed(packet: &Packet, way: RouteResult) -> Packet {
    let mut packet = *packet;
    if packet.source.is_unspecified()
        && let Some(source) = way.source
    {
        packet.source = source.into();
    }
    packet
}

/// A socket, and who sends by it.
#[derive(Clone, Copy, Debug)]
pub struct SocketSender<'a> {
    /// The socket.
    pub owned: &'a Owned,
    /// As far as rules look at it.
    pub sender: &'a Sender,
}

impl SocketSender<'_> {
    /// The verdict on a packet of the socket that leaves by a route.
    pub fn verdict(
        &self,
        packet: &Packet,
        way: RouteResult,
        policy: &InForce,
        surroundings: &Surroundings,
    ) -> Decision {
        let packet = routed(packet, way);
        let traffic = Traffic {
            origin: origin(self.owned),
            bound: self.owned.socket.device.unwrap_or(IfIndex::NONE),
            names_interface: false,
            // sock_diag does not distinguish an address of bind() from one that connect() chose.
            bound_address: None,
            packet: Some(&packet),
            egress: way.output,
            heard: IfIndex::NONE,
        };
        policy.judge(&traffic, self.sender, surroundings)
    }
}

/// A socket that is some process's, or was until it was closed, or one of the kernel's own.
fn origin(owned: &Owned) -> Origin {
    if owned.processes.is_empty() && owned.socket.inode != 0 {
        Origin::Kernel
    } else {
        Origin::Process
    }
}

/// Who sends by each socket, as far as some rule looks at it.
pub fn senders(sockets: &[Owned], policy: &InForce) -> Vec<Sender> {
    let mut known = Known::default();
    let sender = |owned| known.sender(owned, policy);
    sockets.iter().map(sender).collect()
}

/// What was looked up already.
#[derive(Default)]
struct Known {
    cgroups: HashMap<u64, Option<String>>,
    programs: HashMap<ProcessId, Option<FileId>>,
}

impl Known {
    fn sender(&mut self, owned: &Owned, policy: &InForce) -> Sender {
        let is_process = origin(owned) == Origin::Process;
        let looked_at = |dimension| is_process && policy.looks_at(dimension);
        Sender {
            user: Some(owned.socket.uid),
            cgroup: looked_at(dimension::CGROUP)
                .then(|| self.cgroup(owned))
                .flatten(),
            executable: looked_at(dimension::EXECUTABLE)
                .then(|| self.program(owned))
                .flatten(),
        }
    }

    fn cgroup(&mut self, owned: &Owned) -> Option<String> {
        let made_in = owned.socket.cgroup.and_then(|id| {
            let path = self.cgroups.entry(id);
            path.or_insert_with(|| cgroups::cgroup_path(id)).clone()
        });
        made_in.or_else(|| owned.holder()?.cgroup.clone())
    }

    fn program(&mut self, owned: &Owned) -> Option<FileId> {
        let id = owned.holder()?.id()?;
        let file = || {
            let look = |directory: &_| program(directory, &Mounts::of(id.pid));
            processes::looked_at(id, look).flatten()
        };
        *self.programs.entry(id).or_insert_with(file)
    }
}

/// The file that a process runs, whose directory of `/proc` this is.
fn program(directory: &Path, mounts: &Mounts) -> Option<FileId> {
    FileId::at(&directory.join("exe"), mounts).ok()
}
