//! A packet of a pinned socket leaves: by the device, or not at all.
//!
//! `IP_PKTINFO`, `IPV6_PKTINFO` and `sin6_scope_id` name another interface than the socket's, and no hook at `sendmsg()`
//! sees them (`struct bpf_sock_addr` has no room for control messages or scopes). So the packet itself is
//! checked, after routing and within the same system call: in `ip_finish_output`. A refusal there is the `EPERM` of that call.

use aya_ebpf::{
    EbpfContext as _, helpers::bpf_get_socket_cookie, macros::cgroup_skb, programs::SkBuffContext,
};
use pinif_ebpf::{
    intent::Name,
    key::{IfIndex, NetNsCookie},
    packet::ethertype,
    pin::{Pin, flag},
};

use crate::{
    ALLOW, REFUSE, member,
    state::{self, read},
};

/// For every packet of a socket of the cgroup, in `ip_finish_output`, `ip6_finish_output` and their like for multicast. What
/// a tunnel makes of it does not come here again, nor what a lower device carries.
#[cgroup_skb(egress)]
pub fn pinif_pin_out(context: SkBuffContext) -> i32 {
    let Some(pin) = state::pin() else {
        return REFUSE;
    };
    let skb = context.skb.skb;
    let interface = IfIndex(member!(skb, ifindex));
    let device = Device::of(context.as_ptr() as u64);
    let may_leave = pin.netns == device.netns
        && (state::allowed_name(interface) == Some(device.name)
            || state::allowed_name(IfIndex::NONE).is_some()
                && is_encrypted(skb, context.as_ptr() as u64))
        || is_rebound(pin, skb);
    let packets = u64::from(member!(skb, gso_segs).max(1));
    let bytes = u64::from(member!(skb, len));
    if may_leave {
        // SAFETY: the context is the kernel's own, and the helper takes it (`bpf_get_socket_cookie`).
        state::sends(unsafe { bpf_get_socket_cookie(context.as_ptr()) });
    }
    state::count_egress(interface, device.name, packets, bytes, may_leave);
    if may_leave { ALLOW } else { REFUSE }
}

/// The device that a packet is about to leave by. The index alone could be another device's by now.
struct Device {
    name: Name,
    netns: NetNsCookie,
}

impl Device {
    #[inline(always)]
    fn of(skb: u64) -> Self {
        let at = state::offsets();
        let device = read::<u64>(skb, at.skb_device);
        let net = read::<u64>(device, at.device_netns);
        Self {
            name: read(device, at.device_name),
            netns: state::netns_cookie(net, &at),
        }
    }
}

/// Whether IPsec has encrypted a packet, so that a route of the outer addresses has chosen its device (`xfrm_output`, which says so in the
/// packet's control block).
#[inline(always)]
fn is_encrypted(context: *mut aya_ebpf::bindings::__sk_buff, skb: u64) -> bool {
    const IPV4_TRANSFORMED: u16 = 1 << 2;
    const IPV6_TRANSFORMED: u16 = 1 << 0;
    let at = state::offsets();
    let flags = |offset| read::<u16>(skb, at.skb_control + offset);
    match u16::from_be(member!(context, protocol) as u16) {
        ethertype::IPV4 => flags(at.ipv4_flags) & IPV4_TRANSFORMED != 0,
        ethertype::IPV6 => at.ipv6_flags != 0 && flags(at.ipv6_flags) & IPV6_TRANSFORMED != 0,
        _ => false,
    }
}

/// Whether the process bound the socket to another device, and may.
#[inline(always)]
fn is_rebound(pin: &Pin, skb: *mut aya_ebpf::bindings::__sk_buff) -> bool {
    if pin.flags & flag::ALLOW_REBIND == 0 {
        return false;
    }
    let sock = member!(skb, __bindgen_anon_2.sk);
    !sock.is_null() && IfIndex(member!(sock, bound_dev_if)) != pin.interface
}
