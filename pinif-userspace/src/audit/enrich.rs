//! From a decoded sighting to a finding in the reader's words: names for numbers, the process, the cause, the mend.

use std::time::SystemTime;

use pinif_ebpf::{
    key::IfIndex,
    sighting::{self, Count},
    verdict::Kind,
};

use super::{
    cause::{LookUp, Scene, causes},
    decode::{Owner, Sighted},
    explain::{Circumstance, cause_text},
    finding::{Finding, FindingId, Origin, Process, endpoint_text, protocol_text, time_text},
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

/// The finding that begins with a sighting.
pub fn finding(
    id: FindingId,
    sighted: &Sighted,
    count: Count,
    time: SystemTime,
    netns: &str,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Finding {
    let name = |index: IfIndex| (scene.name)(index);
    let process = sighted.owner.as_ref().and_then(process);
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
        causes: &causes,
        ..Circumstance::new(sighted.kind, &egress_interface)
    };
    Finding {
        id: id.to_string(),
        time: time_text(time),
        kind: sighted.kind,
        severity: sighted.severity,
        rule: breaks_rule(sighted.kind)
            .then(|| rule.map(|rule| rule.name.clone()))
            .flatten(),
        netns: netns.to_owned(),
        bound_device: bound_device.clone(),
        bound_address: sighted.bound_address.map(|address| address.to_string()),
        egress_interface: egress_interface.clone(),
        cause: cause_text(&causes),
        explanation: words.explanation(),
        remedy: words.remedy(),
        protocol,
        source,
        destination,
        packets: count.packets,
        bytes: count.bytes,
        socket_cookie: sighted.socket.map(|cookie| cookie.0),
        process,
        origin: sighted.origin.into(),
    }
}

/// Whether a finding of this kind is one for the rule that decided.
const fn breaks_rule(kind: Kind) -> bool {
    matches!(kind, Kind::PolicyEscape | Kind::Unpinned)
}

/// The interface that alone has the address that the finding speaks of.
fn source_owner(sighted: &Sighted, scene: &Scene<'_>) -> Option<IfIndex> {
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

/// The process as it is now, or, if it is gone, as the hooks knew it.
fn process(owner: &Owner) -> Option<Process> {
    let pid = owner.pid?;
    let known = |now: processes::Process| Process {
        pid,
        comm: now.comm,
        exe: now.exe,
        uid: owner.uid,
        cgroup: now.cgroup,
    };
    Some(
        processes::describe(pid)
            .map(known)
            .unwrap_or_else(|| Process {
                pid,
                comm: owner.comm.clone(),
                exe: None,
                uid: owner.uid,
                cgroup: processes::cgroup_path(owner.cgroup),
            }),
    )
}

/// Whether it is worth while to look for the processes that hold the socket now: the one that the hooks knew is gone,
/// unknown, or the first, which makes sockets for others.
pub fn owner_is_doubtful(sighted: &Sighted) -> bool {
    let alive = |pid: u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    match sighted.owner.as_ref().map(|owner| owner.pid) {
        Some(Some(pid)) => pid == 1 || !alive(pid),
        Some(None) => true,
        None => false,
    }
}

/// The process that holds the socket, looked for among all. May take a while on a large machine.
pub fn holder(sighted: &Sighted, netns: &NetNs) -> Option<Process> {
    let inode = sighted.socket_inode.or_else(|| {
        let protocol = sighted.headers?.protocol;
        sockets::inode_of(netns, sighted.socket?, protocol).ok()?
    })?;
    let now = processes::holders(inode)
        .into_iter()
        .filter(|&pid| pid != 1)
        .find_map(processes::describe)?;
    Some(Process {
        pid: now.pid,
        comm: now.comm,
        exe: now.exe,
        uid: sighted.owner.as_ref().map_or(now.uid, |owner| owner.uid),
        cgroup: now.cgroup,
    })
}
