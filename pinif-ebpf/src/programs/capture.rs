//! Captures the first packets of each finding, where that is asked for ([`pinif_ebpf::capture`]): only what is in a finding comes here.

use pinif_ebpf::capture::flag;

use crate::{
    kernel::{devices, packet::Skb},
    reread,
    state::{
        arriving::{self, Arriving},
        captures,
        scratch::{self, Scratch},
    },
    verified_once::verified_once,
};

verified_once! {
    /// Captures the packet in work that leaves, or is kept from it.
    pub fn pinif_capture(skb) {
        if !captures::is_on() {
            return 0;
        }
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        let Scratch { key, new, steady, skb: place, .. } = scratch;
        let (number, is_last) = captures::take(key);
        if number == 0 {
            return 0;
        }
        if !is_last {
            // The next packet like it comes here as well, and not on the way of those of which all is known.
            steady.digest = 0;
        }
        let flags = if scratch::is_at_cgroup(skb) { 0 } else { link(skb, place) };
        captures::write(skb, key, &new.state.sighting, number, flags);
        0
    }

    /// Captures the packet in work that arrives.
    pub fn pinif_capture_arrival(skb) {
        if !captures::is_on() {
            return 0;
        }
        let Some(arriving) = arriving::get() else {
            return 0;
        };
        let Arriving { key, new, skb: place, .. } = arriving;
        let (number, _) = captures::take(key);
        if number == 0 {
            return 0;
        }
        let flags = flag::ARRIVES | link(skb, place);
        captures::write(skb, key, &new.state.sighting, number, flags);
        0
    }
}

/// What the packet begins with, at an interface.
#[inline(always)]
fn link(skb: Skb, place: &mut u64) -> u32 {
    *place = skb.address();
    if devices::is_ethernet(reread(place)) {
        flag::ETHERNET
    } else {
        0
    }
}
