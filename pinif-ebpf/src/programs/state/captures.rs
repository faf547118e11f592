//! The ring buffer of captured packets. It is apart from that of the findings, so that whatever fills it keeps no finding from being
//! reported.

use core::arch::asm;

use aya_ebpf::{
    Global,
    btf_maps::RingBuf,
    helpers::generated::{
        bpf_ktime_get_ns, bpf_ringbuf_discard, bpf_ringbuf_reserve, bpf_ringbuf_submit,
        bpf_skb_load_bytes,
    },
    macros::btf_map,
};
use pinif_ebpf::{
    capture::Captured,
    loss::Loss,
    sighting::{FindingKey, Sighting},
};

use super::{findings, losses};
use crate::{kernel::packet::Skb, reread, words::copy};

/// The number of this run ([`pinif_ebpf::capture::Progress`]); zero where nothing is captured. Userspace sets it before the programs are loaded, so
/// that the verifier leaves out what is for it.
#[unsafe(no_mangle)]
static CAPTURE_RUN: Global<u32> = Global::new(0);

/// How many packets of each finding are captured.
#[unsafe(no_mangle)]
static CAPTURE_PACKETS: Global<u32> = Global::new(0);

/// How many bytes of a packet are, at most: a multiple of eight.
#[unsafe(no_mangle)]
static CAPTURE_BYTES: Global<u32> = Global::new(0);

/// Each record is a [`Captured`], with room for the packet's bytes behind it.
#[btf_map]
static CAPTURES: RingBuf<Captured, { 1024 * 1024 }> = RingBuf::new();

/// Whether packets are captured.
#[inline(always)]
pub fn is_on() -> bool {
    CAPTURE_RUN.load() != 0
}

/// Takes the next packet of a finding: which of them it is, and whether it is the last. Zero where it is not to be captured.
#[inline(always)]
pub fn take(key: &FindingKey) -> (u32, bool) {
    let most = CAPTURE_PACKETS.load();
    let number = findings::take_to_capture(key, CAPTURE_RUN.load(), most);
    (number, number == most)
}

/// Gives userspace the beginning of a packet, and counts where there is no room.
#[inline(always)]
pub fn write(skb: Skb, key: &FindingKey, sighting: &Sighting, number: u32, flags: u32) {
    // The verifier knows this number, and so the size of the record.
    let most = CAPTURE_BYTES.load();
    let size = size_of::<Captured>() as u64 + u64::from(most);
    // SAFETY: the map is a ring buffer.
    let record = unsafe { bpf_ringbuf_reserve((&raw const CAPTURES).cast_mut().cast(), size, 0) };
    if record.is_null() {
        return losses::add(Loss::CapturesFull);
    }
    let length = skb.length();
    let taken = within(length, most);
    let there = record.cast::<Captured>();
    // SAFETY: so many bytes were reserved; each member of the record is written.
    unsafe {
        let bytes = there.add(1).cast();
        if bpf_skb_load_bytes(skb.as_ptr(), 0, bytes, taken) != 0 {
            bpf_ringbuf_discard(record, 0);
            return losses::add(Loss::CapturesFull);
        }
        copy(&mut (*there).key, key);
        copy(&mut (*there).comm, &sighting.owner.comm);
        (*there).time = bpf_ktime_get_ns();
        (*there).pid = reread(&sighting.owner.pid);
        (*there).length = length;
        (*there).taken = taken;
        let (tag, tag_type) = skb.tag_beside();
        (*there).tag = tag;
        (*there).tag_type = tag_type;
        (*there).origin = reread(&sighting.origin);
        (*there).number = number as u8;
        (*there).flags = flags;
        (*there)._pad = [0; 2];
        bpf_ringbuf_submit(record, 0);
    }
}

/// A number of bytes of at least one and at most so many. Not by the compiler's own comparisons: it makes them of copies of the number,
/// of which the verifier then knows nothing.
#[inline(always)]
fn within(length: u32, most: u32) -> u32 {
    let mut bytes = u64::from(length);
    // SAFETY: it changes a register of its own.
    unsafe {
        asm!(
            "if {bytes} <= {most} goto +1",
            "{bytes} = {most}",
            "if {bytes} > 0 goto +1",
            "{bytes} = 1",
            bytes = inout(reg) bytes,
            most = in(reg) u64::from(most),
            options(nomem, nostack, pure),
        );
    }
    bytes as u32
}
