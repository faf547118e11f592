//! Functions that the verifier checks once, each by itself.

/// Makes the steps of a traffic program global functions (Linux 5.6). The verifier checks such a function once, for any packet,
/// and takes nothing for granted of what it returns (`btf_prepare_func_args`, `check_func_call`). It checks every other
/// function anew for each state that leads to it.
///
/// All that a step works on and comes to is in a map of this CPU's own. It returns a number, as the verifier demands.
macro_rules! verified_once {
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident($skb:ident) $body:block)+) => {$(
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[inline(never)]
        $visibility extern "C" fn $name(context: *mut aya_ebpf::bindings::__sk_buff) -> u64 {
            #[inline(always)]
            fn step($skb: $crate::kernel::packet::Skb) -> u32 $body
            // Else the compiler leaves out the argument of a function that does not use it, which the verifier refuses.
            // SAFETY: it copies a register to itself.
            unsafe { core::arch::asm!("{0} = {0}", in(reg) context, options(nomem, nostack)) };
            // A whole register, or each call would be followed by instructions that clear its upper half.
            u64::from(step($crate::kernel::packet::Skb::of(context)))
        }
    )+};
}
pub(crate) use verified_once;

/// The same of the program that has no packet but an option: a step takes the number of the room that it works in, and the option where
/// it looks at that.
macro_rules! verified_once_in_room {
    (@ $(#[$attribute:meta])* fn $name:ident($room:ident) $body:block) => {
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(room: u32) -> u64 {
            #[inline(always)]
            fn step($room: u32) -> u32 $body
            // A whole register, as above.
            u64::from(step(room))
        }
    };
    (@ $(#[$attribute:meta])* fn $name:ident($option:ident, $room:ident) $body:block) => {
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(context: *mut aya_ebpf::bindings::bpf_sockopt, room: u32) -> u64 {
            #[inline(always)]
            fn step($option: $crate::kernel::sockopt::SockOption, $room: u32) -> u32 $body
            u64::from(step($crate::kernel::sockopt::SockOption::of(context), room))
        }
    };
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident),+) $body:block)+) => {$(
        $crate::verified_once::verified_once_in_room!(
            @ $(#[$attribute])* fn $name($($argument),+) $body
        );
    )+};
}
pub(crate) use verified_once_in_room;
