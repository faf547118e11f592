//! What may take away or precede something of pinif's: bpf(2) and what it does to tables of programs. The kernel sends no event of that, so
//! these make one. Trampolines (`CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS`) lead here when the kernel's function returns, so what
//! userspace sees then is what came of it.

use pinif_ebpf::wake::Sleeper;

use super::bypass::{PACKET_QDISC_BYPASS, SOL_PACKET, SOL_XDP, XDP_TX_RING};
use crate::state::wakes::wake;

/// The commands that change what is attached (`enum bpf_cmd`): `BPF_PROG_ATTACH`, `BPF_PROG_DETACH`, `BPF_LINK_CREATE`, `BPF_LINK_UPDATE`,
/// `BPF_LINK_DETACH`.
const CHANGING: u64 = 1 << 8 | 1 << 9 | 1 << 28 | 1 << 29 | 1 << 34;

/// The argument of the traced function in this place.
///
/// # Safety
///
/// The context is the kernel's, and the function has that many arguments.
#[inline(always)]
unsafe fn argument(context: *const u64, place: usize) -> u64 {
    // SAFETY: as the caller promises; of the exact width, which the verifier checks.
    unsafe { context.add(place).read_volatile() }
}

/// `int __sys_bpf(enum bpf_cmd cmd, bpfptr_t uattr, unsigned int size)` (kernel/bpf/syscall.c): the system call of either width, and what
/// programs call of it (`bpf_sys_bpf`).
///
/// # Safety
///
/// Called by the kernel, with the function's arguments.
#[unsafe(no_mangle)]
#[unsafe(link_section = "fexit")]
pub unsafe extern "C" fn pinif_sys_bpf(context: *const u64) -> i32 {
    // SAFETY: it has one.
    let command = unsafe { argument(context, 0) } as u32;
    if command < u64::BITS && CHANGING >> command & 1 != 0 {
        wake(Sleeper::Attachments);
    }
    0
}

/// `int bpf_fd_array_map_update_elem(struct bpf_map *map, …)` (kernel/bpf/arraymap.c): a program is put into a table.
///
/// # Safety
///
/// Called by the kernel, with the function's arguments.
#[unsafe(no_mangle)]
#[unsafe(link_section = "fexit")]
pub unsafe extern "C" fn pinif_table_put(_context: *const u64) -> i32 {
    wake(Sleeper::Attachments);
    0
}

/// `long fd_array_map_delete_elem(struct bpf_map *map, void *key)` (kernel/bpf/arraymap.c): a program is taken out of a table.
///
/// # Safety
///
/// Called by the kernel, with the function's arguments.
#[unsafe(no_mangle)]
#[unsafe(link_section = "fexit")]
pub unsafe extern "C" fn pinif_table_cut(_context: *const u64) -> i32 {
    wake(Sleeper::Attachments);
    0
}

/// `int security_socket_setsockopt(struct socket *sock, int level, int optname)` (security/security.c): unlike the cgroup's hook, it sees
/// what a 32-bit system call and io_uring ask of a socket, and all cgroups. The kernel acts after it.
///
/// # Safety
///
/// Called by the kernel, with the function's arguments.
#[unsafe(no_mangle)]
#[unsafe(link_section = "fentry")]
pub unsafe extern "C" fn pinif_option(context: *const u64) -> i32 {
    // SAFETY: it has three.
    let (level, name) = unsafe { (argument(context, 1) as i32, argument(context, 2) as i32) };
    if matches!(
        (level, name),
        (SOL_PACKET, PACKET_QDISC_BYPASS) | (SOL_XDP, XDP_TX_RING)
    ) {
        wake(Sleeper::Bypasses);
    }
    0
}
