//! What one packet is: contained, or one of the kinds, and the pure decision between them.

/// A kind of finding, in the order of DESIGN's table: where severities are equal, the first wins.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Bound to A, left by B, and B is no carrier of A.
    DeviceEscape = 1,
    /// The source address belongs to A alone, and it left by B.
    AddressEscape = 2,
    /// A packet without socket of a pinned flow left by another interface.
    CopyEscape = 3,
    /// A rule names the zones that this traffic may use, and it left by none of them.
    PolicyEscape = 4,
    /// A rule demands a bound device, and the socket has none.
    Unpinned = 5,
    /// Bound to A's address and to device B.
    CrossedBind = 6,
    /// Traffic of a contained zone arrived by an interface outside it.
    IngressEscape = 7,
    /// Traffic that cannot be seen here.
    Unaudited = 8,
}

impl Kind {
    /// All, in the table's order.
    pub const ALL: [Self; 8] = [
        Self::DeviceEscape,
        Self::AddressEscape,
        Self::CopyEscape,
        Self::PolicyEscape,
        Self::Unpinned,
        Self::CrossedBind,
        Self::IngressEscape,
        Self::Unaudited,
    ];

    /// The name in JSON, messages and documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceEscape => "device-escape",
            Self::AddressEscape => "address-escape",
            Self::CopyEscape => "copy-escape",
            Self::PolicyEscape => "policy-escape",
            Self::Unpinned => "unpinned",
            Self::CrossedBind => "crossed-bind",
            Self::IngressEscape => "ingress-escape",
            Self::Unaudited => "unaudited",
        }
    }

    /// The kind with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        let mut index = 0;
        while index < Self::ALL.len() {
            if Self::ALL[index] as u8 == number {
                return Some(Self::ALL[index]);
            }
            index += 1;
        }
        None
    }
}

/// How grave a finding is; greater is graver.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Odd, and no danger by itself.
    Note = 1,
    /// It left well by luck.
    Risk = 2,
    /// It left where it must not.
    Leak = 3,
}

impl Severity {
    /// The name in JSON, messages and documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Risk => "risk",
            Self::Leak => "leak",
        }
    }

    /// The severity with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Note),
            2 => Some(Self::Risk),
            3 => Some(Self::Leak),
            _ => None,
        }
    }
}
