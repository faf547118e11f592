//! A packet leaves an interface: TC egress, the heart of pinif.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::generated::bpf_ktime_get_ns,
    macros::classifier,
    programs::TcContext,
};
use aya_log_ebpf::debug;
use pinif_ebpf::{
    intent::flag,
    key::SocketCookie,
    loss::Loss,
    packet::{NotParsed, Packet},
    policy::Active,
    sighting::{CellKey, FindingKey, Origin, Sighting},
    verdict::{Traffic, decide},
};

use crate::{
    enforce,
    here::Here,
    kernel::{
        self,
        packet::Skb,
        sock::{AF_PACKET, Sock},
        task,
    },
    layers,
    recheck::pinif_recheck,
    reread, sender, standing,
    state::{
        cells, findings, losses, policy,
        scratch::{self, Scratch},
    },
    verified_once::verified_once,
    words::{clear, copy},
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
    if standing::stands(skb, in_force) || !scratch::begin(in_force) {
        return false;
    }
    let context = skb.context();
    pinif_headers(context);
    pinif_sender(context);
    if pinif_judge(context) != 0 {
        pinif_recheck(context);
    }
    pinif_count(context) != 0
}

verified_once! {
    /// Reads the packet's headers.
    fn pinif_headers(skb) {
        let Some((scratch, _)) = scratch::in_work() else {
            return 0;
        };
        scratch.key.netns = kernel::netns();
        scratch.key.egress = skb.interface();
        scratch.has_packet = u32::from(headers(skb, &mut scratch.packet));
        0
    }

    /// Writes who sent the packet.
    fn pinif_sender(skb) {
        let Some((scratch, _)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, layer, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        key.bound = sender::write(&mut new.sighting, skb, packet, layer);
        0
    }

    /// Decides. Not zero: the packet is not contained.
    fn pinif_judge(skb) {
        let Some((scratch, active)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, layer, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        judge(skb, active, packet, key, &mut new.sighting);
        layers::pass(skb, key, reread(&new.sighting.source_owner), layer);
        u32::from(reread(&key.kind))
    }

    /// Counts the packet under its verdict, and remembers that. Not zero: the packet is to be dropped.
    fn pinif_count(skb) {
        let Some((scratch, active)) = scratch::in_work() else {
            return 0;
        };
        let Scratch { has_packet, packet, key, new, layer, .. } = scratch;
        let packet = (reread(has_packet) != 0).then_some(&*packet);
        let verdict = reread(&key.kind);
        key.dropped = if verdict == 0 {
            0
        } else {
            enforce::drops(active, key, &new.sighting) as u8
        };
        let count = skb.count();
        let cell = cells::add(
            &CellKey {
                netns: key.netns,
                bound: key.bound,
                egress: key.egress,
                kind: verdict,
                origin: reread(&new.sighting.origin),
                carried: reread(&layer.carried) as u8,
                dropped: reread(&key.dropped),
                _pad: [0; 4],
            },
            count,
        );
        if verdict != 0 {
            write_subject(key, &new.sighting, packet);
            findings::add(key, count, new, |sighting| {
                sighting.generation = active.generation;
                describe(sighting, skb, packet);
            });
            debug!(
                &TcContext::new(skb.context()),
                "verdict {}: cookie {}, bound to {}, left by {}",
                key.kind,
                key.cookie.0,
                key.bound.0,
                key.egress.0
            );
        } else if let (Some(packet), Some(cell)) = (packet, cell) {
            let origin = reread(&new.sighting.origin);
            if origin == Origin::Process as u8 {
                standing::keep(skb, key.netns, packet, active, cell);
            } else if origin == Origin::None as u8 && skb.sock().is_null() {
                standing::keep_passed_on(skb, key.netns, packet, active, cell);
            }
        }
        u32::from(reread(&key.dropped))
    }
}

/// Reads the headers into `place`; false if there are none that can be read.
#[inline(always)]
fn headers(skb: Skb, place: &mut Packet) -> bool {
    match skb.parse(place) {
        Ok(()) => true,
        Err(NotParsed::NotIp) => false,
        Err(NotParsed::Malformed) => {
            losses::add(Loss::Unparsed);
            false
        }
    }
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
    let bound_to_address = reread(&sighting.flags) & flag::BOUND_ADDRESS != 0;
    let traffic = Traffic {
        origin: Origin::from_number(reread(&sighting.origin)),
        bound: reread(&key.bound),
        names_interface: u32::from(reread(&sighting.family)) == AF_PACKET,
        bound_address: bound_to_address.then_some(sighting.bound_address),
        packet,
        egress: reread(&key.egress),
    };
    let here = Here {
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

/// A process's socket is one finding; without one, each flow is.
#[inline(always)]
fn write_subject(key: &mut FindingKey, sighting: &Sighting, packet: Option<&Packet>) {
    let owned = reread(&sighting.origin) == Origin::Process as u8;
    match packet {
        Some(packet) if !owned => {
            key.cookie = SocketCookie(0);
            copy(&mut key.source, &packet.source);
            copy(&mut key.destination, &packet.destination);
            key.source_port = packet.source_port;
            key.destination_port = packet.destination_port;
            key.protocol = packet.protocol;
        }
        _ => {
            key.cookie = if owned {
                sighting.cookie
            } else {
                SocketCookie(0)
            };
            clear(&mut key.source);
            clear(&mut key.destination);
            key.source_port = 0;
            key.destination_port = 0;
            key.protocol = 0;
        }
    }
}

#[inline(always)]
fn describe(sighting: &mut Sighting, skb: Skb, packet: Option<&Packet>) {
    // SAFETY: the helper has no arguments.
    sighting.time = unsafe { bpf_ktime_get_ns() };
    sighting.mark = skb.mark();
    sighting.arrived = skb.arrived();
    sighting.socket_inode = 0;
    if let Some(sock) = Sock::new(skb.sock()).and_then(Sock::full) {
        // Through a map: the verifier allows no arithmetic on the pointer itself.
        sighting.socket_inode = sock.as_ptr() as u64;
        sighting.socket_inode = task::inode_of(reread(&sighting.socket_inode));
    }
    match packet {
        Some(packet) => {
            copy(&mut sighting.source, &packet.source);
            copy(&mut sighting.destination, &packet.destination);
            sighting.source_port = packet.source_port;
            sighting.destination_port = packet.destination_port;
            sighting.protocol = packet.protocol;
        }
        None => {
            clear(&mut sighting.source);
            clear(&mut sighting.destination);
            sighting.source_port = 0;
            sighting.destination_port = 0;
            sighting.protocol = 0;
        }
    }
}
