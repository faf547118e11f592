//! Joining and leaving a group: the kernel reports either by IGMP or MLD, via the interface that the option names. Where it names none,
//! a route chooses one, whatever the socket is bound to (`ip_mc_find_dev`, `__ipv6_sock_mc_join`).

use aya_ebpf::bindings::bpf_sockopt;
use pinif_ebpf::{key::IfIndex, pin::Pin};

use crate::{member, state};

const SOL_IP: i32 = 0;
const SOL_IPV6: i32 = 41;

const IP_ADD_MEMBERSHIP: i32 = 35;
const IP_UNBLOCK_SOURCE: i32 = 37;
const IP_BLOCK_SOURCE: i32 = 38;
const IP_ADD_SOURCE_MEMBERSHIP: i32 = 39;
const IP_DROP_SOURCE_MEMBERSHIP: i32 = 40;
const IP_MSFILTER: i32 = 41;
/// `MCAST_JOIN_GROUP`, the first of those that name an interface by its index, and `MCAST_MSFILTER`, the last.
const MCAST: core::ops::RangeInclusive<i32> = 42..=48;
const IPV6_ADD_MEMBERSHIP: i32 = 20;
const IPV6_JOIN_ANYCAST: i32 = 27;

/// `ip_mreq`, and `ip_mreqn` with an index.
const MREQ: i32 = 8;
const MREQN: i32 = 12;

/// What becomes of the option.
pub enum Outcome {
    /// The kernel takes it as it is.
    AsItIs,
    /// The kernel takes so many bytes of what it was made to be.
    Rewritten(i32),
    /// It names another interface; by no index, where that is none.
    Another(IfIndex),
}

/// What becomes of an option about a group. None of another option.
#[inline(always)]
pub fn judge(option: *mut bpf_sockopt, pin: &Pin) -> Option<Outcome> {
    let (level, name) = (member!(option, level), member!(option, optname));
    let length = member!(option, optlen);
    Some(match (level, name) {
        (SOL_IP, IP_ADD_MEMBERSHIP) if length >= MREQN => by_index(option, pin, 8, MREQN),
        (SOL_IP, IP_ADD_MEMBERSHIP) if length >= MREQ => {
            // There is room for an index behind it (`sockopt_alloc_buf`).
            put(option, pin.interface.0, 8, MREQN)
        }
        (
            SOL_IP,
            IP_UNBLOCK_SOURCE
            | IP_BLOCK_SOURCE
            | IP_ADD_SOURCE_MEMBERSHIP
            | IP_DROP_SOURCE_MEMBERSHIP
            | IP_MSFILTER,
        ) => by_address(option, pin, length),
        (SOL_IP | SOL_IPV6, name) if MCAST.contains(&name) => by_index(option, pin, 0, length),
        (SOL_IPV6, IPV6_ADD_MEMBERSHIP | IPV6_JOIN_ANYCAST) => by_index(option, pin, 16, length),
        _ => return None,
    })
}

/// One that names its interface by an index, here.
#[inline(always)]
fn by_index(option: *mut bpf_sockopt, pin: &Pin, at: usize, length: i32) -> Outcome {
    let Some(named) = word(option, at).map(IfIndex) else {
        // The kernel refuses what is too short.
        return Outcome::AsItIs;
    };
    if !named.is_some() {
        return put(option, pin.interface.0, at, length);
    }
    if named == pin.interface || state::allowed_name(named).is_some() {
        Outcome::AsItIs
    } else {
        Outcome::Another(named)
    }
}

/// One that has no room for an index, but for an address of the interface (`ip_mreq_source`, `ip_msfilter`): it gets the pin's.
#[inline(always)]
fn by_address(option: *mut bpf_sockopt, pin: &Pin, length: i32) -> Outcome {
    match word(option, 4) {
        None => Outcome::AsItIs,
        Some(address) if address == pin.address && address != 0 => Outcome::AsItIs,
        Some(_) => put(option, pin.address, 4, length),
    }
}

/// The four bytes there of the option's value.
#[inline(always)]
fn word(option: *mut bpf_sockopt, at: usize) -> Option<u32> {
    let start: *mut u8 = member!(option, __bindgen_anon_2.optval).cast();
    let end: *mut u8 = member!(option, __bindgen_anon_3.optval_end).cast();
    if start as usize + at + 4 > end as usize {
        return None;
    }
    // SAFETY: within the bounds that were just compared, which the verifier follows.
    Some(unsafe { start.add(at).cast::<u32>().read_volatile() })
}

/// Puts something else there. The option names another interface where there is none of the pin's to put, or where the value is longer
/// than what a hook may change.
#[inline(always)]
fn put(option: *mut bpf_sockopt, word: u32, at: usize, length: i32) -> Outcome {
    let start: *mut u8 = member!(option, __bindgen_anon_2.optval).cast();
    let end: *mut u8 = member!(option, __bindgen_anon_3.optval_end).cast();
    let room = (end as usize).wrapping_sub(start as usize);
    if word == 0 || start as usize + at + 4 > end as usize || length as usize > room {
        return Outcome::Another(IfIndex::NONE);
    }
    // SAFETY: within the bounds that were just compared, which the verifier follows.
    unsafe { start.add(at).cast::<u32>().write_volatile(word) };
    Outcome::Rewritten(length)
}
