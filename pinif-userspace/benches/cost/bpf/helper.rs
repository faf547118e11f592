//! Helpers, by their numbers in `linux/bpf.h`.

pub const MAP_LOOKUP: i32 = 1;
pub const MAP_UPDATE: i32 = 2;
pub const MAP_DELETE: i32 = 3;
pub const KTIME: i32 = 5;
pub const TAIL_CALL: i32 = 12;
pub const CURRENT_USER: i32 = 15;
pub const SKB_LOAD_BYTES: i32 = 26;
pub const CURRENT_TASK: i32 = 35;
pub const SOCKET_COOKIE: i32 = 46;
pub const CURRENT_CGROUP: i32 = 80;
pub const SK_FULLSOCK: i32 = 95;
pub const SK_STORAGE_GET: i32 = 107;
pub const PROBE_READ_KERNEL: i32 = 113;
