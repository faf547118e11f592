//! Who receives a packet that arrived: the socket that the kernel's own look-up finds.
//!
//! The look-up takes the interface into account, so that a socket which is bound to another device is not found, as the
//! packet would not be given to it (`inet_bound_dev_eq`). Whether netfilter or `rp_filter` drop the packet first, the hook at the sockets sees.

use core::{ffi::c_void, mem};

use aya_ebpf::{
    bindings::{bpf_sock, bpf_sock_tuple},
    helpers::generated::{
        bpf_sk_lookup_tcp, bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp,
    },
};
use pinif_ebpf::{
    key::{Address, IfIndex, SocketCookie},
    packet::{Packet, protocol},
    policy::{Active, Dimension, RuleSet},
    sighting::{Origin, Sighting},
};

use crate::{
    kernel::{cgroup, packet::Skb, sock::FullSock, struct_sock},
    reread,
    sender::{from_record, reset},
    state::{awaited, policy, records},
};

/// `BPF_F_CURRENT_NETNS`: the namespace of the interface.
const HERE: u64 = u64::MAX;
/// Bytes of an IPv4 tuple.
const V4_TUPLE: u32 = 12;

/// Writes the socket that receives the packet into the sighting, and gives the device that it is bound to. The origin is
/// the process's where a socket is found, the kernel's where there is no look-up (only TCP and UDP have one), and none
/// where no socket is found.
///
/// `is_awaited` is not zero where a hook sees whether the socket is given the packet. Where a rule asks for cgroups, the socket's is in `cgroup`, for [`look_at_cgroup`]; else zero.
#[inline(always)]
pub fn write(
    sighting: &mut Sighting,
    skb: Skb,
    packet: &Packet,
    cgroup: &mut u64,
    is_awaited: &mut u32,
    active: &Active,
) -> IfIndex {
    reset(sighting);
    *is_awaited = 0;
    sighting.cookie = SocketCookie(0);
    sighting.socket_inode = 0;
    *cgroup = 0;
    if packet.later_fragment || !matches!(packet.protocol, protocol::TCP | protocol::UDP) {
        sighting.origin = Origin::Kernel as u8;
        return IfIndex::NONE;
    }
    let mut tuple = tuple(packet);
    let size = if is_v4(&packet.destination) {
        V4_TUPLE
    } else {
        size_of::<bpf_sock_tuple>() as u32
    };
    let is_tcp = packet.protocol == protocol::TCP;
    let flags = skb.set_flags_aside();
    // SAFETY: the helpers take the context, and a tuple of this size. A socket is given back below.
    let found = unsafe {
        if is_tcp {
            bpf_sk_lookup_tcp(skb.as_ptr(), &raw mut tuple, size, HERE, 0)
        } else {
            bpf_sk_lookup_udp(skb.as_ptr(), &raw mut tuple, size, HERE, 0)
        }
    };
    skb.write_flags(flags);
    if let Some(sock) = FullSock::new(found) {
        let bound = write_found(sighting, sock, cgroup, is_awaited, active);
        release(found);
        return bound;
    }
    if is_tcp {
        let flags = skb.set_flags_aside();
        // SAFETY: as above.
        let remains = unsafe { bpf_skc_lookup_tcp(skb.as_ptr(), &raw mut tuple, size, HERE, 0) };
        skb.write_flags(flags);
        if !remains.is_null() {
            // A connection in TIME_WAIT. Through a map: the verifier allows no arithmetic on the pointer itself.
            sighting.socket_inode = remains as u64;
            let address = reread(&sighting.socket_inode);
            sighting.cookie = SocketCookie(struct_sock::cookie_of(address));
            let bound = struct_sock::bound_device_of(address);
            release(remains);
            sighting.socket_inode = 0;
            if let Some(record) = records::of_closed(sighting.cookie) {
                from_record(sighting, record);
            }
            sighting.origin = Origin::Process as u8;
            return bound;
        }
    }
    IfIndex::NONE
}

#[inline(always)]
fn release(sock: *mut bpf_sock) {
    // SAFETY: it was looked up, and is not used any more.
    unsafe { bpf_sk_release(sock.cast::<c_void>()) };
}

/// Writes a socket that was found.
#[inline(always)]
fn write_found(
    sighting: &mut Sighting,
    sock: FullSock,
    cgroup: &mut u64,
    is_awaited: &mut u32,
    active: &Active,
) -> IfIndex {
    let (family, kind, bound) = (sock.family(), sock.kind(), sock.bound_device());
    // Through a map: the verifier allows no arithmetic on the pointer itself.
    sighting.socket_inode = sock.as_ptr() as u64;
    let address = reread(&sighting.socket_inode);
    let record = records::of(sock.as_ptr().cast());
    *is_awaited = u32::from(awaited::is_seen(record.as_deref()));
    match record {
        Some(record) => from_record(sighting, record),
        None if struct_sock::is_kernels(address, kind) => sighting.origin = Origin::Kernel as u8,
        None => {
            sighting.origin = Origin::Process as u8;
            if let Some(user) = struct_sock::user_of(address) {
                sighting.owner.uid = user;
            }
        }
    }
    sighting.cookie = SocketCookie(struct_sock::cookie_of(address));
    sighting.socket_inode = struct_sock::inode_of(address);
    sighting.family = family as u16;
    sighting.socket_type = kind as u16;
    if active.looks_at(Dimension::Cgroup) {
        *cgroup = cgroup::of(address).unwrap_or(0);
    }
    bound
}

/// Takes the rules that name a cgroup, and goes on to the one above where none does. False at the end: the deepest that a rule
/// names is the one that counts. No helper gives the cgroup of a socket that was looked up.
#[inline(always)]
pub fn look_at_cgroup(cgroup: &mut u64, rules: &mut RuleSet, active: &Active) -> bool {
    let this = reread(cgroup);
    if this == 0 {
        return false;
    }
    if let Some(found) = policy::by_cgroup(active.slot, cgroup::id(this)) {
        *rules = *found;
        return false;
    }
    *cgroup = cgroup::above(this).unwrap_or(0);
    true
}

#[inline(always)]
fn is_v4(address: &Address) -> bool {
    address.0[..12] == Address::v4([0; 4]).0[..12]
}

/// The packet's addresses and ports, as they are in it.
#[inline(always)]
fn tuple(packet: &Packet) -> bpf_sock_tuple {
    // SAFETY: integers only.
    let mut tuple: bpf_sock_tuple = unsafe { mem::zeroed() };
    let (sport, dport) = (packet.source_port.to_be(), packet.destination_port.to_be());
    let (from, to) = (words(&packet.source), words(&packet.destination));
    if is_v4(&packet.destination) {
        tuple.__bindgen_anon_1.ipv4.saddr = from[3];
        tuple.__bindgen_anon_1.ipv4.daddr = to[3];
        tuple.__bindgen_anon_1.ipv4.sport = sport;
        tuple.__bindgen_anon_1.ipv4.dport = dport;
    } else {
        tuple.__bindgen_anon_1.ipv6.saddr = from;
        tuple.__bindgen_anon_1.ipv6.daddr = to;
        tuple.__bindgen_anon_1.ipv6.sport = sport;
        tuple.__bindgen_anon_1.ipv6.dport = dport;
    }
    tuple
}

#[inline(always)]
fn words(address: &Address) -> [u32; 4] {
    // SAFETY: sixteen bytes either way, of any values.
    unsafe { mem::transmute::<[u8; 16], [u32; 4]>(address.0) }
}
