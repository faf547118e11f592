//! A packet of a process's socket that must not leave, at its cgroup: where the policy is enforced, it is refused before the kernel looks for
//! the neighbour.
//!
//! TC egress drops it as well, but a packet to a neighbour that is not known waits for the answer to a solicitation (NDP) or a request (ARP).
//! That one is the kernel's own, leaves, and has an address that the process chose. This program runs before (`ip_finish_output`,
//! `ip6_finish_output`), in the system call: a refusal there is the `EPERM` of that call.

use aya_ebpf::{macros::cgroup_skb, programs::SkBuffContext};
use pinif_ebpf::{
    loss::Loss,
    packet::NotParsed,
    policy::{InForce, flags},
    sighting::Origin,
};

use super::{ALLOW, REFUSE};
use crate::{
    enforce,
    judging::{DROPPED, FOUND, cell_of, come_to_verdict, conclude, find_sender, pinif_cannot_send},
    kernel::{
        devices,
        packet::{ETHERNET, Skb},
        read,
        sock::Sock,
    },
    reread,
    state::{
        cells, losses, policy,
        scratch::{self, Scratch},
    },
    verdict_cache,
    verified_once::verified_once,
};

/// For every packet of a socket of the cgroup, with the first device that it leaves by: what a tunnel makes of it does not come here
/// again, nor what a lower device carries.
#[cgroup_skb(egress)]
pub fn pinif_refuse(context: SkBuffContext) -> i32 {
    let skb = Skb::of(context.skb.skb);
    if is_refused(skb) { REFUSE } else { ALLOW }
}

/// Whether TC egress would drop the packet, which is then counted here. What passes is counted there.
#[inline(always)]
fn is_refused(skb: Skb) -> bool {
    let Some(in_force) = policy::in_force() else {
        return false;
    };
    let Some(sock) = Sock::new(skb.sock()) else {
        return false;
    };
    // A SYN-ACK comes here with its listener, and at TC egress with its request. Who asked for it chose its address, and no process here.
    if sock.is_listening() || verdict_cache::is_contained(skb, sock, in_force) {
        return false;
    }
    let Some(active) = enforce::active(in_force) else {
        return false;
    };
    let netns = devices::netns(read::number_of(skb.as_ptr()));
    if policy::about(netns, active.slot, skb.interface()) & flags::ENFORCED == 0 {
        return false;
    }
    if !scratch::take(skb) {
        losses::add(Loss::RoomsFull);
        return true;
    }
    if let Some(scratch) = scratch::get(skb) {
        scratch.key.netns = netns;
    }
    let is_refused = judge(skb, in_force);
    scratch::leave(skb);
    is_refused
}

/// Judges the packet; and counts it, where it is refused.
#[inline(always)]
fn judge(skb: Skb, in_force: InForce) -> bool {
    let context = skb.context();
    if !scratch::begin(skb, in_force) {
        return false;
    }
    pinif_refuse_headers(context);
    // The kernel's own are for TC egress to drop.
    if find_sender(skb) != Origin::Process as u64 {
        return false;
    }
    come_to_verdict(skb);
    conclude(skb, pinif_refuse_count(context))
}

verified_once! {
    /// Reads the packet's headers.
    fn pinif_refuse_headers(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        scratch.key.egress = skb.interface();
        let parsed = skb.parse(false, &mut scratch.packet);
        scratch.has_packet = u32::from(parsed.is_ok());
        scratch.is_malformed = u32::from(parsed == Err(NotParsed::Malformed));
        0
    }

    /// Counts the packet where it is dropped. Returns [`DROPPED`] and [`FOUND`] then, else zero.
    fn pinif_refuse_count(skb) {
        let Some((scratch, active)) = scratch::in_work(skb) else {
            return 0;
        };
        let Scratch { is_malformed, key, new, layer, .. } = scratch;
        key.dropped =
            enforce::drops(active, key, &new.state.sighting, reread(is_malformed)) as u8;
        if reread(&key.dropped) == 0 {
            return 0;
        }
        if pinif_cannot_send(skb.context()) != 0 {
            return DROPPED;
        }
        if reread(is_malformed) != 0 {
            losses::add(Loss::Unparsed);
        }
        layer.skb = skb.address();
        let link = if devices::is_ethernet(reread(&layer.skb)) { ETHERNET } else { 0 };
        new.state.count = skb.count_before_link(link);
        cells::add_atomically(&cell_of(key, &new.state.sighting, layer), reread(&new.state.count));
        if reread(&key.kind) == 0 { DROPPED } else { DROPPED | FOUND }
    }
}
