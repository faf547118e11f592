//! The entry programs: what is attached to the interfaces of a network namespace, each namespace's with its cookie.
//!
//! The one for what leaves counts by itself what its socket's record has a verdict for, which is nearly every packet. All else is the
//! traffic program's, which it goes on with: that finds a packet as if nobody had looked at it.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use pinif_ebpf::entry::{EGRESS, INGRESS};

use crate::{kernel::packet::Skb, state::netns, verdict_cache};

/// Attached for what leaves (TCX egress, or clsact before 6.6).
#[classifier]
pub fn pinif_leaves(context: TcContext) -> i32 {
    let netns = netns::of_entry();
    if !verdict_cache::count_by_record(Skb::new(&context), netns) {
        netns::go_on(&context, netns, EGRESS);
    }
    TC_ACT_UNSPEC
}

/// Attached for what arrives (TCX ingress, or clsact).
#[classifier]
pub fn pinif_arrives(context: TcContext) -> i32 {
    netns::go_on(&context, netns::of_entry(), INGRESS);
    TC_ACT_UNSPEC
}
