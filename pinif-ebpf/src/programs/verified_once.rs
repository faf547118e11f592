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
