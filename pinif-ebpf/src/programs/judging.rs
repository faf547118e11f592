//! The steps that each program which judges what leaves is made of: who sent the packet, what the verdict is, and which finding it is of.

use aya_ebpf::programs::TcContext;
use aya_log_ebpf::debug;
use pinif_ebpf::{
    heard::HeardKey,
    intent::flag,
    key::{Address, IfIndex},
    packet::Packet,
    policy::Active,
    sighting::{CellKey, FindingKey, NewFinding, Origin, Sighting},
    verdict::{Kind, Traffic, decide},
};

use crate::{
    capture::pinif_capture,
    identity::{decision, describe, write_identity},
    inner::{MAY_CARRY, judge_inner, may_carry_bit},
    kernel::{
        devices,
        packet::Skb,
        sock::{AF_PACKET, Sock},
    },
    layers,
    map_world::{Cgroups, MapWorld},
    multipath::{pinif_adopt, pinif_connection},
    recheck::pinif_recheck,
    reread, sender,
    state::{
        captures, findings, heard, policy, records,
        scratch::{self, Scratch},
    },
    tunnel::Layer,
    verdict_cache,
    verified_once::verified_once,
    words::copy,
};

/// What a step that counts returns: the packet is to be dropped.
pub const DROPPED: u32 = 1 << 0;
/// And: it is not contained.
pub const FOUND: u32 = 1 << 1;

/// Logs the verdict, where that was asked for (`--log-level debug`).
#[inline(always)]
pub fn log(skb: Skb, key: &FindingKey, new: &NewFinding) {
    debug!(
        &TcContext::new(skb.context()),
        "verdict {}: cookie {}, bound to {}, left by {}",
        key.kind,
        new.state.sighting.cookie.0,
        key.bound.0,
        key.egress.0
    );
}

/// Finds who sent the packet. Returns the number of its [`Origin`].
#[inline(always)]
pub fn find_sender(skb: Skb) -> u64 {
    let context = skb.context();
    if pinif_connection(context) != 0 {
        pinif_adopt(context);
    }
    pinif_sender(context)
}

/// Comes to the verdict: what is not contained is looked at once more.
#[inline(always)]
pub fn come_to_verdict(skb: Skb) {
    let context = skb.context();
    let mut outcome = pinif_judge(context);
    if outcome & u64::from(MAY_CARRY) != 0 {
        outcome = judge_inner(skb);
    }
    if outcome != 0 {
        pinif_recheck(context);
    }
    if heard::is_audited() {
        pinif_answers(context);
    }
}

/// Adds the packet to its finding, where what counted it says that there is one. Whether the packet is to be dropped.
#[inline(always)]
pub fn conclude(skb: Skb, outcome: u64) -> bool {
    let context = skb.context();
    if outcome & u64::from(FOUND) != 0 {
        pinif_identify(context);
        findings::record!(context, pinif_grow, pinif_enter, pinif_count_sample);
        if captures::is_on() {
            pinif_capture(context);
        }
    }
    outcome & u64::from(DROPPED) != 0
}

verified_once! {
    /// Not zero: the egress interface sends nothing. Then the packet leaves nowhere, and is not counted.
    pub fn pinif_cannot_send(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        scratch.skb = skb.address();
        u32::from(devices::cannot_send(reread(&scratch.skb)))
    }

    /// Writes who sent the packet. Returns the number of its [`Origin`].
    pub fn pinif_sender(skb) {
        let Some((scratch, _)) = scratch::in_work(skb) else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, connection, layer, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        let netns = reread(&key.netns);
        key.bound = sender::write(&mut new.state.sighting, netns, skb, packet, connection, layer);
        u32::from(reread(&new.state.sighting.origin))
    }

    /// Decides. Not zero: the packet is not contained, or may have another inside ([`MAY_CARRY`]).
    pub fn pinif_judge(skb) {
        let Some((scratch, active)) = scratch::in_work(skb) else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, layer, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        judge(skb, active, packet, key, &mut new.state.sighting);
        layers::pass(skb, active, key, reread(&new.state.sighting.source_owner), layer);
        u32::from(reread(&key.kind)) | may_carry_bit(skb, packet)
    }

    /// Decides of an answer whether it leaves by the interface that was asked, where replies are audited.
    pub fn pinif_answers(skb) {
        if !heard::is_audited() {
            return 0;
        }
        let Some((scratch, active)) = scratch::in_work(skb) else {
            return 0;
        };
        scratch.heard_by = heard_of(skb, scratch);
        let by = reread(&scratch.heard_by);
        if !by.is_some() {
            return 0;
        }
        let Scratch { key, new, .. } = scratch;
        answer(skb, by, active, key, &mut new.state.sighting);
        0
    }

    /// Writes which finding the packet is of.
    pub fn pinif_identify(skb) {
        let Some((scratch, active)) = scratch::in_work(skb) else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, layer, sampling, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        let is_outer = reread(&layer.outer) != 0;
        key.rule = policy::id_of_broken_rule(active, reread(&key.kind), &new.state.sighting);
        write_identity(skb, key, &new.state.sighting, packet, is_outer);
        findings::begin(new, sampling, packet);
        log(skb, key, new);
        0
    }

    /// Adds the packet to it ([`findings::grow`]).
    pub fn pinif_grow(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        let Scratch { key, new, sampling, steady, .. } = scratch;
        let missed = findings::grow(key, new, sampling);
        if missed != findings::ABSENT {
            // The next packet like it finds all this here.
            steady.digest = reread(&steady.candidate);
        }
        missed
    }

    /// Enters it, as its first packet ([`findings::enter`]).
    pub fn pinif_enter(skb) {
        let Some((scratch, active)) = scratch::in_work(skb) else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, steady, heard_by, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        // What stands in for a finding does so until there is room.
        steady.candidate = 0;
        let sighting = &mut new.state.sighting;
        sighting.generation = active.generation;
        describe(sighting, skb, packet);
        if heard::is_audited() && reread(&key.kind) == Kind::ReplyEscape as u8 {
            sighting.arrived = reread(heard_by);
        }
        findings::enter(key, new)
    }

    /// Counts one of the samples that are left. Zero behind the last.
    pub fn pinif_count_sample(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        let Scratch { key, new, sampling, .. } = scratch;
        findings::count_sample(key, new, sampling)
    }
}

/// The cell that the packet in work is counted in.
#[inline(always)]
pub fn cell_of(key: &FindingKey, sighting: &Sighting, layer: &Layer) -> CellKey {
    let verdict = reread(&key.kind);
    // One where it is dropped and contained: no verdict has the upper bit. Without a branch, which the verifier would follow.
    let unreadable = verdict.wrapping_sub(1) >> 7 & reread(&key.dropped);
    CellKey {
        netns: key.netns,
        bound: key.bound,
        egress: key.egress,
        kind: verdict + unreadable * Kind::Unaudited as u8,
        origin: reread(&sighting.origin),
        carried: reread(&layer.carried) as u8,
        dropped: reread(&key.dropped),
        _pad: [0; 4],
    }
}

/// Decides, and writes the verdict into the finding's key and what led to it into the sighting.
#[inline(always)]
pub fn judge(
    cgroups: impl Cgroups,
    active: &Active,
    packet: Option<&Packet>,
    key: &mut FindingKey,
    sighting: &mut Sighting,
) {
    let traffic = traffic(packet, key, sighting);
    let here = MapWorld {
        netns: reread(&key.netns),
        cgroups,
        owner: &sighting.owner,
    };
    let decision = decide(&traffic, active, &here);
    key.kind = decision.kind;
    key.severity = decision.severity;
    sighting.rule = decision.rule;
    sighting.also = decision.also.0;
    sighting.source_owner = decision.source_owner;
}

/// Decides of an answer whether it leaves by the interface that was asked.
#[inline(always)]
fn answer(
    cgroups: impl Cgroups,
    by: IfIndex,
    active: &Active,
    key: &mut FindingKey,
    sighting: &mut Sighting,
) {
    let here = MapWorld {
        netns: reread(&key.netns),
        cgroups,
        owner: &sighting.owner,
    };
    let before = decision(key, sighting);
    let decision = before.answering(by, reread(&key.egress), heard::audited(), active, &here);
    key.kind = decision.kind;
    key.severity = decision.severity;
    sighting.also = decision.also.0;
}

/// What the decision takes of the packet in work.
#[inline(always)]
pub fn traffic<'a>(
    packet: Option<&'a Packet>,
    key: &FindingKey,
    sighting: &Sighting,
) -> Traffic<'a> {
    let bound_to_address = reread(&sighting.flags) & flag::BOUND_ADDRESS != 0;
    Traffic {
        origin: Origin::from_number(reread(&sighting.origin)),
        bound: reread(&key.bound),
        names_interface: u32::from(reread(&sighting.family)) == AF_PACKET,
        bound_address: bound_to_address.then_some(sighting.bound_address),
        packet,
        egress: reread(&key.egress),
        // The next step's.
        heard: IfIndex::NONE,
    }
}

/// Where what the packet in work answers came in; none where that is the interface that it leaves by. It need not be asked for the
/// destination as long as all that the server has came by one interface, and this one leaves by it: such a verdict holds for any.
#[inline(always)]
fn heard_of(skb: Skb, scratch: &Scratch) -> IfIndex {
    let sighting = &scratch.new.state.sighting;
    let egress = reread(&scratch.key.egress);
    if reread(&sighting.origin) != Origin::Process as u8 || reread(&scratch.has_packet) == 0 {
        return IfIndex::NONE;
    }
    let Some(sock) = Sock::new(skb.sock()).and_then(Sock::full) else {
        return IfIndex::NONE;
    };
    let Some(record) = records::of(sock.as_ptr().cast()) else {
        return IfIndex::NONE;
    };
    if !record.heard_by.is_some()
        || record.heard_by == egress && !record.has(flag::HEARD_ELSEWHERE)
        || sock.bound_device().is_some()
    {
        return IfIndex::NONE;
    }
    // Before it is looked up: what is heard from now on makes void what is cached.
    record.flags |= flag::HEARD_ELSEWHERE;
    verdict_cache::forget();
    let mut key = HeardKey {
        cookie: reread(&sighting.cookie),
        address: Address::UNSPECIFIED,
    };
    copy(&mut key.address, &scratch.packet.destination);
    let by = heard::by(&key);
    if by == egress { IfIndex::NONE } else { by }
}
