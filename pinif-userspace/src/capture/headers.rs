//! Where a packet's headers end, and what it carries begins.

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice, icmpv6};

/// What is kept of an IP packet whose own headers cannot be read: the longest fixed part of one.
const UNREADABLE: usize = 40;
/// The part of a message of neighbour discovery that comes behind its header: the address that it is about (RFC 4861, 4.3).
const TARGET: usize = 16;

/// How many of the packet's bytes are its headers. With `ethernet`, it begins with the link's.
pub fn length(ethernet: bool, bytes: &[u8]) -> usize {
    let sliced = if ethernet {
        LaxSlicedPacket::from_ethernet(bytes).ok()
    } else {
        LaxSlicedPacket::from_ip(bytes).ok()
    };
    let Some(packet) = sliced else {
        return bytes.len().min(UNREADABLE);
    };
    let behind = |payload: &[u8]| start(bytes, payload);
    match (&packet.transport, &packet.net) {
        (Some(TransportSlice::Tcp(tcp)), _) => behind(tcp.payload()),
        (Some(TransportSlice::Udp(udp)), _) => behind(udp.payload()),
        (Some(TransportSlice::Icmpv4(icmp)), _) => behind(icmp.payload()),
        (Some(TransportSlice::Icmpv6(icmp)), _) => {
            let is_discovery = (icmpv6::TYPE_ROUTER_SOLICITATION..=icmpv6::TYPE_REDIRECT_MESSAGE)
                .contains(&icmp.type_u8());
            let more = if is_discovery { TARGET } else { 0 };
            (behind(icmp.payload()) + more).min(bytes.len())
        }
        (None, Some(LaxNetSlice::Arp(arp))) => start(bytes, arp.slice()) + arp.slice().len(),
        (None, Some(_)) => match packet.ip_payload() {
            Some(payload) => behind(payload.payload),
            None => bytes.len().min(UNREADABLE),
        },
        (None, None) => match packet.ether_payload() {
            Some(payload) if packet.stop_err.is_none() => behind(payload.payload),
            Some(payload) => (behind(payload.payload) + UNREADABLE).min(bytes.len()),
            None => bytes.len().min(UNREADABLE),
        },
    }
}

/// Where a part of bytes begins among them.
fn start(bytes: &[u8], part: &[u8]) -> usize {
    let start = part.as_ptr().addr().checked_sub(bytes.as_ptr().addr());
    let within = start.filter(|start| start + part.len() <= bytes.len());
    within.unwrap_or_else(|| bytes.len().min(UNREADABLE))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    /// The packet with eight bytes in it, and a trailer of the link's.
    fn with_payload(written: impl FnOnce(&mut Vec<u8>, &[u8])) -> Vec<u8> {
        let mut bytes = Vec::new();
        written(&mut bytes, b"password");
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn what_is_carried_is_behind_the_headers() {
        let link = || PacketBuilder::ethernet2(MAC, MAC);
        let (one, other) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let udp = with_payload(|to, payload| {
            let builder = link().ipv4(one, other, 64).udp(7, 9);
            builder.write(to, payload).expect("written");
        });
        assert_eq!(length(true, &udp), 14 + 20 + 8);
        assert_eq!(length(false, &udp[14..]), 20 + 8);
        assert_eq!(length(true, &udp[..44]), 42, "cut");
        let tagged = with_payload(|to, payload| {
            let tag = 100_u16.try_into().expect("a VLAN");
            let builder = link().single_vlan(tag).ipv4(one, other, 64);
            let builder = builder.tcp(7, 9, 1, 1).options_raw(&[1, 1, 1, 1]);
            let builder = builder.expect("options");
            builder.write(to, payload).expect("written");
        });
        assert_eq!(length(true, &tagged), 18 + 20 + 24);
        let echo = with_payload(|to, payload| {
            let builder = link().ipv6([1; 16], [2; 16], 64).icmpv6_echo_request(1, 1);
            builder.write(to, payload).expect("written");
        });
        assert_eq!(length(true, &echo), 14 + 40 + 8);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_cut_within(
            bytes in vec(any::<u8>(), 0..300),
            kind in prop_oneof![Just([8, 0]), Just([0x86, 0xdd]), Just([0x81, 0]), Just([8, 6])],
            version in any::<bool>(),
        ) {
            prop_assert!(length(false, &bytes) <= bytes.len());
            let first = if version { 0x45 } else { 0x60 };
            let frame = [&[2; 12][..], &kind, &[first], &bytes].concat();
            prop_assert!(length(true, &frame) <= frame.len());
            prop_assert!(length(false, &frame[14..]) <= frame.len() - 14);
        }
    }

    #[test]
    fn what_cannot_be_read_is_cut() {
        let mut other = vec![0xee; 100];
        other[12..14].copy_from_slice(&[0x88, 0xb5]);
        assert_eq!(length(true, &other), 14, "of another protocol, the link's");
        other[12..14].copy_from_slice(&[8, 0]);
        assert_eq!(length(true, &other), 54, "no IPv4");
        assert_eq!(length(false, &[0xee; 100]), 40);
        assert_eq!(length(true, &[0xee; 9]), 9);
        assert_eq!(length(false, &[]), 0);
    }
}
