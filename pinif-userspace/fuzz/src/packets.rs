//! Frames that are valid, odd or damaged, read by the parser that the programs have, and by others: etherparse, and the kernel itself.

mod generate;
pub mod kernel;
mod reference;

use std::cell::Cell;

use fastrand::Rng;
pub use generate::{Frame, generate};
use pinif_ebpf::packet::{
    Bytes, Header, NotParsed, Packet,
    base::{self, Base},
    ethertype, parse, protocol, untag,
};

/// What the parser makes of a frame.
pub type Parsed = Result<Packet, NotParsed>;

/// Reads a frame, and compares what comes of it with what etherparse makes of the same bytes.
///
/// # Panics
///
/// Where the parser does, where it reads what it should not, where what it says depends on anything but the frame, and where it is
/// another than etherparse's.
pub fn try_out(frame: &[u8]) -> Parsed {
    let parsed = read(frame);
    reference::compare(frame, parsed);
    parsed
}

/// What the parser makes of a frame, as the egress program calls it: behind the tags, by the ethertype there.
pub fn read(frame: &[u8]) -> Parsed {
    let whole = Slice::new(frame);
    let (kind, start) = untag(&whole)?;
    let behind = Slice::new(&frame[start..]);
    let mut found = Packet::default();
    let parsed = parse(kind, &behind, &mut found).map(|()| found);
    check(kind, &behind, parsed);
    parsed
}

/// What holds of every packet.
fn check(kind: u16, bytes: &Slice<'_>, parsed: Parsed) {
    // The fixed header, eight extension headers, and the transport's.
    assert!(bytes.loads.get() <= 10, "it reads too often");
    // What was there before must not show.
    let mut found = Packet {
        source_port: 7,
        destination_port: 7,
        protocol: 7,
        later_fragment: true,
        icmp_type: 7,
        ..Packet::default()
    };
    let again = parse(kind, bytes, &mut found).map(|()| found);
    assert_eq!(again, parsed);
    let mut base = Base::default();
    let has_base = base::read(kind, bytes, &mut base);
    let Ok(packet) = parsed else {
        let is_ip = kind == ethertype::IPV4 || kind == ethertype::IPV6;
        assert_eq!(parsed == Err(NotParsed::NotIp), !is_ip);
        return;
    };
    assert!(has_base);
    assert_eq!(
        (base.source, base.destination),
        (packet.source, packet.destination)
    );
    if kind == ethertype::IPV4 {
        assert_eq!(
            (base.next, base.later_fragment),
            (packet.protocol, packet.later_fragment)
        );
    }
    let ports = (packet.source_port, packet.destination_port);
    let is_icmp = matches!(packet.protocol, protocol::ICMP | protocol::ICMPV6);
    if packet.later_fragment || !protocol::has_ports(packet.protocol) && !is_icmp {
        assert_eq!(ports, (0, 0));
    }
    if packet.later_fragment || !is_icmp {
        assert_eq!(packet.icmp_type, 0);
    }
    if is_icmp {
        assert_eq!(packet.destination_port, 0);
    }
}

/// A packet in a slice, as the kernel's `bpf_skb_load_bytes` would give it.
struct Slice<'a> {
    bytes: &'a [u8],
    loads: Cell<usize>,
}

impl<'a> Slice<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            loads: Cell::new(0),
        }
    }
}

impl Bytes for Slice<'_> {
    fn load<T: Header>(&self, offset: usize) -> Option<T> {
        self.loads.set(self.loads.get() + 1);
        let bytes = self.bytes.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of `T`, and any bytes are a valid `Header`.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

/// How many there were of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Read to the end.
    pub parsed: u64,
    /// Of these, with ports, or the type of an ICMP message.
    pub with_transport: u64,
    /// Cut short, or with too many headers.
    pub malformed: u64,
    /// No IP packet.
    pub not_ip: u64,
}

/// Tries frames out, as many as are said; the same for a seed.
///
/// # Panics
///
/// As of [`try_out`]. The frame is printed.
pub fn run(seed: u64, count: u64) -> Tally {
    let mut random = Rng::with_seed(seed);
    let mut frame = Frame::default();
    let mut tally = Tally::default();
    for _ in 0..count {
        generate(&mut random, &mut frame);
        match try_out(frame.bytes()) {
            Ok(packet) => {
                tally.parsed += 1;
                let words = (packet.source_port, packet.destination_port);
                tally.with_transport += u64::from(words != (0, 0) || packet.icmp_type != 0);
            }
            Err(NotParsed::Malformed) => tally.malformed += 1,
            Err(NotParsed::NotIp) => tally.not_ip += 1,
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_etherparse_reads_them() {
        let tally = run(1, 100_000);
        // Of each, there are enough to say something.
        let least = [tally.with_transport, tally.malformed, tally.not_ip];
        assert!(least.iter().all(|many| *many > 2_000), "{tally:?}");
    }
}
