//! Which finding a packet on its way out is of, and what its first packet says of it.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use pinif_ebpf::{
    packet::Packet,
    sighting::{FindingKey, Origin, Sighting},
    subject::{KernelPacket, SubjectKey},
    verdict::{Decision, KindSet},
};

use crate::{
    kernel::{packet::Skb, sock::Sock, struct_sock},
    reread,
    state::owners::local,
    words::{clear, copy},
};

/// What was decided of the packet that key and sighting are of.
#[inline(always)]
pub fn decision(key: &FindingKey, sighting: &Sighting) -> Decision {
    Decision {
        kind: reread(&key.kind),
        severity: reread(&key.severity),
        also: KindSet(reread(&sighting.also)),
        rule: reread(&sighting.rule),
        source_owner: reread(&sighting.source_owner),
    }
}

/// Writes what makes the finding one thing to fix, beside the verdict and the interfaces: who is at fault, and the rule.
///
/// A copy has its original's subject. A function of its own, since the stack is 512 bytes for the deepest chain of calls.
#[inline(never)]
pub fn write_identity(
    skb: Skb,
    key: &mut FindingKey,
    sighting: &Sighting,
    packet: Option<&Packet>,
    is_outer: bool,
) -> u32 {
    let origin = reread(&sighting.origin);
    let is_copy = origin == Origin::None as u8 && reread(&sighting.cookie).0 != 0;
    let arrived = skb.arrived();
    key.subject = if origin == Origin::Process as u8 || is_copy {
        SubjectKey::program(&sighting.owner)
    } else if origin == Origin::None as u8 && !is_outer && arrived.is_some() {
        SubjectKey::forwarded(arrived, packet.map_or(0, |packet| packet.protocol))
    } else {
        match packet {
            Some(packet) => {
                let address = local(key.netns, &packet.source);
                SubjectKey::kernel(KernelPacket::of(packet, is_outer), address)
            }
            None => SubjectKey::kernel(KernelPacket::NotIp, [0; 2]),
        }
    };
    0
}

/// Writes what a finding shows of its first packet.
#[inline(always)]
pub fn describe(sighting: &mut Sighting, skb: Skb, packet: Option<&Packet>) {
    // SAFETY: the helper has no arguments.
    sighting.time = unsafe { bpf_ktime_get_ns() };
    sighting.mark = skb.mark();
    sighting.arrived = skb.arrived();
    sighting.socket_inode = 0;
    if let Some(sock) = Sock::new(skb.sock()).and_then(Sock::full) {
        // Through a map: the verifier allows no arithmetic on the pointer itself.
        sighting.socket_inode = sock.as_ptr() as u64;
        sighting.socket_inode = struct_sock::inode_of(reread(&sighting.socket_inode));
    }
    match packet {
        Some(packet) => describe_flow(sighting, packet),
        None => {
            clear(&mut sighting.source);
            clear(&mut sighting.destination);
            sighting.source_port = 0;
            sighting.destination_port = 0;
            sighting.protocol = 0;
            sighting.tos = 0;
        }
    }
}

/// Writes a packet's ends and protocol.
#[inline(always)]
pub fn describe_flow(sighting: &mut Sighting, packet: &Packet) {
    copy(&mut sighting.source, &packet.source);
    copy(&mut sighting.destination, &packet.destination);
    sighting.source_port = packet.source_port;
    sighting.destination_port = packet.destination_port;
    sighting.protocol = packet.protocol;
    sighting.tos = packet.tos;
}
