//! A packet of the command reaches a device: only then it left. What `pinif_pin_out` lets pass may still wait for a neighbour that
//! does not answer (`neigh_resolve_output`), or be dropped before the device.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use pinif_ebpf::{intent::Name, key::IfIndex};

use crate::state::{self, read};

/// `TCP_NEW_SYN_RECV`: a request socket, whose listener's the packet is.
const NEW_SYN_RECV: u8 = 12;

/// `TCP_TIME_WAIT`.
const TIME_WAIT: u8 = 6;

/// In `__dev_queue_xmit`, for each packet of this machine: after TC egress, before the queueing discipline. It is attached by
/// `pinif run` alone, for as long as the command runs, and looks at packets only.
#[raw_tracepoint(tracepoint = "net_dev_queue")]
pub fn pinif_pin_arr(context: RawTracePointContext) -> i32 {
    let skb = context.arg::<u64>(0);
    let at = state::offsets();
    let mut sock = read::<u64>(skb, at.skb_sock);
    if sock == 0 {
        return 0;
    }
    match read::<u8>(sock, at.sock_state) {
        NEW_SYN_RECV => sock = read(sock, at.request_listener),
        // It has the cookie of the connection that it was, and cgroups do not see what it sends.
        TIME_WAIT => return 0,
        _ => {}
    }
    if !state::is_sender(read(sock, at.sock_cookie)) {
        return 0;
    }
    let device = read::<u64>(skb, at.skb_device);
    let interface = IfIndex(read(device, at.device_index));
    // On another device, below this one or in another namespace, it was counted before.
    if state::allowed_name(interface) == Some(read::<Name>(device, at.device_name)) {
        // `skb_shinfo()`: the end is an offset on machines of 64 bits.
        let shared = read::<u64>(skb, at.skb_head) + u64::from(read::<u32>(skb, at.skb_end));
        let packets = u64::from(read::<u16>(shared, at.shared_segments).max(1));
        state::count_arrival(interface, packets);
    }
    0
}
