//! The events of sockets that are about to send past TC egress.

use aya_ebpf::{btf_maps::RingBuf, macros::btf_map};
use pinif_ebpf::{bypass::Bypass, loss::Loss};

use super::losses;

#[btf_map]
static BYPASSES: RingBuf<Bypass, { 64 * 1024 }> = RingBuf::new();

/// Reports a socket. Where the buffer is full, userspace finds it when it looks next, if it is there then.
#[inline(always)]
pub fn report(write: impl FnOnce(&mut Bypass)) {
    let Some(mut record) = BYPASSES.reserve(0) else {
        losses::add(Loss::SightingsFull);
        return;
    };
    write(record.write(Bypass::default()));
    record.submit(0);
}
