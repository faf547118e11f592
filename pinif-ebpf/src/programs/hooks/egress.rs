//! A packet leaves an interface: TC egress, the heart of pinif.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    macros::classifier,
    programs::TcContext,
};
use pinif_ebpf::{
    key::NetNsCookie,
    loss::Loss,
    packet::NotParsed,
    policy::{InForce, Slot, flags},
    verdict::is_found,
};

use crate::{
    enforce,
    judging::{
        DROPPED, FOUND, cell_of, come_to_verdict, conclude, find_sender, log, pinif_cannot_send,
        pinif_count_sample, traffic,
    },
    kernel::{
        self, devices,
        packet::Skb,
        sock::{AF_PACKET, Sock},
    },
    learn::pinif_learn,
    recheck::pinif_recheck,
    reread,
    state::{
        self, cells, findings, learned, losses, policy,
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
    let cached = verdict_cache::look_up(skb, in_force);
    if let Cached::Contained = cached {
        return false;
    }
    let before = scratch::enter(skb);
    let is_dropped = look_closer(skb, in_force, matches!(cached, Cached::Steady));
    skb.set_room(before);
    is_dropped
}

/// The same of a packet whose verdict is not cached, or of a flow that leaks.
#[inline(always)]
fn look_closer(skb: Skb, in_force: InForce, is_steady: bool) -> bool {
    let context = skb.context();
    if is_steady {
        let outcome = pinif_steady(context);
        if outcome != 0 {
            return outcome & u64::from(DROPPED) != 0;
        }
    }
    if !scratch::begin(skb, in_force) || pinif_headers(context) == 0 {
        return false;
    }
    find_sender(skb);
    come_to_verdict(skb);
    let outcome = pinif_count(context);
    if learned::is_on() {
        pinif_learn(context);
    }
    conclude(skb, outcome)
}

verified_once! {
    /// Counts one more packet of a flow that leaks, with what is known of the one before. Returns what [`pinif_count`] does;
    /// zero where the packet is to be judged anew, and was not counted.
    fn pinif_steady(skb) {
        if pinif_recheck(skb.context()) != 0 {
            return 0;
        }
        let Some((scratch, active)) = scratch::in_work(skb) else {
            return 0;
        };
        let Scratch { key, new, sampling, steady, recheck, skb: place, .. } = scratch;
        *place = skb.address();
        let dropped = enforce::drops(active, key, &new.state.sighting, 0);
        if dropped != u32::from(reread(&key.dropped))
            || skb.uid() != reread(&new.state.sighting.owner.uid)
            || recheck.cannot_send(reread(place))
        {
            return 0;
        }
        let count = skb.count();
        let mut missed = 0;
        if reread(&steady.is_apart) == 0 || !state::steady::add(count) {
            new.state.count = count;
            missed = findings::grow(key, new, sampling);
            if missed == findings::ABSENT {
                return 0;
            }
            if missed == 0 {
                steady.is_apart = state::steady::begin(key, &sampling.places);
            }
        }
        cells::count_in(reread(&steady.cell), count);
        skb.mark_passed(key.netns);
        log(skb, key, new);
        findings::count_samples!(skb.context(), pinif_count_sample, missed);
        if dropped == 0 { FOUND } else { FOUND | DROPPED }
    }

    /// Reads the packet's headers. Zero where it was judged and counted here before.
    fn pinif_headers(skb) {
        let Some((scratch, active)) = scratch::in_work(skb) else {
            return 0;
        };
        if reread(&scratch.steady.is_apart) != 0 {
            state::steady::settle();
            scratch.steady.is_apart = 0;
        }
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

    /// Counts the packet under its verdict, and remembers that. Returns [`DROPPED`] and [`FOUND`].
    fn pinif_count(skb) {
        let Some((scratch, active)) = scratch::in_work(skb) else {
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
        new.state.count = skb.count();
        let count = reread(&new.state.count);
        let cell = cells::add(&cell_of(key, &new.state.sighting, layer), count);
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
        let found = is_found(verdict) * FOUND;
        let dropped = if reread(&key.dropped) == 0 { 0 } else { DROPPED };
        found | dropped
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
