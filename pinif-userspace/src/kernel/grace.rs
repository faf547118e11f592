//! Waiting for programs that run.

/// Returns when every program that ran has ended: they run inside RCU read sections, and `MEMBARRIER_CMD_GLOBAL` is
/// `synchronize_rcu` (membarrier(2)).
pub fn wait_for_running_programs() {
    // SAFETY: the command has no argument that points anywhere.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
