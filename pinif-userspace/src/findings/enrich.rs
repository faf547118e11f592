//! From a decoded sighting to a finding in the reader's words: names for numbers, the process, the cause, the mend.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::SystemTime,
};

use pinif_ebpf::{
    intent,
    key::{IfIndex, SocketCookie},
    sighting::{self, Count},
    verdict::{Kind, KindSet},
};

use super::{
    cause::{LookUp, Scene, causes},
    decode::{Owner, Sighted},
    explain::{Circumstance, cause_text},
    finding::{
        Direction, Finding, FindingId, Origin, Process, endpoint_text, protocol_text, time_text,
    },
    samples::Samples,
    subject,
};
use crate::host::{netns::NetNs, processes, sockets};

impl From<sighting::Origin> for Origin {
    fn from(origin: sighting::Origin) -> Self {
        match origin {
            sighting::Origin::Process => Self::Socket,
            sighting::Origin::Kernel => Self::Kernel,
            sighting::Origin::None => Self::None,
        }
    }
}

/// The finding that begins with a sighting, of a socket that this process has.
pub fn finding(
    id: FindingId,
    sighted: &Sighted,
    process: Option<Process>,
    count: Count,
    time: SystemTime,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Finding {
    let name = |index: IfIndex| (scene.name)(index);
    let rule = sighted.rule.and_then(|rule| scene.policy.rules.get(rule));
    let (protocol, source, destination) = match &sighted.headers {
        Some(headers) => (
            protocol_text(headers.protocol),
            endpoint_text(headers.source, headers.source_port),
            endpoint_text(headers.destination, headers.destination_port),
        ),
        None => Default::default(),
    };
    let causes = causes(sighted, scene, look_up);
    let bound_device = sighted.bound.map(name);
    let egress_interface = name(sighted.egress);
    let owner = source_owner(sighted, scene);
    let source_owner = owner.map(name);
    let contained_zone = owner.and_then(|owner| contained_zone(owner, scene));
    let only_via: Vec<String> = rule.map_or_else(Vec::new, |rule| {
        let zone = |&zone: &usize| scene.policy.zones[zone].name.clone();
        rule.only_via.iter().map(zone).collect()
    });
    let allowed = scene.allowed(sighted);
    let only_via_interfaces: Vec<String> = allowed.iter().map(|link| link.name.clone()).collect();
    let words = Circumstance {
        also: &sighted.also,
        protocol: &protocol,
        source: &source,
        destination: &destination,
        origin: sighted.origin.into(),
        process: process.as_ref().map(|process| process.comm.as_str()),
        bound_device: bound_device.as_deref(),
        source_owner: source_owner.as_deref(),
        contained_zone: contained_zone.as_deref(),
        rule: rule.map(|rule| rule.name.as_str()),
        only_via: &only_via,
        only_via_interfaces: &only_via_interfaces,
        dropped: sighted.dropped,
        causes: &causes,
        ..Circumstance::new(sighted.kind, &egress_interface)
    };
    let subject = subject::of(&sighted.subject, process.as_ref(), scene.name);
    let mut explanation = words.explanation();
    explanation.extend(subject::stands_for(&subject));
    Finding {
        id: id.to_string(),
        time: time_text(time),
        kind: sighted.kind,
        severity: sighted.severity,
        rule: KindSet::OF_RULES
            .contains(sighted.kind)
            .then(|| rule.map(|rule| rule.name.clone()))
            .flatten(),
        netns: scene.netns.to_owned(),
        direction: Direction::of(sighted.kind),
        bound_device: bound_device.clone(),
        bound_address: sighted.bound_address.map(|address| address.to_string()),
        egress_interface: egress_interface.clone(),
        cause: cause_text(&causes),
        explanation,
        remedy: words.remedy(),
        protocol,
        source,
        destination,
        packets: count.packets,
        bytes: count.bytes,
        socket_cookie: sighted.socket.map(|cookie| cookie.0),
        process,
        subject: Some(subject),
        samples: Samples::default(),
        origin: sighted.origin.into(),
        dropped: sighted.dropped,
    }
}

/// The interface that alone has the address that the finding speaks of.
fn source_owner(sighted: &Sighted, scene: &Scene<'_>) -> Option<IfIndex> {
    if sighted.kind == Kind::IngressEscape {
        // Of what arrived, the destination address is meant, not the one that its taker is bound to.
        return sighted.source_owner;
    }
    sighted.source_owner.or_else(|| {
        sighted
            .bound_address
            .and_then(|address| scene.network.sole_owner(address))
    })
}

fn contained_zone(interface: IfIndex, scene: &Scene<'_>) -> Option<String> {
    let zones = scene.policy.zones_of(&(scene.name)(interface));
    scene
        .policy
        .zones
        .iter()
        .enumerate()
        .find(|&(number, zone)| zone.contained && zones.contains(number))
        .map(|(_, zone)| zone.name.clone())
}

/// The process that the hooks take to have the socket: as it is now, or, if it is gone, as they knew it.
pub fn process(sighted: &Sighted) -> Option<Process> {
    sighted.owner.as_ref().and_then(known)
}

/// The process that the kernel takes to have a socket: the same.
pub fn owner(owner: &intent::Owner) -> Option<Process> {
    known(&Owner::decode(owner))
}

fn known(owner: &Owner) -> Option<Process> {
    let pid = owner.pid?;
    let now = |now: processes::Process| Process {
        pid,
        comm: now.comm,
        exe: now.exe,
        uid: owner.uid,
        cgroup: now.cgroup,
    };
    Some(
        processes::describe_if(pid, owner.started)
            .map(now)
            .unwrap_or_else(|| Process {
                pid,
                comm: owner.comm.clone(),
                exe: None,
                uid: owner.uid,
                cgroup: processes::cgroup_path(owner.cgroup),
            }),
    )
}

/// A socket, and the process that the hooks take to have it.
#[derive(Clone, Debug)]
pub struct Suspect {
    netns: NetNs,
    socket: Option<SocketCookie>,
    inode: Option<u64>,
    protocol: u8,
    pid: Option<u32>,
    uid: u32,
}

impl Suspect {
    /// The inode of the socket, by which processes hold it. Where the packet did not tell it, it is looked for only if the
    /// process is not known or gone.
    fn inode(&self) -> Option<u64> {
        let is_there = |pid| Path::new(&format!("/proc/{pid}")).exists();
        match self.inode {
            None if !self.pid.is_some_and(is_there) => {
                sockets::inode_of(&self.netns, self.socket?, self.protocol).ok()?
            }
            known => known,
        }
    }
}

/// Whose process is to be looked for among those that have the socket now. Nothing where no process can have it.
pub fn suspect(sighted: &Sighted, netns: &NetNs) -> Option<Suspect> {
    let owner = sighted.owner.as_ref()?;
    Some(Suspect {
        netns: netns.clone(),
        socket: sighted.socket,
        inode: sighted.socket_inode,
        protocol: sighted.headers.map_or(0, |headers| headers.protocol),
        // The first process makes sockets for others, and keeps its copy.
        pid: owner.pid.filter(|&pid| pid != 1),
        uid: owner.uid,
    })
}

/// The processes that have the sockets, where these are others than was thought. May take a while on a large machine.
pub fn holders(suspects: &[Suspect]) -> Vec<Option<Process>> {
    let mut sockets: HashMap<u32, HashSet<u64>> = HashMap::new();
    let mut has = |pid: u32, inode: u64| {
        let held = sockets.entry(pid);
        held.or_insert_with(|| processes::sockets_of(pid))
            .contains(&inode)
    };
    let wanted: Vec<Option<u64>> = suspects
        .iter()
        .map(|suspect| {
            let inode = suspect.inode()?;
            let is_right = suspect.pid.is_some_and(|pid| has(pid, inode));
            (!is_right).then_some(inode)
        })
        .collect();
    let inodes: HashSet<u64> = wanted.iter().copied().flatten().collect();
    let found = if inodes.is_empty() {
        HashMap::new()
    } else {
        processes::holders(&inodes)
    };
    let holder = |(suspect, inode): (&Suspect, Option<u64>)| {
        let mut pids = found.get(&inode?)?.iter().filter(|&&pid| pid != 1);
        let now = pids.find_map(|&pid| processes::describe(pid))?;
        Some(Process {
            pid: now.pid,
            comm: now.comm,
            exe: now.exe,
            uid: suspect.uid,
            cgroup: now.cgroup,
        })
    };
    suspects.iter().zip(wanted).map(holder).collect()
}
