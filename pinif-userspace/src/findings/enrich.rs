//! From a decoded sighting to a finding: names for interfaces and rules, the process, the cause.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use pinif_ebpf::{
    enforce::Action,
    intent,
    key::{IfIndex, SocketCookie},
    policy::ZoneSet,
    sample::Destination,
    sighting::{self, Count},
    verdict::{Kind, KindSet},
};

use super::{
    cause,
    decode::{Headers, Owner, Sighted},
    explain::{Cause, CauseKind},
    finding::{Finding, FindingId, PacketDirection, Place, Rule, SentBy},
    flow::{Endpoint, Flow},
    kinds,
    pool::Pool,
    process::Process,
    scene::{LookUp, Scene},
    shared::Shared,
    subject::{self, Subject},
    ways::Ways,
};
use crate::{
    host::{
        cgroups,
        netns::NetNs,
        processes::{self, ProcessId},
        sockets,
    },
    policy::membership,
};

impl From<sighting::Origin> for SentBy {
    fn from(origin: sighting::Origin) -> Self {
        match origin {
            sighting::Origin::Process => Self::Socket,
            sighting::Origin::Kernel => Self::Kernel,
            sighting::Origin::None => Self::None,
        }
    }
}

/// The finding that begins with a sighting, of a socket that this process has.
#[expect(clippy::too_many_arguments, reason = "each is a fact of its own")]
pub fn finding(
    id: FindingId,
    sighted: &Sighted,
    process: Option<Process>,
    count: Count,
    time: SystemTime,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
    shared: &mut Shared,
) -> Finding {
    let causes = if sighted.join {
        vec![joins(sighted, scene)]
    } else {
        (kinds::of(sighted.kind).causes)(sighted, scene, look_up)
    };
    let subject = subject(sighted, process.as_ref(), scene.name, shared);
    let place = place(sighted, scene, shared);
    let mut also = KindSet::default();
    sighted.also.iter().for_each(|&kind| also.insert(kind));
    // What was asked via an interface is to be answered there.
    let asked = causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Asked { by } => Some(shared.names.one(by.as_str())),
        _ => None,
    });
    let home = asked
        .as_ref()
        .or_else(|| kinds::of(sighted.kind).own_home(&place, also));
    let ways = cause::offers(sighted, &place, home, scene, look_up);
    let place = shared.places.one(place);
    Finding {
        also,
        severity: sighted.severity,
        origin: sighted.origin.into(),
        dropped: sighted.dropped,
        causes: shared.causes.one(causes),
        ways: shared.ways.one(ways),
        flow: sighted.headers.map(Flow::from),
        bound_address: sighted.bound_address,
        packets: count.packets,
        bytes: count.bytes,
        socket: sighted.socket,
        process: process.map(|process| shared.processes.one(process)),
        subject: Some(subject),
        ..Finding::new(id, sighted.kind, place, time)
    }
}

/// Whether the other destinations of a finding are to be asked about.
pub fn is_of_route(finding: &Finding) -> bool {
    finding.route_asked_of_others().is_some()
}

/// Asks about the destinations that a finding has seen by now; nothing where nothing is new of them.
pub fn others(
    finding: &Finding,
    sighted: &Sighted,
    seen: &[Destination],
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
    shared: &mut Shared,
) -> Option<(Arc<[Cause]>, Arc<Ways>)> {
    let home = kinds::of(finding.kind).own_home(&finding.place, finding.also);
    let (causes, ways) = cause::others(finding, sighted, home, seen, scene, look_up)?;
    Some((shared.causes.one(causes), shared.ways.one(ways)))
}

/// The causes of a finding that has grown, where the route that was named does not lead there any more: then the program named the interface
/// with what it sends. Nothing where they are as they were.
pub fn again(
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
    shared: &mut Shared,
) -> Option<Arc<[Cause]>> {
    let causes = (kinds::of(sighted.kind).causes)(sighted, scene, look_up);
    let is_named = |cause: &Cause| matches!(cause.kind, CauseKind::Named { .. });
    let is_other = causes.iter().any(is_named);
    is_other.then(|| shared.causes.one(causes))
}

/// Who a finding is about, whose socket this process has. `name` gives the names of interfaces.
pub fn subject(
    sighted: &Sighted,
    process: Option<&Process>,
    name: &dyn Fn(IfIndex) -> String,
    shared: &mut Shared,
) -> Arc<Subject> {
    let subject = subject::of(&sighted.subject, process, name, &mut shared.names);
    shared.subjects.one(subject)
}

/// A group that the process was to join.
fn joins(sighted: &Sighted, scene: &Scene<'_>) -> Cause {
    let interface = Some(sighted.egress).filter(|egress| egress.is_some());
    Cause::certain(CauseKind::GroupJoin {
        interface: interface.map(scene.name),
    })
}

impl From<Headers> for Flow {
    fn from(headers: Headers) -> Self {
        let end = Endpoint::new;
        Self {
            protocol: headers.protocol,
            source: end(headers.source, headers.source_port),
            destination: end(headers.destination, headers.destination_port),
        }
    }
}

/// Where it was found, and what of the policy it concerns.
fn place(sighted: &Sighted, scene: &Scene<'_>, shared: &mut Shared) -> Place {
    let Shared { boot, names, .. } = shared;
    let owner = source_owner(sighted, scene);
    let mut name = |index: IfIndex| names.one((scene.name)(index));
    // Of a group that is joined where a route says, it may be any.
    let egress = Some(sighted.egress).filter(|egress| egress.is_some());
    let (bound_device, interface) = (sighted.bound.map(&mut name), egress.map(&mut name));
    let source_owner = owner.map(&mut name);
    let (inside, contained) = match sighted.kind {
        Kind::ReplyEscape => parted_zone(sighted, scene),
        _ => owner.and_then(|owner| Some((owner, contained_zone(owner, scene)?))),
    }
    .unzip();
    Place {
        boot: boot.clone(),
        netns: names.one(scene.netns),
        enter: scene.enter.clone(),
        interface,
        bound_device,
        source_owner,
        contained_interface: inside.map(|inside| names.one((scene.name)(inside))),
        contained_zone: contained.map(|zone| names.one(zone)),
        rule: sighted
            .rule
            .map(|number| rule(number, sighted, scene, names)),
    }
}

/// What a finding says of the rule that decided. Of a rule whose policy is not known any more, that is nothing.
fn rule(number: usize, sighted: &Sighted, scene: &Scene<'_>, names: &mut Pool<str>) -> Rule {
    let Some(rule) = scene.policy.rules.get(number) else {
        return Rule::default();
    };
    let zones = rule.only_via.iter();
    let allowed = scene.allowed(sighted);
    Rule {
        name: Some(names.one(rule.name.as_str())),
        only_via: zones
            .map(|&zone| names.one(scene.policy.zones[zone].name.as_str()))
            .collect(),
        interfaces: allowed
            .iter()
            .map(|link| names.one(link.name.as_str()))
            .collect(),
        alerts: rule.action == Action::Alert,
    }
}

/// The interface that alone has the address that the finding concerns.
fn source_owner(sighted: &Sighted, scene: &Scene<'_>) -> Option<IfIndex> {
    if PacketDirection::of(sighted.kind) == PacketDirection::In {
        // Of what arrived, the destination address is meant, not the one that its receiver is bound to.
        return sighted.source_owner;
    }
    sighted.source_owner.or_else(|| {
        sighted
            .bound_address
            .and_then(|address| scene.network.sole_owner(address))
    })
}

/// The first contained zone that one of the interfaces where an answer was asked and where it left is in, and the other is not; and that
/// interface.
fn parted_zone<'a>(sighted: &Sighted, scene: &Scene<'a>) -> Option<(IfIndex, &'a str)> {
    let (asked, left) = (sighted.arrived?, sighted.egress);
    let [came, went] = zones([asked, left], scene);
    contained_zones(scene).find_map(|(number, zone)| {
        match (came.contains(number), went.contains(number)) {
            (true, false) => Some((asked, zone)),
            (false, true) => Some((left, zone)),
            (true, true) | (false, false) => None,
        }
    })
}

fn contained_zone<'a>(interface: IfIndex, scene: &Scene<'a>) -> Option<&'a str> {
    let [zones] = zones([interface], scene);
    let mut contained = contained_zones(scene);
    let (_, zone) = contained.find(|&(number, _)| zones.contains(number))?;
    Some(zone)
}

/// The contained zones, each with its number and its name.
fn contained_zones<'a>(scene: &Scene<'a>) -> impl Iterator<Item = (usize, &'a str)> {
    let all = scene.policy.zones.iter().enumerate();
    let contained = all.filter(|(_, zone)| zone.contained);
    contained.map(|(number, zone)| (number, zone.name.as_str()))
}

/// The zones that each of these interfaces is in.
fn zones<const N: usize>(interfaces: [IfIndex; N], scene: &Scene<'_>) -> [ZoneSet; N] {
    let membership = membership(&scene.network.links, scene.policy);
    interfaces.map(|interface| {
        let zones = membership.get(&interface).copied();
        zones.unwrap_or_else(|| scene.policy.zones_of(&(scene.name)(interface)))
    })
}

/// The process that the hooks take to have the socket: as it is now, or, if it is gone, as they knew it.
pub fn process(sighted: &Sighted) -> Option<Process> {
    sighted.owner.as_ref().and_then(known)
}

/// The same, of an owner as the kernel knows it.
pub fn owner(owner: &intent::Owner) -> Option<Process> {
    known(&Owner::decode(owner))
}

fn known(owner: &Owner) -> Option<Process> {
    let started = Some(owner.started).filter(|&started| started != 0);
    if owner.pid.is_none() && started.is_none() {
        return None;
    }
    let describe = |id| processes::describe_of(id, owner.uid);
    let now = owner.id().and_then(describe).map(Process::from);
    let then = || Process {
        pid: owner.pid,
        started,
        comm: owner.comm.clone(),
        exe: None,
        uid: owner.uid,
        cgroup: cgroups::cgroup_path(owner.cgroup),
    };
    Some(completed(now.map(|now| Process { started, ..now }), then))
}

/// A process as it is now, with what the kernel recorded of it where it ended while it was read, or is gone.
fn completed(now: Option<Process>, then: impl FnOnce() -> Process) -> Process {
    match now {
        Some(now) if now.cgroup.is_some() => now,
        Some(now) => Process {
            cgroup: then().cgroup,
            ..now
        },
        None => then(),
    }
}

/// A socket, and the process that the hooks take to have it.
#[derive(Clone, Debug)]
pub struct Suspect {
    netns: NetNs,
    socket: Option<SocketCookie>,
    inode: Option<u64>,
    protocol: u8,
    process: Option<ProcessId>,
    uid: u32,
}

impl Suspect {
    /// The inode of the socket, by which processes hold it. Where the packet does not show it, it is looked for only if the
    /// process is not known or gone.
    fn inode(&self) -> Option<u64> {
        match self.inode {
            None if !self.process.is_some_and(processes::is_there) => {
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
        process: owner.id().filter(|id| id.pid != 1),
        uid: owner.uid,
    })
}

/// The processes that have the sockets, where these are others than was thought. May take a while on a large machine.
pub fn holders(suspects: &[Suspect]) -> Vec<Option<Process>> {
    let mut sockets: HashMap<ProcessId, HashSet<u64>> = HashMap::new();
    let is_one = suspects.len() == 1;
    let mut has = |id: ProcessId, inode: u64| {
        if is_one {
            return processes::holds(id, inode);
        }
        let held = sockets.entry(id);
        held.or_insert_with(|| processes::sockets_of(id))
            .contains(&inode)
    };
    let wanted: Vec<Option<u64>> = suspects
        .iter()
        .map(|suspect| {
            let inode = suspect.inode()?;
            let is_right = suspect.process.is_some_and(|id| has(id, inode));
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
        let mut ids = found.get(&inode?)?.iter().filter(|id| id.pid != 1);
        let now = ids.find_map(|&id| processes::describe_of(id, suspect.uid))?;
        Some(now.into())
    };
    suspects.iter().zip(wanted).map(holder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_lacks_the_kernel_has_recorded() {
        let process = |comm: &str, cgroup: Option<&str>| Process {
            pid: Some(7),
            started: Some(1),
            comm: comm.to_owned(),
            exe: None,
            uid: 0,
            cgroup: cgroup.map(str::to_owned),
        };
        let then = || process("then", Some("/then"));
        let now = |cgroup| completed(Some(process("now", cgroup)), then);
        assert_eq!(now(None), process("now", Some("/then")));
        assert_eq!(now(Some("/now")), process("now", Some("/now")));
        assert_eq!(completed(None, then), then());
    }
}
