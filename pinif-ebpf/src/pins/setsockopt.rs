//! `setsockopt()`: a pinned socket stays bound to its device, and joins groups there.

use aya_ebpf::{
    bindings::bpf_sockopt, helpers::generated::bpf_get_current_task, macros::cgroup_sockopt,
    programs::SockoptContext,
};
use pinif_ebpf::{
    intent::{NAME_LENGTH, Name},
    key::IfIndex,
    pin::{Attempt, Pin, attempt, flag},
};

use crate::{
    ALLOW, REFUSE,
    groups::{self, Outcome},
    member, state, subflow,
};

pub const SOL_SOCKET: i32 = 1;
pub const SO_BINDTODEVICE: i32 = 25;
const SO_BINDTOIFINDEX: i32 = 62;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// The kernel is done with the option, successfully (`__cgroup_bpf_run_filter_setsockopt`).
const DONE: i32 = -1;
/// The kernel takes the caller's own buffer, whatever its length.
const UNTOUCHED: i32 = 0;

/// Before the kernel acts on a socket option of a process's socket.
#[cgroup_sockopt(setsockopt)]
pub fn pinif_pin_opt(context: SockoptContext) -> i32 {
    let option = context.sockopt;
    let (outcome, answer) = match asked(option) {
        Some((device, index)) => judge(option, device, index),
        None => join(option),
    };
    // SAFETY: the context is writable here.
    unsafe { (&raw mut (*option).optlen).write_volatile(outcome) };
    answer
}

/// The device that the option asks for, by name or by index; neither, to unbind. None of another option.
#[inline(always)]
fn asked(option: *mut bpf_sockopt) -> Option<(Name, IfIndex)> {
    if member!(option, level) != SOL_SOCKET {
        return None;
    }
    match member!(option, optname) {
        SO_BINDTODEVICE => Some((Name(value(option)), IfIndex::NONE)),
        SO_BINDTOIFINDEX => {
            let value = value(option);
            let index = u32::from_ne_bytes([value[0], value[1], value[2], value[3]]);
            Some((Name([0; NAME_LENGTH]), IfIndex(index)))
        }
        _ => None,
    }
}

#[inline(always)]
fn judge(option: *mut bpf_sockopt, device: Name, index: IfIndex) -> (i32, i32) {
    let Some(pin) = state::pin() else {
        return (UNTOUCHED, REFUSE);
    };
    let sock = member!(option, __bindgen_anon_1.sk);
    if sock.is_null() {
        return (UNTOUCHED, REFUSE);
    }
    if !matches!(member!(sock, family), AF_INET | AF_INET6) {
        return (UNTOUCHED, ALLOW);
    }
    if is_pinned_to(pin, device, index) {
        // A process without CAP_NET_RAW may bind a socket, but not one that is bound (`sock_bindtoindex_locked`): what
        // is so already is well.
        let is_so = IfIndex(member!(sock, bound_dev_if)) == pin.interface
            && subflow::of_connection(sock).is_none_or(|bound| bound == pin.interface);
        return (if is_so { DONE } else { UNTOUCHED }, ALLOW);
    }
    if pin.flags & flag::ALLOW_REBIND != 0 {
        return (UNTOUCHED, ALLOW);
    }
    attempted(device, index, attempt::BIND);
    (UNTOUCHED, REFUSE)
}

/// Whether a group may be joined, and where: of another option, the kernel takes what it is given.
#[inline(always)]
fn join(option: *mut bpf_sockopt) -> (i32, i32) {
    let Some(pin) = state::pin() else {
        return (UNTOUCHED, REFUSE);
    };
    match groups::judge(option, pin) {
        None => (UNTOUCHED, ALLOW),
        Some(Outcome::AsItIs) => (groups::kept(option), ALLOW),
        Some(Outcome::Rewritten(length)) => (length, ALLOW),
        Some(Outcome::Another(index)) if pin.flags & flag::ALLOW_REBIND != 0 && index.is_some() => {
            (UNTOUCHED, ALLOW)
        }
        Some(Outcome::Another(index)) => {
            attempted(Name([0; NAME_LENGTH]), index, attempt::JOIN);
            (UNTOUCHED, REFUSE)
        }
    }
}

#[inline(always)]
fn attempted(device: Name, index: IfIndex, what: u32) {
    let at = state::offsets();
    // By the task itself: before Linux 5.15, hooks on socket options have no helpers for it.
    // SAFETY: the helper has no arguments.
    let task = unsafe { bpf_get_current_task() };
    state::attempted(&Attempt {
        comm: Name(state::read(task, at.task_comm)),
        device,
        pid: state::read(task, at.task_tgid),
        index,
        what,
        _pad: 0,
    });
}

#[inline(always)]
fn is_pinned_to(pin: &Pin, device: Name, index: IfIndex) -> bool {
    if !pin.interface.is_some() {
        return false;
    }
    index == pin.interface || !index.is_some() && device == pin.name
}

/// The option's value up to its first zero, cut as the kernel cuts it (`sock_setbindtodevice`), and filled with zeros.
#[inline(always)]
fn value(option: *mut bpf_sockopt) -> [u8; NAME_LENGTH] {
    let mut bytes = [0; NAME_LENGTH];
    let by_name = member!(option, optname) == SO_BINDTODEVICE;
    let start: *mut u8 = member!(option, __bindgen_anon_2.optval).cast();
    let end: *mut u8 = member!(option, __bindgen_anon_3.optval_end).cast();
    for index in 0..NAME_LENGTH - 1 {
        if start as usize + index + 1 > end as usize {
            break;
        }
        // SAFETY: within the bounds that were just compared, which the verifier follows.
        let byte = unsafe { start.add(index).read_volatile() };
        if by_name && byte == 0 {
            break;
        }
        bytes[index] = byte;
    }
    bytes
}
