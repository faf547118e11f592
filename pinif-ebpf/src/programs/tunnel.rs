//! Outer packets of tunnels, recognized by their header. See [`pinif_ebpf::tunnel`].

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    packet::{Packet, ethertype, protocol},
    tunnel::{LocalEnd, Signature, flags},
};

use crate::{
    kernel::{
        devices::{is_encapsulated, is_from_tunnel},
        packet::Skb,
        sock::{AF_PACKET, FullSock, SOCK_RAW, Sock},
    },
    reread,
    state::{names, tunnels},
};

/// What a packet is to its socket.
#[repr(C)]
pub struct Layer {
    /// Not zero: the socket did not write this header; the stack has put it before the packet.
    pub foreign: u32,
    /// What is known of it ([`flags`]), if it is an outer packet of a tunnel.
    pub outer: u32,
    /// Not zero: it was counted on an interface above this one.
    pub carried: u32,
    /// The packet's address in the kernel.
    pub skb: u64,
    /// The namespace that it is in.
    pub netns: NetNsCookie,
}

/// Begins with another packet, in this namespace.
#[inline(always)]
pub fn clear(layer: &mut Layer, netns: NetNsCookie) {
    layer.netns = netns;
    layer.foreign = 0;
    layer.outer = 0;
}

/// Looks whether a packet with a full socket is an outer one. It is, if its header is not the socket's own and is that of
/// a tunnel; of a pinned socket, of one that carries its device. Else whoever it is that put it there, the packet is the
/// socket's (a policy of IPsec, address translation).
#[inline(never)]
pub fn look_at_sent(layer: &mut Layer, skb: Skb, sock: FullSock, packet: Option<&Packet>) -> u32 {
    if !tunnels::any() {
        return 0;
    }
    layer.foreign = u32::from(is_foreign(layer, skb, sock, packet));
    layer.outer = outer(
        skb,
        layer,
        packet,
        sock.bound_device(),
        reread(&layer.foreign) != 0,
    );
    0
}

/// The same for a packet of a request or time-wait socket, which are TCP's.
#[inline(never)]
pub fn look_at_remains(layer: &mut Layer, skb: Skb, sock: Sock, packet: Option<&Packet>) -> u32 {
    if !tunnels::any() {
        return 0;
    }
    let local = LocalEnd {
        protocol: protocol::TCP,
        port: sock.local_port(),
    };
    layer.foreign = u32::from(!packet.is_some_and(|packet| local.may_have_written(packet)));
    layer.outer = outer(
        skb,
        layer,
        packet,
        sock.bound_device(),
        reread(&layer.foreign) != 0,
    );
    0
}

/// The same for a packet without socket, from an address of this host.
#[inline(never)]
pub fn look_at_lone(layer: &mut Layer, skb: Skb, packet: Option<&Packet>) -> u32 {
    if tunnels::any() {
        layer.outer = outer(skb, layer, packet, IfIndex::NONE, true);
    }
    0
}

#[inline(always)]
fn is_foreign(layer: &mut Layer, skb: Skb, sock: FullSock, packet: Option<&Packet>) -> bool {
    if sock.family() == AF_PACKET || sock.kind() == SOCK_RAW {
        // These write what they like.
        layer.skb = skb.address();
        return is_encapsulated(reread(&layer.skb));
    }
    let local = LocalEnd {
        protocol: sock.protocol() as u8,
        port: sock.local_port(),
    };
    !packet.is_some_and(|packet| local.may_have_written(packet))
}

/// Whether the stack put the packet into another, as the outer one of a tunnel that carries the bound device, or of one
/// that userspace does not know yet. Asked again, when the socket's pin seems to be broken: it may know meanwhile.
#[inline(always)]
pub fn is_of_bound(
    skb_address: u64,
    netns: NetNsCookie,
    packet: Option<&Packet>,
    bound: IfIndex,
) -> bool {
    is_encapsulated(skb_address)
        && (names::of(netns, bound).is_none()
            || packet.is_some_and(|packet| {
                let [one, other] = Signature::of(packet);
                found(netns, bound, one) | found(netns, bound, other) != 0
            }))
}

/// A later fragment of UDP may be the socket's own as well: only of a pinned socket, which would not have sent it by
/// another device, it is taken for a tunnel's. What the stack has encapsulated, but no tunnel's device, is no tunnel's,
/// whatever tunnels there are.
#[inline(always)]
fn outer(
    skb: Skb,
    layer: &mut Layer,
    packet: Option<&Packet>,
    bound: IfIndex,
    foreign: bool,
) -> u32 {
    let [one, other] = match packet {
        Some(packet) => {
            if !foreign && !(packet.later_fragment && bound.is_some()) {
                return 0;
            }
            if matches!(packet.protocol, protocol::IPV4 | protocol::IPV6) {
                layer.skb = skb.address();
                let skb_address = reread(&layer.skb);
                if is_encapsulated(skb_address) && !is_from_tunnel(skb_address) {
                    return 0;
                }
            }
            Signature::of(packet)
        }
        None => {
            let kind = skb.ethertype();
            if kind == ethertype::IPV4 || kind == ethertype::IPV6 {
                return 0;
            }
            [Signature::ethertype(kind); 2]
        }
    };
    let netns = reread(&layer.netns);
    found(netns, bound, one) | found(netns, bound, other)
}

#[inline(always)]
fn found(netns: NetNsCookie, upper: IfIndex, signature: Signature) -> u32 {
    tunnels::find(netns, upper, signature).unwrap_or(0)
}

/// Whether the inner packet of an outer one was counted, on the tunnel.
#[inline(always)]
pub fn is_counted(skb: Skb, layer: &Layer) -> bool {
    let outer = reread(&layer.outer);
    if outer & flags::COUNTED == 0 {
        return false;
    }
    outer & flags::TALKS == 0 || skb.has_wireguard_data()
}
