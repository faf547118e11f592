//! What of a verdict is cached, for whose packets, and which cached verdict a packet may take.

use super::{CELL_BITS, CacheInputs, CachedVerdict, Digests, FlowKey, entry, look_up};
use crate::{
    intent::SocketRecord,
    key::{Address, IfIndex, NetNsCookie},
    policy::{Active, InForce, dimension::LEARNED, flags},
    sighting::Origin,
    verdict::{Traffic, is_found},
};

/// Keeps the digests of requests apart from those of connections, whose records begin as copies of their listener's, with its salt and verdicts.
const OF_REQUESTS: u64 = 0x7265_7175_6573_7473;

/// Which packets a cached verdict is for, beside those with the same source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those to any destination.
    AnyDestination,
    /// Those to the same destination.
    Whole,
}

impl Reach {
    /// What a verdict holds for that found a packet contained, or allowed. `about` is what is published of the egress interface.
    ///
    /// Only rules look at the destination, and who learns. What one allows is counted apart, so that it is not as all others are that break none.
    #[inline(always)]
    const fn of_unfound(coverage: Coverage, active: &Active, about: u64) -> Self {
        let keeps = if coverage.has(Coverage::NEEDS_NO_PIN) {
            flags::KEEPS_PINNED
        } else {
            flags::KEEPS_UNPINNED
        };
        let is_any = active.rules == 0 || (about & keeps != 0 && active.has_exceptions == 0);
        if is_any && active.dimensions & LEARNED == 0 {
            Self::AnyDestination
        } else {
            Self::Whole
        }
    }
}

impl Digests {
    /// The one that says so much.
    #[inline(always)]
    pub const fn of(&self, reach: Reach) -> u64 {
        match reach {
            Reach::AnyDestination => self.any_destination,
            Reach::Whole => self.whole,
        }
    }
}

/// The cached verdicts of packets of one class, whoever sent them: a word at each of `1 << CELL_BITS` places, the bits of their
/// digests that entries leave out.
pub trait FlowCache {
    /// The entry at a place.
    fn entry(&self, place: u32) -> u64;
    /// Puts an entry at a place.
    fn put(&self, place: u32, entry: u64);
}

#[inline(always)]
const fn place_of(digest: u64) -> u32 {
    digest as u32 & ((1 << CELL_BITS) - 1)
}

/// The interfaces of a packet.
#[derive(Clone, Copy, Debug)]
pub struct PacketPath {
    /// The one above that has counted it before.
    pub above: IfIndex,
    /// Its socket's bound device; of what is forwarded, where it came in.
    pub from: IfIndex,
    /// The egress interface.
    pub egress: IfIndex,
}

/// What is known of a full socket, to find whether its packets are like those of others.
#[derive(Clone, Copy, Debug)]
pub struct SocketFacts {
    /// Whether it writes whole headers (`SOCK_RAW`, `AF_PACKET`).
    pub writes_headers: bool,
    /// Its protocol.
    pub protocol: u8,
    /// Its local port, in host byte order.
    pub port: u16,
    /// Whether it is a subflow of Multipath TCP, whose intent is that of its connection; or one that answers what it was heard from.
    pub is_apart: bool,
}

impl CacheInputs {
    /// What is known of a socket's packet. The socket's user is asked for only where a rule looks at it.
    #[inline(always)]
    pub fn of_socket(
        record: &SocketRecord,
        flow: FlowKey,
        in_force: InForce,
        way: &PacketPath,
        user: impl FnOnce() -> u32,
    ) -> Self {
        Self {
            flow,
            epoch: in_force.0,
            salt: record.salt,
            above: way.above,
            bound: way.from,
            egress: way.egress,
            user: if in_force.looks_at_users() { user() } else { 0 },
            bound_address: Address::UNSPECIFIED,
        }
    }

    /// The same packet, of a connection that is not accepted yet, whose listener's record it is.
    #[inline(always)]
    pub fn of_request(self) -> Self {
        Self {
            salt: self.salt ^ OF_REQUESTS,
            ..self
        }
    }

    /// What is known of a packet that is forwarded. `salt` is one of all of them.
    #[inline(always)]
    pub fn of_forwarded(salt: u64, flow: FlowKey, in_force: InForce, way: &PacketPath) -> Self {
        Self {
            flow,
            epoch: in_force.0,
            salt,
            above: way.above,
            bound: way.from,
            egress: way.egress,
            user: 0,
            bound_address: Address::UNSPECIFIED,
        }
    }

    /// Whether a socket's packet may take a cached verdict, or have its own cached.
    ///
    /// A macvlan may be in another namespace than what it is on, where the index of either means another interface. And what a
    /// socket sends did not come in anywhere.
    #[inline(always)]
    pub fn may_look(record: &SocketRecord, netns: NetNsCookie, arrived: IfIndex) -> bool {
        record.netns == netns && !arrived.is_some()
    }

    /// The same, as far as it is worth to look: the record has verdicts, of which one may be for this interface.
    #[inline(always)]
    pub fn may_find(
        record: &SocketRecord,
        netns: NetNsCookie,
        arrived: IfIndex,
        egress: IfIndex,
    ) -> bool {
        record.salt != 0 && Self::may_look(record, netns, arrived) && record.has_verdict(egress)
    }

    /// The same packet, as one that any socket may have sent; nothing where more of the socket counts.
    ///
    /// That is so where a rule asks who has the socket; and of a header that is not the socket's own, but a tunnel's. `salt` is one
    /// of all sockets, which stands for nothing: the address that `bind()` was called with has to be in here.
    #[inline(always)]
    pub fn of_any_socket(
        &self,
        salt: u64,
        socket: &SocketFacts,
        in_force: InForce,
    ) -> Option<Self> {
        if in_force.looks_at_owners()
            || socket.writes_headers
            || socket.is_apart
            || !self.flow.is_from(socket.protocol, socket.port)
        {
            return None;
        }
        let flow = if in_force.looks_at_source_ports() {
            self.flow
        } else {
            self.flow.with_any_port()
        };
        Some(Self {
            flow,
            salt,
            user: 0,
            ..*self
        })
    }

    /// Whether all that a decision looked at is among what was hashed. By each member of what
    /// [`decide`](crate::verdict::decide) takes, so that none is left out; what the policy and the host are asked for stands
    /// as long as the epoch does.
    ///
    /// What rules ask of the sender follows from the salt of its record, but for the user, who is hashed.
    #[inline(always)]
    pub fn covers(&self, traffic: &Traffic<'_>) -> Coverage {
        let Traffic {
            origin,
            bound,
            names_interface,
            bound_address,
            packet,
            egress,
            heard,
        } = *traffic;
        let Some(packet) = packet else {
            return Coverage::NONE;
        };
        // Of what is forwarded, the way in is hashed, and there is no bound device: else it is the copy of a socket's packet.
        let (is_bound_hashed, kind) = match origin {
            Origin::Process if bound.is_some() => {
                let kind = Coverage::OF_PROCESS | Coverage::NEEDS_NO_PIN;
                (bound.0 == self.bound.0, kind)
            }
            Origin::Process => (!self.bound.is_some(), Coverage::OF_PROCESS),
            // Nobody asks what no process sends for a bound device.
            Origin::None => (!bound.is_some(), Coverage::NEEDS_NO_PIN),
            Origin::Kernel => return Coverage::NONE,
        };
        let bound_address = bound_address.unwrap_or(Address::UNSPECIFIED);
        if is_bound_hashed
            && !names_interface
            && !heard.is_some()
            && bound_address == self.bound_address
            && egress.0 == self.egress.0
            && self.flow.is(packet)
        {
            Coverage(Coverage::ALL | kind)
        } else {
            Coverage::NONE
        }
    }

    /// The verdict that the socket's own record has; or by which digests it may be put there.
    #[inline(always)]
    pub fn find_in_record(&self, record: &SocketRecord) -> Result<CachedVerdict, Digests> {
        let source = self.digest();
        let any_destination = source.any_destination();
        if let Some(found) = look_up(record.verdict_by(self.egress), any_destination) {
            return Ok(found);
        }
        let whole = source.whole();
        match look_up(record.verdict_of(whole), whole) {
            Some(found) => Ok(found),
            None => Err(Digests {
                any_destination,
                whole,
            }),
        }
    }

    /// The verdict for packets of this class, and for which it is; or by which digests it may be put there.
    #[inline(always)]
    pub fn find_in_cache(&self, cache: &impl FlowCache) -> Result<(CachedVerdict, Reach), Digests> {
        let source = self.digest();
        let any_destination = source.any_destination();
        if let Some(found) = look_up(cache.entry(place_of(any_destination)), any_destination) {
            return Ok((found, Reach::AnyDestination));
        }
        let whole = source.whole();
        match look_up(cache.entry(place_of(whole)), whole) {
            Some(found) => Ok((found, Reach::Whole)),
            None => Err(Digests {
                any_destination,
                whole,
            }),
        }
    }
}

/// Whether all that a decision looked at is among what was hashed: what [`CacheInputs::covers`] says.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage(u32);

impl Coverage {
    const ALL: u32 = 1 << 0;
    const OF_PROCESS: u32 = 1 << 1;
    const NEEDS_NO_PIN: u32 = 1 << 2;

    /// It is not.
    pub const NONE: Self = Self(0);

    #[inline(always)]
    const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// Where the verdict of a packet may be cached, for when it has been judged.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// What was known of it. The address that `bind()` was called with is here in any case.
    pub inputs: CacheInputs,
    /// In its socket's record; none where it may not.
    pub own: Digests,
    /// Among those of packets of one class; none where it may not.
    pub shared: Digests,
}

/// What becomes of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is of this packet alone.
    Forgotten,
    /// It is cached for packets like this one.
    Cached(CachedVerdict, Reach),
    /// It is a finding's. The digest identifies the next packet of the flow, of which all holds that was found out about this one.
    Steady(u64),
}

impl Keys {
    /// What becomes of a verdict on traffic that the inputs cover so. Its [`Kind`](crate::verdict::Kind)'s number is `kind`, it
    /// was counted in `cell`, and `about` is what is published of the egress interface.
    ///
    /// Of forwarded packets, `is_from_here` marks those that have an address of this host as their source: one may be the copy of a
    /// socket's packet, and whose changes with every socket.
    #[inline(always)]
    pub fn outcome(
        &self,
        coverage: Coverage,
        kind: u8,
        is_from_here: impl FnOnce() -> bool,
        active: &Active,
        about: impl FnOnce() -> u64,
        cell: u32,
    ) -> Outcome {
        let is_of_process = coverage.has(Coverage::OF_PROCESS);
        let whole = if is_of_process {
            self.own.whole
        } else {
            self.shared.whole
        };
        if whole == 0 || !coverage.has(Coverage::ALL) || !is_of_process && is_from_here() {
            return Outcome::Forgotten;
        }
        if is_found(kind) != 0 {
            return if is_of_process {
                Outcome::Steady(whole)
            } else {
                Outcome::Forgotten
            };
        }
        let about = about();
        let verdict = CachedVerdict {
            cell,
            marked: about & flags::STACKED != 0,
        };
        Outcome::Cached(verdict, Reach::of_unfound(coverage, active, about))
    }

    /// Caches a verdict in the socket's record.
    #[inline(always)]
    pub fn put_in_record(&self, record: &mut SocketRecord, verdict: CachedVerdict, reach: Reach) {
        let digest = self.own.of(reach);
        let place = match reach {
            Reach::AnyDestination => record.verdict_by_mut(self.inputs.egress),
            Reach::Whole => record.verdict_of_mut(digest),
        };
        *place = entry(digest, verdict);
    }

    /// Caches a verdict for packets of this class, if it may be.
    #[inline(always)]
    pub fn put_in_cache(&self, cache: &impl FlowCache, verdict: CachedVerdict, reach: Reach) {
        if self.shared.whole != 0 {
            let digest = self.shared.of(reach);
            cache.put(place_of(digest), entry(digest, verdict));
        }
    }
}
