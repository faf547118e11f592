//! Frames at random, mostly as they should be: so each header is reached, and the damage that follows meets it.

use fastrand::Rng;
use pinif_ebpf::packet::{ethertype, protocol};

/// As much as a frame of ours has.
const ROOM: usize = 512;

/// A frame in memory of its own, which the next one gets again.
#[derive(Clone, Debug)]
pub struct Frame {
    room: [u8; ROOM],
    length: usize,
    /// Where the network header begins, if the frame is long enough; the place of what announces it is two before.
    network: usize,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            room: [0; ROOM],
            length: 0,
            network: 0,
        }
    }
}

impl Frame {
    /// The frame.
    pub fn bytes(&self) -> &[u8] {
        &self.room[..self.length]
    }

    /// The same, to be changed.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.room[..self.length]
    }

    /// Where the network header was put.
    pub(super) fn network(&self) -> usize {
        self.network
    }

    fn clear(&mut self) {
        self.length = 0;
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = (self.length + bytes.len()).min(ROOM);
        let taken = end - self.length;
        self.room[self.length..end].copy_from_slice(&bytes[..taken]);
        self.length = end;
    }

    /// So many bytes at random.
    fn fill(&mut self, random: &mut Rng, many: usize) {
        let end = (self.length + many).min(ROOM);
        for place in self.room[self.length..end].chunks_mut(8) {
            let bytes = random.u64(..).to_ne_bytes();
            place.copy_from_slice(&bytes[..place.len()]);
        }
        self.length = end;
    }
}

/// The protocols that the parser looks into, and some that it does not.
const TRANSPORTS: [u8; 12] = [
    protocol::TCP,
    protocol::UDP,
    protocol::ICMP,
    protocol::ICMPV6,
    protocol::SCTP,
    33,
    136,
    47,
    50,
    59,
    89,
    255,
];
/// IPv6 extension headers (IANA), those that the parser does not follow included.
const EXTENSIONS: [u8; 7] = [0, 43, FRAGMENT, AUTHENTICATION, 60, 135, 139];
/// The fragment header (RFC 8200, 4.5), and the authentication header (RFC 4302), whose lengths are not as the others'.
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
/// More than are followed.
const MOST_EXTENSIONS: usize = 11;

/// Puts another frame there: one in four is damaged.
pub fn generate(random: &mut Rng, frame: &mut Frame) {
    undamaged(random, frame, 3);
    if random.u8(..4) == 0 {
        damage(random, frame);
    }
}

/// A frame with up to so many tags, whose headers are complete, and whose lengths agree.
pub(super) fn undamaged(random: &mut Rng, frame: &mut Frame, tags: usize) {
    frame.clear();
    frame.fill(random, 12);
    if random.u8(..4) == 0 {
        for _ in 0..random.usize(..=tags) {
            let kind = if random.bool() {
                ethertype::VLAN
            } else {
                ethertype::SERVICE_VLAN
            };
            frame.push(&kind.to_be_bytes());
            frame.fill(random, 2);
        }
    }
    let kind = match random.u8(..16) {
        0 => random.u16(..),
        1..8 => ethertype::IPV4,
        _ => ethertype::IPV6,
    };
    frame.push(&kind.to_be_bytes());
    frame.network = frame.length;
    match kind {
        ethertype::IPV4 => v4(random, frame),
        ethertype::IPV6 => v6(random, frame),
        _ => frame.fill(random, 60),
    }
}

/// Writes into the network header how long the frame is behind it.
pub(super) fn set_length(frame: &mut Frame) {
    let at = frame.network;
    let length = (frame.length - at) as u16;
    match frame.room[at - 2..at] {
        [0x08, 0x00] => frame.room[at + 2..at + 4].copy_from_slice(&length.to_be_bytes()),
        [0x86, 0xdd] => {
            let payload = length.saturating_sub(40);
            frame.room[at + 4..at + 6].copy_from_slice(&payload.to_be_bytes());
        }
        _ => (),
    }
}

fn v4(random: &mut Rng, frame: &mut Frame) {
    let options = if random.bool() {
        0
    } else {
        random.usize(..=10)
    };
    let protocol = TRANSPORTS[random.usize(..TRANSPORTS.len())];
    let start = frame.length;
    frame.fill(random, 20 + options * 4);
    let header = &mut frame.room[start..];
    header[0] = 0x45 + options as u8;
    if random.u8(..4) != 0 {
        // Not a fragment, or the first.
        header[6] &= 0xe0;
        header[7] = 0;
    }
    header[9] = protocol;
    transport(random, frame, protocol);
    set_length(frame);
}

fn v6(random: &mut Rng, frame: &mut Frame) {
    let start = frame.length;
    frame.fill(random, 40);
    frame.room[start] = 0x60 | frame.room[start] & 0x0f;
    let mut announced = start + 6;
    let extensions = if random.bool() {
        0
    } else {
        random.usize(..=MOST_EXTENSIONS)
    };
    for _ in 0..extensions {
        let kind = EXTENSIONS[random.usize(..EXTENSIONS.len())];
        frame.room[announced] = kind;
        announced = frame.length;
        extension(random, frame, kind);
    }
    let protocol = TRANSPORTS[random.usize(..TRANSPORTS.len())];
    if announced < ROOM {
        frame.room[announced] = protocol;
    }
    transport(random, frame, protocol);
    set_length(frame);
}

fn extension(random: &mut Rng, frame: &mut Frame, kind: u8) {
    let start = frame.length;
    if start + 64 > ROOM {
        return;
    }
    match kind {
        FRAGMENT => {
            frame.fill(random, 8);
            if random.u8(..4) != 0 {
                frame.room[start + 2] = 0;
                frame.room[start + 3] &= 0x07;
            }
        }
        AUTHENTICATION => {
            let words = random.u8(..6);
            frame.fill(random, (usize::from(words) + 2) * 4);
            frame.room[start + 1] = words;
        }
        _ => {
            let eights = random.u8(..3);
            frame.fill(random, (usize::from(eights) + 1) * 8);
            frame.room[start + 1] = eights;
        }
    }
}

fn transport(random: &mut Rng, frame: &mut Frame, protocol: u8) {
    let start = frame.length;
    frame.fill(random, 24);
    if matches!(protocol, protocol::ICMP | protocol::ICMPV6) && random.bool() && start < ROOM {
        frame.room[start] = if protocol == protocol::ICMP { 8 } else { 128 };
    }
}

/// Flips bytes, or cuts it short, or both.
fn damage(random: &mut Rng, frame: &mut Frame) {
    if random.bool() {
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..frame.length);
            frame.room[at] = random.u8(..);
        }
    } else {
        cut(random, frame, 0);
    }
}

/// Cuts it anywhere behind so many bytes.
pub(super) fn cut(random: &mut Rng, frame: &mut Frame, behind: usize) {
    frame.length = random.usize(behind..=frame.length);
}
