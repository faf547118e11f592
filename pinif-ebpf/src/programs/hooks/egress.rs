//! A packet leaves an interface: TC egress, the heart of pinif.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    macros::classifier,
    programs::TcContext,
};
use aya_log_ebpf::debug;
use pinif_ebpf::{
    intent::flag,
    key::NetNsCookie,
    loss::Loss,
    packet::{NotParsed, Packet},
    policy::{Active, Slot, flags},
    sighting::{CellKey, FindingKey, NewFinding, Origin, Sighting},
    verdict::{Kind, Traffic, decide},
};

use crate::{
    enforce,
    identity::{describe, write_identity},
    kernel::{
        self, devices,
        packet::Skb,
        sock::{AF_PACKET, Sock},
    },
    layers,
    map_world::MapWorld,
    multipath::{pinif_adopt, pinif_connection},
    recheck::pinif_recheck,
    reread, sender,
    state::{
        cells, findings, losses, policy,
        scratch::{self, Scratch},
    },
    verdict_cache::{self, Cached},
    verified_once::verified_once,
};

/// Runs for every packet that an audited interface sends (TCX egress, or clsact before 6.6). Watching never changes a
/// packet: the verdict is that there is none, unless the policy is enforced, and the packet must not leave.
#[classifier]
pub fn pinif_egress(context: TcContext) -> i32 {
    if audit(&context) {
        TC_ACT_SHOT
    } else {
        TC_ACT_UNSPEC
    }
}

/// Judges and counts the packet. Whether it is to be dropped.
#[inline(always)]
fn audit(context: &TcContext) -> bool {
    let skb = Skb::new(context);
    let Some(in_force) = policy::in_force() else {
        return false;
    };
    let context = skb.context();
    match verdict_cache::look_up(skb, in_force) {
        Cached::Contained => return false,
        Cached::Steady => {
            let outcome = pinif_steady(context);
            if outcome != 0 {
                return outcome & u64::from(DROPPED) != 0;
            }
        }
        Cached::Nothing => {}
    }
    if !scratch::begin(in_force) {
        return false;
    }
    if pinif_headers(context) == 0 {
        return false;
    }
    if pinif_connection(context) != 0 {
        pinif_adopt(context);
    }
    pinif_sender(context);
    if pinif_judge(context) != 0 {
        pinif_recheck(context);
    }
    let outcome = pinif_count(context);
    if outcome & u64::from(FOUND) != 0 {
        pinif_identify(context);
        findings::record!(context, pinif_grow, pinif_enter, pinif_count_sample);
    }
    outcome & u64::from(DROPPED) != 0
}

/// What [`pinif_count`] returns: the packet is to be dropped.
const DROPPED: u32 = 1 << 0;
/// And: it is not contained.
const FOUND: u32 = 1 << 1;

/// Logs the verdict, where that was asked for (`--log-level debug`).
#[inline(always)]
fn log(skb: Skb, key: &FindingKey, new: &NewFinding) {
    debug!(
        &TcContext::new(skb.context()),
        "verdict {}: cookie {}, bound to {}, left by {}",
        key.kind,
        new.state.sighting.cookie.0,
        key.bound.0,
        key.egress.0
    );
}

verified_once! {
    /// Counts one more packet of a flow that leaks, with what is known of the one before. Returns what [`pinif_count`] does;
    /// zero where the packet is to be judged anew, and was not counted.
    fn pinif_steady(skb) {
        if pinif_recheck(skb.context()) != 0 {
            return 0;
        }
        let Some((scratch, active)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { key, new, sampling, steady, .. } = scratch;
        let dropped = enforce::drops(active, key, &new.state.sighting, 0);
        if dropped != u32::from(reread(&key.dropped))
            || skb.uid() != reread(&new.state.sighting.owner.uid)
            || pinif_cannot_send(skb.context()) != 0
        {
            return 0;
        }
        let count = skb.count();
        new.state.count = count;
        let missed = findings::grow(key, new, sampling);
        if missed == findings::ABSENT {
            return 0;
        }
        cells::count_in(reread(&steady.cell), count);
        skb.mark_passed(key.netns);
        log(skb, key, new);
        findings::count_samples!(skb.context(), pinif_count_sample, missed);
        if dropped == 0 { FOUND } else { FOUND | DROPPED }
    }

    /// Not zero: the egress interface sends nothing. Then the packet leaves nowhere, and is not counted.
    fn pinif_cannot_send(skb) {
        let Some(scratch) = scratch::get() else {
            return 0;
        };
        scratch.skb = skb.address();
        u32::from(devices::cannot_send(reread(&scratch.skb)))
    }

    /// Reads the packet's headers. Zero where it was judged and counted here before.
    fn pinif_headers(skb) {
        let Some((scratch, active)) = scratch::in_work() else {
            return 0;
        };
        scratch.key.netns = kernel::netns();
        if is_given_back(skb, scratch.key.netns, active.slot) {
            return 0;
        }
        scratch.key.egress = skb.interface();
        let frame = is_own_frame(skb, &mut scratch.skb) != 0;
        let parsed = skb.parse(frame, &mut scratch.packet);
        scratch.has_packet = u32::from(parsed.is_ok());
        scratch.is_malformed = u32::from(parsed == Err(NotParsed::Malformed));
        if reread(&scratch.is_malformed) != 0 {
            losses::add(Loss::Unparsed);
        }
        1
    }

    /// Writes who sent the packet.
    fn pinif_sender(skb) {
        let Some((scratch, _)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, connection, layer, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        key.bound = sender::write(&mut new.state.sighting, skb, packet, connection, layer);
        0
    }

    /// Decides. Not zero: the packet is not contained.
    fn pinif_judge(skb) {
        let Some((scratch, active)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, layer, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        judge(skb, active, packet, key, &mut new.state.sighting);
        layers::pass(skb, active, key, reread(&new.state.sighting.source_owner), layer);
        u32::from(reread(&key.kind))
    }

    /// Counts the packet under its verdict, and remembers that. Returns [`DROPPED`] and [`FOUND`].
    fn pinif_count(skb) {
        let Some((scratch, active)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { has_packet, is_malformed, packet, key, new, layer, steady, recheck, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        let verdict = reread(&key.kind);
        key.dropped =
            enforce::drops(active, key, &new.state.sighting, reread(is_malformed)) as u8;
        if pinif_cannot_send(skb.context()) != 0 {
            return if reread(&key.dropped) == 0 { 0 } else { DROPPED };
        }
        let count = skb.count();
        // One where it is dropped and contained: no verdict has the upper bit. Without a branch, which the verifier would follow.
        let unreadable = verdict.wrapping_sub(1) >> 7 & reread(&key.dropped);
        let cell = cells::add(
            &CellKey {
                netns: key.netns,
                bound: key.bound,
                egress: key.egress,
                kind: verdict + unreadable * Kind::Unaudited as u8,
                origin: reread(&new.state.sighting.origin),
                carried: reread(&layer.carried) as u8,
                dropped: reread(&key.dropped),
                _pad: [0; 4],
            },
            count,
        );
        // What the kernel knew at this instant holds no longer than that.
        if let Some(cell) = cell
            && !recheck.has_changed()
        {
            let traffic = traffic(packet, key, &new.state.sighting);
            steady.cell = cell;
            steady.coverage = verdict_cache::coverage(&traffic);
            let coverage = reread(&steady.coverage);
            steady.candidate = verdict_cache::keep(skb, coverage, verdict, active, cell);
        }
        let found = if verdict == 0 { 0 } else { FOUND };
        let dropped = if reread(&key.dropped) == 0 { 0 } else { DROPPED };
        found | dropped
    }

    /// Writes which finding the packet is of.
    fn pinif_identify(skb) {
        let Some((scratch, active)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, layer, sampling, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        let is_outer = reread(&layer.outer) != 0;
        key.rule = policy::id_of_broken_rule(active, reread(&key.kind), &new.state.sighting);
        write_identity(skb, key, &new.state.sighting, packet, is_outer);
        findings::begin(new, sampling, skb.count(), packet);
        log(skb, key, new);
        0
    }

    /// Adds the packet to it ([`findings::grow`]).
    fn pinif_grow(_skb) {
        let Some(scratch) = scratch::get() else {
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
    fn pinif_enter(skb) {
        let Some((scratch, active)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, steady, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        // What stands in for a finding does so until there is room.
        steady.candidate = 0;
        let sighting = &mut new.state.sighting;
        sighting.generation = active.generation;
        describe(sighting, skb, packet);
        findings::enter(key, new)
    }

    /// Counts one of the samples that are left. Zero behind the last.
    fn pinif_count_sample(_skb) {
        let Some(scratch) = scratch::get() else {
            return 0;
        };
        let Scratch { key, new, sampling, .. } = scratch;
        findings::count_sample(key, new, sampling)
    }
}

/// Whether the packet comes from an IFB, which gives back what tc took from this interface.
#[inline(always)]
fn is_given_back(skb: Skb, netns: NetNsCookie, slot: Slot) -> bool {
    let arrived = skb.arrived();
    arrived.is_some() && policy::about(netns, slot, arrived) & flags::GIVES_BACK != 0
}

/// Not zero: a packet socket wrote the whole Ethernet frame. What the kernel takes for its protocol is then what the process
/// said, and not what the receiver will read (`packet_snd`).
#[inline(never)]
fn is_own_frame(skb: Skb, place: &mut u64) -> u32 {
    let Some(sock) = Sock::new(skb.sock()).and_then(Sock::full) else {
        return 0;
    };
    if sock.family() != AF_PACKET {
        return 0;
    }
    *place = skb.address();
    u32::from(devices::is_ethernet(reread(place)))
}

/// Decides, and writes the verdict into the finding's key and what led to it into the sighting.
#[inline(always)]
fn judge(
    skb: Skb,
    active: &Active,
    packet: Option<&Packet>,
    key: &mut FindingKey,
    sighting: &mut Sighting,
) {
    let traffic = traffic(packet, key, sighting);
    let here = MapWorld {
        skb,
        owner: &sighting.owner,
    };
    let decision = decide(&traffic, active, &here);
    key.kind = decision.kind;
    key.severity = decision.severity;
    sighting.rule = decision.rule;
    sighting.also = decision.also.0;
    sighting.source_owner = decision.source_owner;
}

/// What the decision takes of the packet in work.
#[inline(always)]
fn traffic<'a>(packet: Option<&'a Packet>, key: &FindingKey, sighting: &Sighting) -> Traffic<'a> {
    let bound_to_address = reread(&sighting.flags) & flag::BOUND_ADDRESS != 0;
    Traffic {
        origin: Origin::from_number(reread(&sighting.origin)),
        bound: reread(&key.bound),
        names_interface: u32::from(reread(&sighting.family)) == AF_PACKET,
        bound_address: bound_to_address.then_some(sighting.bound_address),
        packet,
        egress: reread(&key.egress),
    }
}
