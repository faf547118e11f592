//! What a socket intends, and who made it: the records that the cgroup hooks keep.

use crate::key::{Address, Endpoint, IfIndex, NetNsCookie, SocketCookie};

/// The length of a task's name (`TASK_COMM_LEN`) and of an interface's (`IFNAMSIZ`).
pub const NAME_LENGTH: usize = 16;

/// A name as the kernel has it: untrusted bytes, ended by a zero unless it fills the room. Aligned as a word, so that the
/// programs copy it by words.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Name(pub [u8; NAME_LENGTH]);

impl Name {
    /// A name of these bytes, cut where the kernel would.
    pub fn of(text: &[u8]) -> Self {
        let mut name = Self::default();
        let room = name.0[..NAME_LENGTH - 1].iter_mut();
        room.zip(text).for_each(|(byte, &letter)| *byte = letter);
        name
    }

    /// The name of these two words, as memory has them.
    #[inline(always)]
    pub const fn of_words(words: [u64; 2]) -> Self {
        let [a, b, c, d, e, f, g, h] = words[0].to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = words[1].to_ne_bytes();
        Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// Its two words, the first bytes in the low ones.
    #[inline(always)]
    pub const fn words(self) -> [u64; 2] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.0;
        [
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        ]
    }

    /// The same, with zeros for all that follows the first zero: the kernel leaves there what was left of a longer name.
    #[inline(always)]
    pub const fn until_zero(self) -> [u64; 2] {
        let [first, second] = self.words();
        let mask = before_zero(first);
        let rest = if mask == u64::MAX {
            before_zero(second)
        } else {
            0
        };
        [first & mask, second & rest]
    }

    /// The index that its first four bytes are, where the interface was named by that.
    pub const fn index(&self) -> IfIndex {
        let [a, b, c, d, ..] = self.0;
        IfIndex(u32::from_ne_bytes([a, b, c, d]))
    }
}

/// A mask of the bytes before the first, in the lowest bits, that is zero.
#[inline(always)]
const fn before_zero(word: u64) -> u64 {
    // The lowest bit of these is right; above it, a borrow may have made others.
    let zeros = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080;
    let lowest = zeros & zeros.wrapping_neg();
    (lowest >> 7).wrapping_sub(1)
}

/// No user (`INVALID_UID`).
pub const NO_USER: u32 = u32::MAX;

/// The process that a socket belongs to: the last one that acted on it, or its creator.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The cgroup v2 id (the inode of its directory).
    pub cgroup: u64,
    /// The executable's inode number; zero when unknown.
    pub executable_inode: u64,
    /// The executable's file system (`super_block->s_dev`).
    pub executable_device: u32,
    /// The process id, in the PID namespace of the auditor's `/proc`; zero when unknown, or where the process is not in there.
    pub pid: u32,
    /// The socket's user id (`sk->sk_uid`); [`NO_USER`] where no process sent.
    pub uid: u32,
    /// What distinguishes the executable from another file that had its inode's number before (`inode->i_generation`); zero where
    /// the file system keeps none.
    pub executable_generation: u32,
    /// When the process was started, in nanoseconds of `CLOCK_BOOTTIME` (`task->group_leader->start_boottime`): another that had
    /// its number before was started at another time; zero when unknown.
    pub started: u64,
    /// The task's name: untrusted bytes, ended by a zero.
    pub comm: Name,
}

impl Owner {
    /// Whether a process is known, if only by its start.
    #[inline(always)]
    pub const fn is_known(&self) -> bool {
        self.pid != 0 || self.started != 0
    }
}

/// [`SocketRecord::flags`].
pub mod flag {
    /// A process owns the socket; the kernel's own sockets have no record, or one without this.
    pub const OWNED: u32 = 1 << 0;
    /// The cgroup hooks saw it, and so will see its release.
    pub const HOOKED: u32 = 1 << 1;
    /// `bind()` was called with an address that is not unspecified.
    pub const BOUND_ADDRESS: u32 = 1 << 2;
    /// Its local endpoint is in the table of endpoints.
    pub const ENDPOINT: u32 = 1 << 3;
    /// Its local end is in the table of endpoints as the hooks know it.
    pub const LOCAL_END: u32 = 1 << 5;
    /// The hooks saw it made: what they did not see of it did not happen.
    pub const BORN: u32 = 1 << 6;
    /// A device was asked for with `SO_BINDTODEVICE` or `SO_BINDTOIFINDEX`.
    pub const REQUESTED: u32 = 1 << 4;
    /// A subflow of Multipath TCP that the kernel made, not the process; its owner is that of the connection.
    pub const SUBFLOW: u32 = 1 << 7;
    /// And no endpoint gave it an address: it leads to one that the peer announced (`ADD_ADDR`).
    pub const ANNOUNCED: u32 = 1 << 8;
    /// And what is remembered of it is kept for when it is closed: no hook sees that.
    pub const KEPT: u32 = 1 << 9;
    /// And it is bound to another device than its connection.
    pub const BOUND_ELSEWHERE: u32 = 1 << 10;
    /// Of a sighting alone: no packet, but a group that was to be joined ([`crate::groups`]).
    pub const JOIN: u32 = 1 << 11;
    /// Packets have come to it by several interfaces, or it has sent by another than these came by: where a packet must leave depends on
    /// its destination ([`crate::heard`]).
    pub const HEARD_ELSEWHERE: u32 = 1 << 12;
    /// Its local endpoint is in the table of endpoints as another socket's: that of its listener, or of another connection that was accepted.
    pub const JOINED: u32 = 1 << 13;
    /// Its local endpoint is in the table of endpoints by the entry of its local end, which has the address
    /// ([`Flow::sent_from`](super::Flow::sent_from)).
    pub const AT_LOCAL_END: u32 = 1 << 14;
    /// The device that was asked for last was asked for by index (`SO_BINDTOIFINDEX`).
    pub const BY_INDEX: u32 = 1 << 15;
    /// It was bound to another device since its local endpoint was entered: the entry has that.
    pub const ENDPOINT_STALE: u32 = 1 << 16;
    /// The same since its local end was entered.
    pub const LOCAL_END_STALE: u32 = 1 << 17;
}

/// What is remembered of a socket beside what the live socket has. Kept in socket storage (`BPF_MAP_TYPE_SK_STORAGE`,
/// cloned to accepted connections), and by cookie once the socket was closed.
///
/// With more than 184 bytes, the kernel would take 512 for it, and not 256: it adds 72 (`struct bpf_local_storage_elem`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketRecord {
    /// A secret in the digest of each verdict: a new one makes all void. Zero where the record has changed in what a decision looks at; the
    /// next packet gives it another. No other record has it, but those of the connections that a listener accepts, which begin as copies of
    /// its own: a digest says whether it is a request's.
    pub salt: u64,
    /// Its network namespace; zero when unknown. Here, and not with what else is known of the socket: of a record, the first 56 bytes are in
    /// one cache line (`struct bpf_local_storage_elem`), and a packet with a cached verdict reads no others.
    pub netns: NetNsCookie,
    /// Decisions ([`crate::verdict_cache`]). One that holds for packets of one source, whatever their destination, is at the place of the
    /// interface: of those on top of each other, each has its own. One of a single destination is at the place that its digest says.
    pub verdicts: [u64; VERDICTS],
    /// Who owns it.
    pub owner: Owner,
    /// The address that `bind()` was called with, where it has a [`flag::BOUND_ADDRESS`].
    pub bound_address: Address,
    /// The address that it sent from last, with [`flag::ENDPOINT`].
    pub endpoint_address: Address,
    /// The device last asked for by name (`SO_BINDTODEVICE`), whether or not the kernel agreed; empty is the request to unbind. With
    /// [`flag::BY_INDEX`], its first four bytes are the index (`SO_BINDTOIFINDEX`).
    pub requested_device: Name,
    /// The socket whose entry the table of endpoints has for its endpoint. Where that is another and there is no [`flag::JOINED`], this record
    /// is the copy of its listener's, and the socket is in no entry yet.
    pub entered_as: SocketCookie,
    /// The [`flag`]s.
    pub flags: u32,
    /// The device that it was bound to when it sent last.
    pub sent_bound: IfIndex,
    /// The device that it was bound to before `sent_bound`, if it ever sent with another.
    pub previous_bound: IfIndex,
    /// Of a UDP server that is bound to nothing, where replies are audited: by which interface its first packet came; else zero.
    pub heard_by: IfIndex,
    /// How often the owner had begun another program when it was written: the lower bits of `task_struct.self_exec_id`; zero where no hook
    /// wrote it.
    pub execs: u16,
    /// The port that it sent from last, in host byte order, with [`flag::ENDPOINT`].
    pub endpoint_port: u16,
    /// The port that it will send from as far as the hooks know, with [`flag::LOCAL_END`].
    pub local_port: u16,
    /// The protocol of what it sent last, with [`flag::ENDPOINT`].
    pub endpoint_protocol: u8,
    /// Its own protocol, with [`flag::LOCAL_END`].
    pub local_protocol: u8,
}

/// How many decisions a record has.
pub const VERDICTS: usize = 4;

impl SocketRecord {
    /// Makes every cached verdict void, after what a decision looks at has changed.
    #[inline(always)]
    pub fn changed(&mut self) {
        // SAFETY: a valid reference; volatile, so that it stays behind what was changed.
        unsafe { core::ptr::from_mut(&mut self.salt).write_volatile(0) };
    }

    /// The address that `bind()` was called with; unspecified if it was with none.
    #[inline(always)]
    pub fn address_of_bind(&self) -> Address {
        if self.has(flag::BOUND_ADDRESS) {
            self.bound_address
        } else {
            Address::UNSPECIFIED
        }
    }

    /// The local endpoint that it sent from last.
    #[inline(always)]
    pub fn endpoint(&self) -> Endpoint {
        let (port, protocol) = (self.endpoint_port, self.endpoint_protocol);
        Endpoint::of(self.netns, self.endpoint_address, port, protocol)
    }

    /// The local end that it will send from as far as the hooks know: the unspecified address where `bind()` was not called with another.
    #[inline(always)]
    pub fn local_end(&self) -> Endpoint {
        let (port, protocol) = (self.local_port, self.local_protocol);
        Endpoint::of(self.netns, self.address_of_bind(), port, protocol)
    }

    /// Whether it has a local end at any address by which it sends from this endpoint, of its namespace.
    #[inline(always)]
    pub fn sends_by_local_end(&self, endpoint: &Endpoint) -> bool {
        self.flags & (flag::LOCAL_END | flag::BOUND_ADDRESS) == flag::LOCAL_END
            && self.local_port == endpoint.port
            && self.local_protocol == endpoint.protocol
    }

    /// Writes the local endpoint that it sends from, bound to this device, as the entry of this socket has it.
    #[inline(always)]
    pub fn sends_from(&mut self, endpoint: &Endpoint, bound: IfIndex, entered_as: SocketCookie) {
        self.netns = endpoint.netns;
        self.endpoint_address = endpoint.address;
        self.endpoint_port = endpoint.port;
        self.endpoint_protocol = endpoint.protocol;
        self.sends_bound_to(bound);
        self.entered_as = entered_as;
        self.flags &= !flag::ENDPOINT_STALE;
        self.flags |= flag::ENDPOINT;
    }

    /// Whether it sent from this endpoint last, which is of its namespace, bound to this device.
    #[inline(always)]
    pub fn has_sent_from(&self, endpoint: &Endpoint, bound: IfIndex) -> bool {
        let ([a, b], [c, d]) = (self.endpoint_address.words(), endpoint.address.words());
        let differing = (a ^ c) | (b ^ d);
        let flags = self.flags & (flag::ENDPOINT | flag::ENDPOINT_STALE);
        flags == flag::ENDPOINT
            && differing == 0
            && self.endpoint_port == endpoint.port
            && self.endpoint_protocol == endpoint.protocol
            && self.sent_bound == bound
    }

    /// Whether it has any verdict; the one for this interface is looked at first.
    #[inline(always)]
    pub(crate) fn has_verdict(&self, egress: IfIndex) -> bool {
        self.verdict_by(egress) != 0 || self.verdicts.iter().any(|verdict| *verdict != 0)
    }

    /// The verdict for any destination by this interface, if there is one.
    #[inline(always)]
    pub(crate) const fn verdict_by(&self, egress: IfIndex) -> u64 {
        self.verdicts[egress.0 as usize % VERDICTS]
    }

    /// Where that is.
    #[inline(always)]
    pub(crate) const fn verdict_by_mut(&mut self, egress: IfIndex) -> &mut u64 {
        &mut self.verdicts[egress.0 as usize % VERDICTS]
    }

    /// The verdict of this digest, if there is one.
    #[inline(always)]
    pub(crate) const fn verdict_of(&self, digest: u64) -> u64 {
        self.verdicts[place_of(digest)]
    }

    /// Where that is.
    #[inline(always)]
    pub(crate) const fn verdict_of_mut(&mut self, digest: u64) -> &mut u64 {
        &mut self.verdicts[place_of(digest)]
    }

    /// The hooks see the socket, and so will see its release. What a socket of an unknown fate had in the
    /// table of endpoints is entered anew.
    #[inline(always)]
    pub fn becomes_hooked(&mut self) {
        let known = flag::OWNED | flag::HOOKED;
        if self.flags & known != known {
            if !self.has(flag::HOOKED) {
                self.flags &= !flag::ENDPOINT;
            }
            self.flags |= known;
            self.changed();
        }
    }

    /// Writes the device that the socket sends with now.
    #[inline(always)]
    pub fn sends_bound_to(&mut self, bound: IfIndex) {
        if self.sent_bound != bound {
            self.previous_bound = self.sent_bound;
            self.sent_bound = bound;
            self.flags |= flag::ENDPOINT_STALE | flag::LOCAL_END_STALE;
        }
    }

    /// Whether the socket with this cookie is in the entry that the table of endpoints has for its endpoint.
    #[inline(always)]
    pub fn is_entered(&self, cookie: SocketCookie) -> bool {
        self.has(flag::ENDPOINT) && (self.has(flag::JOINED) || self.entered_as == cookie)
    }

    /// Whether the [`flag`] is set.
    #[inline(always)]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// The place of a verdict among those of a record: by bits of the digest that its entry keeps.
#[inline(always)]
const fn place_of(digest: u64) -> usize {
    (digest >> 62) as usize % VERDICTS
}

/// A pinned or unpinned socket's local endpoint in the table of endpoints: by which a copy of its packets is recognized.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// The socket; of several that are in one entry, the first.
    pub cookie: SocketCookie,
    /// Its bound device when it last sent.
    pub bound: IfIndex,
    /// The user in whose share of the table it is.
    pub charged: u32,
    /// Who owns it.
    pub owner: Owner,
    /// How many sockets are in this entry.
    pub sockets: u64,
    /// Of an entry for any address: the one that its socket has sent from last; else unspecified.
    pub sent_from: Address,
}

const _: () = assert!(size_of::<Owner>() == 56);
const _: () = assert!(size_of::<SocketRecord>() == 184);
const _: () = assert!(size_of::<Flow>() == 96);

#[cfg(feature = "user")]
mod pod {
    use super::{Flow, Name, Owner, SocketRecord};
    // SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
    unsafe impl aya::Pod for Owner {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SocketRecord {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Flow {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Name {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_its_first_zero() {
        let name = |text: &[u8]| {
            let mut name = Name::default();
            name.0[..text.len()].copy_from_slice(text);
            name
        };
        for (live, known) in [
            (&b"eth1\0fab"[..], &b"eth1"[..]),
            (b"eth1\x01\0\x01", b"eth1\x01"),
            (b"a-name-of-15-by", b"a-name-of-15-by"),
            (b"exactly8\0longer", b"exactly8"),
            (b"\0\0\0\0\0\0\0\0what was", b""),
            (b"\xff\x80\x01\0\x01", b"\xff\x80\x01"),
        ] {
            assert_eq!(name(live).until_zero(), name(known).words(), "{live:?}");
        }
        assert_ne!(name(b"eth10").until_zero(), name(b"eth1").words());
    }
}
