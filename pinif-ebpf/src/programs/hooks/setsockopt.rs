//! `setsockopt()`: which device was asked for, and that a socket is to send past TC egress. Whether the kernel agrees is
//! for the live socket to say.

use aya_ebpf::{macros::cgroup_sockopt, programs::SockoptContext};
use pinif_ebpf::intent::{Name, flag};

use super::{ALLOW, bypass};
use crate::{
    kernel::{
        sock::{AF_PACKET, FullSock},
        sockopt::SockOption,
        task,
    },
    state::records,
};

const SOL_SOCKET: i32 = 1;
const SO_BINDTODEVICE: i32 = 25;
const SO_BINDTOIFINDEX: i32 = 62;

/// Before the kernel acts on a socket option of a process's socket.
#[cgroup_sockopt(setsockopt)]
pub fn pinif_setsockopt(context: SockoptContext) -> i32 {
    let option = SockOption::of(context.sockopt);
    if option.is_done() {
        return ALLOW;
    }
    match option.name() {
        (SOL_SOCKET, SO_BINDTODEVICE) => requested(option, true),
        (SOL_SOCKET, SO_BINDTOIFINDEX) => requested(option, false),
        (bypass::SOL_PACKET, bypass::PACKET_QDISC_BYPASS) if number(value(option)) != 0 => {
            bypasses(option);
        }
        (bypass::SOL_XDP, bypass::XDP_TX_RING) => bypasses(option),
        _ => {}
    }
    if option.about_group().is_some() {
        // A pin may have put its interface into it.
        option.keep();
    } else {
        option.leave();
    }
    ALLOW
}

#[inline(always)]
fn requested(option: SockOption, by_name: bool) {
    let Some(sock) = FullSock::new(option.sock()) else {
        return;
    };
    let Some(record) = records::of_or_insert(sock.as_ptr().cast()) else {
        return;
    };
    task::take_over(record);
    let value = value(option);
    record.flags |= flag::OWNED | flag::REQUESTED;
    if sock.family() != AF_PACKET {
        // Of a packet socket no hook sees the release.
        record.becomes_hooked();
    }
    record.requested_device = Name::of_words(value);
    if by_name {
        record.flags &= !flag::BY_INDEX;
    } else {
        record.flags |= flag::BY_INDEX;
    }
}

#[inline(always)]
fn bypasses(option: SockOption) {
    if let Some(sock) = FullSock::new(option.sock()) {
        bypass::asked(sock);
    }
}

/// The first four bytes, as a number.
#[inline(always)]
fn number(value: [u64; 2]) -> u32 {
    let [a, b, c, d, ..] = value[0].to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

/// The first bytes of the option's value, zeros where it is shorter: the kernel's copy of it has room for 16 bytes at least,
/// and is zero beyond the value (`__cgroup_bpf_run_filter_setsockopt`). `optlen` is not asked: a program that ran before this
/// one may have set it to zero, as this one does.
#[inline(always)]
fn value(option: SockOption) -> [u64; 2] {
    let words = option.double_word(0).zip(option.double_word(8));
    words.map_or([0; 2], |(first, second)| [first, second])
}
