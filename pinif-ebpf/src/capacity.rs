//! How many entries the maps have room for that sockets fill: a function of how many sockets there are to be at once.

/// How many sockets there is room for where nothing else is said.
pub const SOCKETS: u32 = 131_072;
/// The least that may be asked for: below, the free lists that each CPU keeps of an LRU map (`LOCAL_FREE_TARGET` in
/// kernel/bpf/bpf_lru_list.c, 128 entries) are all of it where there are some CPUs.
pub const LEAST_SOCKETS: u32 = 4_096;
/// The most: eight million local endpoints.
pub const MOST_SOCKETS: u32 = 4_194_304;

/// Local endpoints: a socket has the one that it sends from, and the one that it was bound to.
pub const fn endpoints(sockets: u32) -> u32 {
    2 * sockets
}

/// How many of these the sockets of one user may have: a quarter.
pub const fn endpoints_of_a_user(sockets: u32) -> u64 {
    endpoints(sockets) as u64 / 4
}

/// Local endpoints of sockets that were closed, or whose release no hook sees.
pub const fn lingering(sockets: u32) -> u32 {
    sockets / 4
}

/// Records of sockets that were closed.
pub const fn closed(sockets: u32) -> u32 {
    sockets / 4
}

/// Hosts whose last packet to a server is kept, where replies are audited.
pub const fn heard(sockets: u32) -> u32 {
    sockets / 2
}
