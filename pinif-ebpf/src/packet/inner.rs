//! The packet inside another, where its header comes next: behind an IP header with its extensions, or behind labels of MPLS. What is in UDP, in GRE
//! or in an Ethernet frame is not looked for.

use super::{Bytes, Header, NotParsed, Packet, ethertype, network_v4, network_v6, parse, protocol};

/// How many labels of MPLS are followed (`MAX_NEW_LABELS` in net/mpls/internal.h is as many less two).
const MAX_LABELS: usize = 32;

/// Whether a packet with these headers, or without any and of this ethertype, may have one inside.
#[inline(always)]
pub fn may_carry(packet: Option<&Packet>, kind: impl FnOnce() -> u16) -> bool {
    match packet {
        Some(packet) => has_ip_inside(packet),
        None => kind() == ethertype::MPLS,
    }
}

/// Whether another IP header comes behind these headers.
#[inline(always)]
const fn has_ip_inside(headers: &Packet) -> bool {
    matches!(headers.protocol, protocol::IPV4 | protocol::IPV6) && !headers.later_fragment
}

/// Where the packet begins that is inside one of this ethertype, in bytes from its network header on. `headers` is overwritten.
///
/// # Errors
///
/// [`NotParsed::NotIp`] where something else follows, [`NotParsed::Malformed`] for a broken packet.
#[inline(always)]
pub fn inner_start(
    kind: u16,
    packet: &impl Bytes,
    headers: &mut Packet,
) -> Result<usize, NotParsed> {
    let start = match kind {
        ethertype::IPV4 => network_v4(packet, headers)?,
        ethertype::IPV6 => network_v6(packet, headers)?,
        ethertype::MPLS => return behind_labels(packet),
        _ => return Err(NotParsed::NotIp),
    };
    if has_ip_inside(headers) {
        Ok(start)
    } else {
        Err(NotParsed::NotIp)
    }
}

/// The last label has the bottom of the stack set (RFC 3032, 2.1).
#[inline(always)]
fn behind_labels(packet: &impl Bytes) -> Result<usize, NotParsed> {
    for label in 0..MAX_LABELS {
        let [_, _, bottom, _] = packet
            .load::<[u8; 4]>(label * 4)
            .ok_or(NotParsed::Malformed)?;
        if bottom & 1 != 0 {
            return Ok((label + 1) * 4);
        }
    }
    Err(NotParsed::Malformed)
}

/// Reads the headers of the packet that begins so many bytes behind the network header, whose version says which it is.
///
/// # Errors
///
/// As of [`parse`].
#[inline(always)]
pub fn parse_inner(start: usize, packet: &impl Bytes, found: &mut Packet) -> Result<(), NotParsed> {
    let [version] = packet.load::<[u8; 1]>(start).ok_or(NotParsed::Malformed)?;
    let kind = match version >> 4 {
        4 => ethertype::IPV4,
        6 => ethertype::IPV6,
        _ => return Err(NotParsed::NotIp),
    };
    parse(kind, &Behind { packet, start }, found)
}

/// A packet from so many bytes on.
struct Behind<'a, P> {
    packet: &'a P,
    start: usize,
}

impl<P: Bytes> Bytes for Behind<'_, P> {
    #[inline(always)]
    fn load<T: Header>(&self, offset: usize) -> Option<T> {
        self.packet.load(self.start + offset)
    }
}
