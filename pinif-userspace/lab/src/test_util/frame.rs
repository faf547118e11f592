//! Frames and packets by hand, for packet sockets: what no ordinary socket would send.

use std::net::SocketAddr;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const PROTOCOL_UDP: u8 = 17;
const HOP_LIMIT: u8 = 64;

/// An IEEE 802.1Q tag (C-tag), or the outer one of two (S-tag, IEEE 802.1ad).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vlan {
    /// `0x8100`, with the VLAN's number.
    Customer(u16),
    /// `0x88a8`, with the VLAN's number.
    Service(u16),
}

impl Vlan {
    fn header(self) -> [u8; 4] {
        let (kind, id) = match self {
            Self::Customer(id) => (0x8100_u16, id),
            Self::Service(id) => (0x88a8, id),
        };
        let ([a, b], [c, d]) = (kind.to_be_bytes(), (id & 0x0fff).to_be_bytes());
        [a, b, c, d]
    }
}

/// An Ethernet frame.
#[derive(Clone, Debug, Default)]
pub struct Ethernet {
    /// The MAC address of the receiver.
    pub destination: [u8; 6],
    /// The MAC address of the sender.
    pub source: [u8; 6],
    /// Its VLAN tags, the outermost first.
    pub tags: Vec<Vlan>,
}

impl Ethernet {
    /// The frame around an IPv4 or IPv6 packet.
    pub fn around(&self, packet: &[u8]) -> Vec<u8> {
        let kind = if packet.first().is_some_and(|first| first >> 4 == 6) {
            ETHERTYPE_IPV6
        } else {
            ETHERTYPE_IPV4
        };
        let mut frame = [self.destination, self.source].concat();
        frame.extend(self.tags.iter().flat_map(|tag| tag.header()));
        frame.extend(kind.to_be_bytes());
        frame.extend(packet);
        frame
    }
}

/// A UDP datagram in an IP packet, with its checksums; IPv4 or IPv6 as `source` is. `None` if the families differ or the
/// payload is too long for one packet.
pub fn udp_packet(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(payload.len() + 8).ok()?;
    let mut datagram = Vec::with_capacity(usize::from(length));
    for field in [source.port(), destination.port(), length, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(payload);

    let mut pseudo = u32::from(PROTOCOL_UDP) + u32::from(length);
    let mut packet = match (source, destination) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            let [a, b] = length.checked_add(20)?.to_be_bytes();
            let mut header = vec![0x45, 0, a, b, 0, 0, 0x40, 0, HOP_LIMIT, PROTOCOL_UDP, 0, 0];
            header.extend(from.ip().octets());
            header.extend(to.ip().octets());
            let check = checksum(0, &header);
            header[10..12].copy_from_slice(&check.to_be_bytes());
            header
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            let [a, b] = length.to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, a, b, PROTOCOL_UDP, HOP_LIMIT];
            header.extend(from.ip().octets());
            header.extend(to.ip().octets());
            header
        }
        _ => return None,
    };
    let addresses = if source.is_ipv4() { 12 } else { 8 };
    pseudo += sum(&packet[addresses..]);
    // RFC 768: a sum of zero is sent as all ones.
    let check = match checksum(pseudo, &datagram) {
        0 => u16::MAX,
        other => other,
    };
    datagram[6..8].copy_from_slice(&check.to_be_bytes());
    packet.extend(datagram);
    Some(packet)
}

/// The Internet checksum (RFC 1071).
fn checksum(initial: u32, bytes: &[u8]) -> u16 {
    let mut total = initial + sum(bytes);
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    // Folded above to sixteen bits.
    !(total as u16)
}

fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| {
            u32::from(u16::from_be_bytes([
                pair[0],
                pair.get(1).copied().unwrap_or(0),
            ]))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_over_a_checked_header_is_zero() {
        let packet = udp_packet(
            "10.0.0.1:4000".parse().expect("an address"),
            "10.0.0.2:9".parse().expect("an address"),
            b"odd",
        )
        .expect("a packet");
        assert_eq!(packet.len(), 20 + 8 + 3);
        assert_eq!(checksum(0, &packet[..20]), 0);
        let pseudo = u32::from(PROTOCOL_UDP) + 11 + sum(&packet[12..20]);
        assert_eq!(checksum(pseudo, &packet[20..]), 0);
    }

    #[test]
    fn tags_stand_between_the_addresses_and_the_type() {
        let ethernet = Ethernet {
            tags: vec![Vlan::Service(7), Vlan::Customer(42)],
            ..Ethernet::default()
        };
        let frame = ethernet.around(&[0x60]);
        assert_eq!(
            frame[12..],
            [0x88, 0xa8, 0, 7, 0x81, 0, 0, 42, 0x86, 0xdd, 0x60]
        );
    }

    #[test]
    fn families_do_not_mix() {
        let (v4, v6) = (
            "10.0.0.1:1".parse().expect("an address"),
            "[::1]:1".parse().expect("an address"),
        );
        assert_eq!(udp_packet(v4, v6, b""), None);
    }
}
