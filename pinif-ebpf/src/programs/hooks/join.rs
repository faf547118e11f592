//! A group that is about to be joined where that is enforced: it is judged as a packet of this socket to this group would be, by the
//! interface that the option names, and refused if that would be dropped.
//!
//! The kernel reports each group by IGMP or MLD, with the addresses that the process chose, in a packet of its own: at TC egress nothing
//! shows whose group that is. There is no packet yet, so that none is counted: a finding of such a group alone has none.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_ns, macros::cgroup_sockopt, programs::SockoptContext,
};
use pinif_ebpf::{
    groups::Named,
    intent::flag,
    key::{IfIndex, NetNsCookie, SocketCookie},
    loss::Loss,
    packet::{Packet, protocol},
    policy::{Active, Dimension, flags},
    sighting::{Count, Sighting},
    subject::SubjectKey,
};

use super::{ALLOW, REFUSE};
use crate::{
    enforce,
    identity::describe_flow,
    judging::{DROPPED, FOUND, judge},
    kernel::{
        cgroup, namespace, read,
        sock::{AF_PACKET, FullSock},
        sockopt::SockOption,
        struct_sock, task,
    },
    map_world::MAX_CGROUP_DEPTH,
    receiver::look_at_cgroup,
    reread,
    sender::from_record,
    state::{
        findings, losses, owners, policy, records,
        scratch::{self, Scratch},
    },
    verified_once::verified_once_in_room,
};

/// The first octet of IPv4's own loopback addresses (RFC 1122, 3.2.1.3).
const LOOPBACK_NET: u8 = 127;

/// What [`pinif_join_write`] answers where the group is to be judged.
const WRITTEN: u32 = 1;
/// Where it cannot be, and is refused.
const UNKNOWN: u32 = 2;

/// Before the kernel acts on a socket option of a process's socket.
#[cgroup_sockopt(setsockopt)]
pub fn pinif_join(context: SockoptContext) -> i32 {
    let option = SockOption::of(context.sockopt);
    if option.is_done() {
        return ALLOW;
    }
    if option.about_group().is_none() {
        option.leave();
        return ALLOW;
    }
    option.keep();
    if is_refused(option) { REFUSE } else { ALLOW }
}

/// Whether the group must not be joined, which is then in a finding.
#[inline(always)]
fn is_refused(option: SockOption) -> bool {
    let Some(in_force) = policy::in_force() else {
        return false;
    };
    if enforce::active(in_force).is_none() {
        return false;
    }
    let Some(room) = scratch::take_room() else {
        losses::add(Loss::RoomsFull);
        return true;
    };
    let is_refused = scratch::begin_in_room(room, in_force) && judge_in(room, option);
    scratch::leave_room(room);
    is_refused
}

/// Judges it, and enters it in its finding where it is refused.
#[inline(always)]
fn judge_in(room: u32, option: SockOption) -> bool {
    let context = option.context();
    if pinif_join_where(context, room) == 0 {
        return false;
    }
    let written = pinif_join_write(context, room) as u32;
    if written != WRITTEN {
        return written == UNKNOWN;
    }
    for _ in 0..MAX_CGROUP_DEPTH {
        if pinif_join_cgroup(room) == 0 {
            break;
        }
    }
    let outcome = pinif_join_judge(room);
    if outcome & u64::from(FOUND) != 0 {
        findings::record!(room, pinif_join_grow, pinif_join_enter, pinif_join_sample);
    }
    outcome & u64::from(DROPPED) != 0
}

/// The interface on which the group would be joined; none where a route would choose it, or of several that have the address.
#[inline(always)]
fn interface(netns: NetNsCookie, named: Named) -> IfIndex {
    match named {
        Named::Index(index) => index,
        Named::Address(address) if address.0[12] == LOOPBACK_NET => IfIndex::LOOPBACK,
        Named::Address(address) => owners::of(netns, &address).unwrap_or(IfIndex::NONE),
        Named::None => IfIndex::NONE,
    }
}

verified_once_in_room! {
    /// Writes where the group would be joined, and whose socket it is. Zero where that is nobody's to refuse.
    ///
    /// Where it is meant to be the device that the socket is bound to, that is put into the option: the kernel would ask a route.
    fn pinif_join_where(option, room) {
        let (Some(request), Some(sock)) = (option.about_group(), FullSock::new(option.sock()))
        else {
            return 0;
        };
        let Some((scratch, active)) = scratch::in_work_in_room(room) else {
            return 0;
        };
        let Scratch { key, .. } = scratch;
        key.netns = NetNsCookie(namespace::of(read::number_of(sock.as_ptr().cast())));
        key.bound = sock.bound_device();
        // The kernel refuses a value that is too short, and has no such options of other families.
        let (Some(named), false) = (request.named(&option), sock.family() == AF_PACKET) else {
            return 0;
        };
        key.egress = interface(reread(&key.netns), named);
        if !reread(&key.egress).is_some()
            && reread(&key.bound).is_some()
            && let Some(at) = request.place_of_index()
            && option.put(at, reread(&key.bound).0)
        {
            key.egress = key.bound;
        }
        let egress = reread(&key.egress);
        let is_enforced =
            policy::about(reread(&key.netns), active.slot, egress) & flags::ENFORCED != 0;
        u32::from(is_enforced && (egress.is_some() || active.drops_unparsed != 0))
    }

    /// Writes it as a packet of this socket to the group, by its own port, if it is to be judged. Where nothing can be remembered of the
    /// socket, it is what cannot be judged, which the policy says whether to drop.
    fn pinif_join_write(option, room) {
        let (Some(request), Some(sock)) = (option.about_group(), FullSock::new(option.sock()))
        else {
            return 0;
        };
        let Some((scratch, active)) = scratch::in_work_in_room(room) else {
            return 0;
        };
        let Some(record) = records::of_or_insert(sock.as_ptr().cast()) else {
            return if active.drops_unparsed != 0 { UNKNOWN } else { 0 };
        };
        task::take_over(record);
        record.becomes_hooked();
        let Scratch { packet, new, cgroup, cgroup_rules, .. } = scratch;
        let Some(group) = request.group(&option) else {
            return 0;
        };
        packet.destination = group;
        packet.source = if record.has(flag::BOUND_ADDRESS) {
            record.bound_address
        } else {
            request.unspecified()
        };
        packet.protocol = sock.protocol() as u8;
        let port = if protocol::has_ports(reread(&packet.protocol)) {
            sock.local_port()
        } else {
            0
        };
        packet.source_port = port;
        packet.destination_port = port;
        packet.later_fragment = false;
        packet.icmp_type = 0;
        packet.tos = 0;
        let sighting = &mut new.state.sighting;
        from_record(sighting, record);
        sighting.flags |= flag::JOIN;
        sighting.family = sock.family() as u16;
        sighting.socket_type = sock.kind() as u16;
        // Through a map: the verifier allows no arithmetic on the pointer itself.
        sighting.socket_inode = sock.as_ptr() as u64;
        let address = reread(&sighting.socket_inode);
        if let Some(user) = struct_sock::user_of(address) {
            sighting.owner.uid = user;
        }
        sighting.cookie = SocketCookie(struct_sock::cookie_of(address));
        sighting.socket_inode = struct_sock::inode_of(address);
        *cgroup = if active.looks_at(Dimension::Cgroup) {
            cgroup::of(address).unwrap_or(0)
        } else {
            0
        };
        *cgroup_rules = active.any_cgroup;
        WRITTEN
    }

    /// Looks for the rules of the socket's cgroup, one level at a time. Zero at the end.
    fn pinif_join_cgroup(room) {
        let Some((scratch, active)) = scratch::in_work_in_room(room) else {
            return 0;
        };
        let Scratch { cgroup, cgroup_rules, .. } = scratch;
        u32::from(look_at_cgroup(cgroup, cgroup_rules, active))
    }

    /// Decides. Returns [`DROPPED`] and [`FOUND`] where it is refused, else zero.
    fn pinif_join_judge(room) {
        let Some((scratch, active)) = scratch::in_work_in_room(room) else {
            return 0;
        };
        let Scratch { packet, key, new, sampling, cgroup_rules, .. } = scratch;
        let sighting = &mut new.state.sighting;
        judge(&*cgroup_rules, active, Some(packet), key, sighting);
        key.dropped = enforce::drops(active, key, sighting, 0) as u8;
        if reread(&key.dropped) == 0 {
            return 0;
        }
        key.rule = policy::id_of_broken_rule(active, reread(&key.kind), sighting);
        key.subject = SubjectKey::program(&sighting.owner);
        new.state.count = Count::default();
        findings::begin(new, sampling, Some(packet));
        DROPPED | FOUND
    }

    /// Adds it to its finding ([`findings::grow`]).
    fn pinif_join_grow(room) {
        let Some(scratch) = scratch::get_room(room) else {
            return 0;
        };
        let Scratch { key, new, sampling, .. } = scratch;
        findings::grow(key, new, sampling)
    }

    /// Enters the finding, of which it is the first sign ([`findings::enter`]).
    fn pinif_join_enter(room) {
        let Some((scratch, active)) = scratch::in_work_in_room(room) else {
            return 0;
        };
        let Scratch { packet, key, new, .. } = scratch;
        describe(&mut new.state.sighting, packet, active);
        findings::enter(key, new)
    }

    /// Counts one of the samples that are left. Zero behind the last.
    fn pinif_join_sample(room) {
        let Some(scratch) = scratch::get_room(room) else {
            return 0;
        };
        let Scratch { key, new, sampling, .. } = scratch;
        findings::count_sample(key, new, sampling)
    }
}

#[inline(always)]
fn describe(sighting: &mut Sighting, packet: &Packet, active: &Active) {
    // SAFETY: the helper has no arguments.
    sighting.time = unsafe { bpf_ktime_get_ns() };
    sighting.generation = active.generation;
    sighting.mark = 0;
    sighting.arrived = IfIndex::NONE;
    describe_flow(sighting, packet);
}
