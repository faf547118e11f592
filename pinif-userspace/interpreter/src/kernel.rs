//! What helpers answer of the kernel.

use std::collections::BTreeMap;

/// What helpers answer of the kernel. Nothing of it changes by itself, so that the same run executes the same.
#[derive(Debug)]
pub struct Kernel {
    /// The address of the `struct task_struct` that runs.
    pub task: u64,
    /// The number of its process, and of its thread.
    pub process: u32,
    /// Its user.
    pub user: u32,
    /// The cgroup of the task and of all sockets.
    pub cgroup: u64,
    /// The cookie of the network namespace.
    pub netns: u64,
    /// The time, in nanoseconds.
    pub now: u64,
    /// What is drawn by lot.
    pub random: u32,
    /// The sockets, by their addresses.
    pub sockets: BTreeMap<u64, Socket>,
    /// The socket that a look-up for what arrives finds.
    pub receiver: Option<u64>,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            task: 0,
            process: 4_000,
            user: 1_000,
            cgroup: 77,
            netns: 0x1000,
            now: 1_000_000_000,
            random: 0x5a3c_96e1,
            sockets: BTreeMap::new(),
            receiver: None,
        }
    }
}

/// What helpers answer of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    /// Its cookie.
    pub cookie: u64,
    /// Its user.
    pub user: u32,
    /// Whether it is neither a request socket nor one in TIME_WAIT.
    pub is_full: bool,
    /// Of a request socket: who listens.
    pub listener: Option<u64>,
}
