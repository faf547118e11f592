//! What an auditor's process keeps of the memory that it has used.
//!
//! It lives for months, and most of what it ever allocates is for its start: the kernel's types and the object with its programs
//! are megabytes. The allocator and the kernel both trade memory for time by what they are set to, which is not worth it here.

use nix::sys::prctl;

/// Has memory that is free go back to the kernel, and none be taken that nobody asked for. To be called before there is a second
/// thread. What cannot be had is done without.
pub fn keep_small() {
    // Where `transparent_hugepage/enabled` is `always`, khugepaged makes 2 MiB of each 2 MiB of which one page is used
    // (mm/khugepaged.c): what was given back is there again some seconds later (prctl(2), PR_SET_THP_DISABLE).
    let _ = prctl::set_thp_disable(true);
    #[cfg(target_env = "gnu")]
    {
        // A thread that allocates while another does gets an arena of its own, and malloc_trim(3) does not give back what is free
        // at the end of one (`mtrim` of malloc/malloc.c). The threads here are few, and wait most of the time.
        set(libc::M_ARENA_MAX, 1);
        // Unless it is set, it grows to twice the largest block that was ever freed, which is megabytes (mallopt(3)).
        set(libc::M_TRIM_THRESHOLD, 128 << 10);
    }
}

#[cfg(target_env = "gnu")]
fn set(parameter: libc::c_int, value: libc::c_int) {
    // SAFETY: it takes two numbers, and changes how the allocator works from here on.
    unsafe { libc::mallopt(parameter, value) };
}

/// Gives back what the start alone needed: what was allocated behind it keeps the heap from shrinking (malloc_trim(3)).
pub(super) fn give_back() {
    // SAFETY: it may be called at any time, by any thread.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
