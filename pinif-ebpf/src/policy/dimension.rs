//! What a rule of the policy can look at.

/// What a rule can look at: a dimension that no rule looks at is not looked up.
///
/// Whatever is added here has to say what of the verdict cache's digests stands for it ([`Dimension::hashed`]).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Destination prefixes.
    Destination = 0,
    /// Source prefixes.
    Source = 1,
    /// Destination ports.
    Port = 2,
    /// Source ports.
    SourcePort = 3,
    /// IP protocols.
    Protocol = 4,
    /// User ids.
    User = 5,
    /// Cgroups and all below them.
    Cgroup = 6,
    /// Executables.
    Executable = 7,
}

/// What of a packet's digests ([`crate::verdict_cache::CacheInputs`]) stands for what a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashed {
    /// The flow, whoever sends it.
    Flow,
    /// The flow, but where packets of several sockets share a verdict: there it is left out unless a rule looks at it.
    OwnFlow,
    /// The salt of the socket's record, which changes with it: where a rule looks at it, no sockets share a verdict.
    Record,
    /// The user, who is hashed where a rule looks at it; and no sockets share a verdict.
    User,
}

impl Dimension {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Destination,
        Self::Source,
        Self::Port,
        Self::SourcePort,
        Self::Protocol,
        Self::User,
        Self::Cgroup,
        Self::Executable,
    ];

    /// Its bit in [`super::Active::dimensions`].
    #[inline(always)]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// What of a packet's digests stands for it.
    pub const fn hashed(self) -> Hashed {
        match self {
            Self::Destination | Self::Source | Self::Port | Self::Protocol => Hashed::Flow,
            Self::SourcePort => Hashed::OwnFlow,
            Self::User => Hashed::User,
            Self::Cgroup | Self::Executable => Hashed::Record,
        }
    }
}

/// Not a dimension, and beside them: the auditor learns what is sent by whom. A verdict is then of one socket and one destination, as if rules
/// asked for all there is.
pub const LEARNED: u32 = 1 << 31;

/// [`Dimension::Destination`].
pub const DESTINATION: u32 = Dimension::Destination.bit();
/// [`Dimension::Source`].
pub const SOURCE: u32 = Dimension::Source.bit();
/// [`Dimension::Port`].
pub const PORT: u32 = Dimension::Port.bit();
/// [`Dimension::SourcePort`].
pub const SOURCE_PORT: u32 = Dimension::SourcePort.bit();
/// [`Dimension::Protocol`].
pub const PROTOCOL: u32 = Dimension::Protocol.bit();
/// [`Dimension::User`].
pub const USER: u32 = Dimension::User.bit();
/// [`Dimension::Cgroup`].
pub const CGROUP: u32 = Dimension::Cgroup.bit();
/// [`Dimension::Executable`].
pub const EXECUTABLE: u32 = Dimension::Executable.bit();
