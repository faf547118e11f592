//! Frames, as they are at an interface.

use std::net::{IpAddr, SocketAddr};

/// `IPPROTO_UDP`.
pub const UDP: u8 = 17;
/// `IPPROTO_TCP`.
pub const TCP: u8 = 6;
/// The length of an Ethernet header.
pub const ETHERNET: u32 = 14;
/// What is behind the IP header.
const PAYLOAD: u16 = 64;

/// Who sends to whom.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub protocol: u8,
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// How many segments the kernel or the card makes of it; zero of what is none of TCP's (`skb_shared_info.gso_segs`).
    pub segments: u32,
}

impl Flow {
    /// The packets of a flow.
    pub fn new(protocol: u8, from: (IpAddr, u16), to: (IpAddr, u16)) -> Self {
        Self {
            protocol,
            from: from.into(),
            to: to.into(),
            segments: u32::from(protocol == TCP),
        }
    }

    /// The ethertype, in the byte order of the host.
    pub fn ethertype(&self) -> u16 {
        if self.from.is_ipv4() { 0x0800 } else { 0x86dd }
    }

    /// An Ethernet frame of this flow.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = vec![0x02; 12];
        frame.extend(self.ethertype().to_be_bytes());
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend([0x45, 0]);
                frame.extend((20 + PAYLOAD).to_be_bytes());
                frame.extend([0, 0, 0x40, 0, 64, self.protocol, 0, 0]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            (from, to) => {
                frame.extend([0x60, 0, 0, 0]);
                frame.extend(PAYLOAD.to_be_bytes());
                frame.extend([self.protocol, 64]);
                frame.extend(v6(from));
                frame.extend(v6(to));
            }
        }
        let mut behind = [0; PAYLOAD as usize];
        behind[..2].copy_from_slice(&self.from.port().to_be_bytes());
        behind[2..4].copy_from_slice(&self.to.port().to_be_bytes());
        // TCP: a header of 20 bytes. UDP: zeros in the checksum.
        if self.protocol == TCP {
            behind[12] = 0x50;
        }
        frame.extend(behind);
        frame
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
