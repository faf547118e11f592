//! Joining and leaving a group, on the pin's interface alone ([`pinif_ebpf::groups`]).

use aya_ebpf::bindings::bpf_sockopt;
use pinif_ebpf::{
    groups::{INTERFACE_ADDRESS, Interface, MREQ, MREQN, MREQN_INDEX, Words, request},
    key::IfIndex,
    pin::Pin,
};

use crate::{member, state};

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
    let length = member!(option, optlen);
    let request = request(member!(option, level), member!(option, optname))?;
    Some(match request.interface {
        Interface::Index(at) => by_index(option, pin, at, length),
        Interface::Address => by_address(option, pin, length),
        Interface::IndexOrAddress if length >= MREQN => by_index(option, pin, MREQN_INDEX, MREQN),
        Interface::IndexOrAddress if length >= MREQ => {
            // There is room for an index behind it (`sockopt_alloc_buf`).
            put(option, pin.interface.0, MREQN_INDEX, MREQN)
        }
        // Another program has hidden how long it is: what names no interface cannot be given one then.
        Interface::IndexOrAddress if length == 0 => by_index(option, pin, MREQN_INDEX, length),
        Interface::IndexOrAddress => Outcome::AsItIs,
    })
}

/// One that names its interface by an index, here.
#[inline(always)]
fn by_index(option: *mut bpf_sockopt, pin: &Pin, at: usize, length: i32) -> Outcome {
    let Some(named) = Value(option).word(at).map(IfIndex) else {
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
    match Value(option).word(INTERFACE_ADDRESS) {
        None => Outcome::AsItIs,
        Some(address) if address == pin.address && address != 0 => Outcome::AsItIs,
        Some(_) => put(option, pin.address, INTERFACE_ADDRESS, length),
    }
}

/// The length by which the kernel takes what was judged here, and not the caller's own buffer, which another thread may write to
/// meanwhile; zero of what is longer than a hook sees (`__cgroup_bpf_run_filter_setsockopt`).
#[inline(always)]
pub fn kept(option: *mut bpf_sockopt) -> i32 {
    let length = member!(option, optlen);
    let start: *mut u8 = member!(option, __bindgen_anon_2.optval).cast();
    let end: *mut u8 = member!(option, __bindgen_anon_3.optval_end).cast();
    let room = (end as usize).wrapping_sub(start as usize);
    if length as usize > room { 0 } else { length }
}

/// The option's value, as far as a hook sees it.
struct Value(*mut bpf_sockopt);

impl Words for Value {
    #[inline(always)]
    fn word(&self, at: usize) -> Option<u32> {
        let start: *mut u8 = member!(self.0, __bindgen_anon_2.optval).cast();
        let end: *mut u8 = member!(self.0, __bindgen_anon_3.optval_end).cast();
        if start as usize + at + 4 > end as usize {
            return None;
        }
        // SAFETY: within the bounds that were just compared, which the verifier follows.
        Some(unsafe { start.add(at).cast::<u32>().read_volatile() })
    }
}

/// Puts something else there. The option names another interface where there is none of the pin's to put, or where the value is longer
/// than what a hook may change.
#[inline(always)]
fn put(option: *mut bpf_sockopt, word: u32, at: usize, length: i32) -> Outcome {
    let start: *mut u8 = member!(option, __bindgen_anon_2.optval).cast();
    let end: *mut u8 = member!(option, __bindgen_anon_3.optval_end).cast();
    let room = (end as usize).wrapping_sub(start as usize);
    if word == 0 || length == 0 || start as usize + at + 4 > end as usize || length as usize > room
    {
        return Outcome::Another(IfIndex::NONE);
    }
    // SAFETY: within the bounds that were just compared, which the verifier follows.
    unsafe { start.add(at).cast::<u32>().write_volatile(word) };
    Outcome::Rewritten(length)
}
