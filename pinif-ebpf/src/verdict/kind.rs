//! The kinds of findings: a row each.

/// How grave a finding is; greater is graver.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Odd, and no danger by itself.
    Note = 1,
    /// Only the current route kept it where it may be.
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

/// Which packets a kind is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Those that leave.
    Egress,
    /// Those that arrive.
    Ingress,
    /// None that are counted: those that cannot be seen, or what the state of the host shows by itself.
    Unseen,
}

/// Whether packets of a kind are dropped while a policy is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Never.
    Never,
    /// Where it is a leak.
    Leak,
    /// As the rule says that is broken ([`crate::enforce::Action`]).
    ByRule,
    /// Where it arrives: always for the sake of a contained zone, and as the rule says for that of a rule.
    Arriving,
}

/// What there is to say of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The kind.
    pub kind: Kind,
    /// The name in JSON, messages and documentation.
    pub name: &'static str,
    /// The usual severity.
    pub severity: Severity,
    /// Whether it is another in some cases.
    pub varies: bool,
    /// Which packets it is about.
    pub direction: Direction,
    /// Whether it is about a rule that is broken.
    pub is_of_rule: bool,
    /// Whether the recheck may find that it does not hold ([`super::Recheck`]).
    pub is_revocable: bool,
    /// Whether its packets are dropped while the policy is enforced.
    pub dropped: Dropped,
}

/// Makes the kinds of the rows, in their order.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal: $row:expr;)+) => {
        /// A kind of finding, in the order of the table in README.md: where severities are equal, the first wins.
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind = $number,)+
        }

        impl Kind {
            /// All, in the table's order.
            pub const ALL: [Self; ROWS.len()] = [$(Self::$kind),+];

            /// What there is to say of it.
            pub const fn row(self) -> &'static Row {
                &ROWS[self as usize - 1]
            }
        }

        const ROWS: &[Row] = &[$(Row { kind: Kind::$kind, ..$row }),+];
    };
}

/// What is said of a kind unless its row says otherwise.
const ROW: Row = Row {
    kind: Kind::Unaudited,
    name: "",
    severity: Severity::Leak,
    varies: false,
    direction: Direction::Egress,
    is_of_rule: false,
    is_revocable: true,
    dropped: Dropped::Never,
};

kinds! {
    /// Bound to A, left by B, and B is no lower device of A.
    DeviceEscape = 1: Row { name: "device-escape", dropped: Dropped::Leak, ..ROW };
    /// The source address belongs to A alone, and it left by B.
    AddressEscape = 2: Row {
        name: "address-escape", severity: Severity::Risk, varies: true, dropped: Dropped::Leak, ..ROW
    };
    /// A packet without socket of a pinned flow left by another interface.
    CopyEscape = 3: Row { name: "copy-escape", dropped: Dropped::Leak, ..ROW };
    /// A rule names the zones that this traffic may use, and it left by none of them.
    PolicyEscape = 4: Row { name: "policy-escape", is_of_rule: true, dropped: Dropped::ByRule, ..ROW };
    /// A UDP server that is bound to nothing answers by another interface than the one that it was asked by.
    ReplyEscape = 5: Row {
        name: "reply-escape", severity: Severity::Note, varies: true, is_revocable: false, dropped: Dropped::Leak, ..ROW
    };
    /// A rule demands a bound device, and the socket has none.
    Unpinned = 6: Row {
        name: "unpinned", severity: Severity::Risk, is_of_rule: true, is_revocable: false,
        dropped: Dropped::ByRule, ..ROW
    };
    /// Bound to A's address and to device B.
    CrossedBind = 7: Row { name: "crossed-bind", severity: Severity::Note, ..ROW };
    /// Traffic of a contained zone arrived by an interface outside it.
    IngressEscape = 8: Row {
        name: "ingress-escape", varies: true, direction: Direction::Ingress, is_of_rule: true, is_revocable: false,
        dropped: Dropped::Arriving, ..ROW
    };
    /// Traffic that cannot be seen here.
    Unaudited = 9: Row {
        name: "unaudited", severity: Severity::Risk, direction: Direction::Unseen, is_revocable: false, ..ROW
    };
    /// An interface answers ARP requests for another's address, and neighbours reach both.
    ArpFlux = 10: Row {
        name: "arp-flux", severity: Severity::Note, direction: Direction::Unseen, is_revocable: false, ..ROW
    };
}

impl Kind {
    /// The name in JSON, messages and documentation.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The kind with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        if number == 0 || number as usize > ROWS.len() {
            return None;
        }
        Some(ROWS[number as usize - 1].kind)
    }
}

/// The number, where a verdict has a kind's, of what a rule allows ([`crate::enforce::Action::Allow`]), whatever it would be without that
/// rule. It is no kind's.
pub const ALLOWED: u8 = 15;

/// One where a verdict with this number is a finding's, else zero: neither contained nor allowed. Without a branch, which the verifier
/// would follow.
#[inline(always)]
pub const fn is_found(number: u8) -> u32 {
    let next = (number as u32 + 1) & ALLOWED as u32;
    (next >> 1 | next >> 2 | next >> 3) & 1
}

/// What a packet is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellVerdict {
    /// Nothing is wrong with it.
    Contained,
    /// A rule allows it, whatever it would be without that rule.
    Allowed,
    /// It is of a finding of this kind.
    Found(Kind),
}

impl CellVerdict {
    /// The verdict with this number; unknown numbers are of no kind.
    pub const fn from_number(number: u8) -> Self {
        match Kind::from_number(number) {
            Some(kind) => Self::Found(kind),
            None if number == ALLOWED => Self::Allowed,
            None => Self::Contained,
        }
    }

    /// The kind, of a finding's packet.
    pub const fn kind(self) -> Option<Kind> {
        match self {
            Self::Found(kind) => Some(kind),
            Self::Contained | Self::Allowed => None,
        }
    }

    /// The name in JSON and documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contained => "contained",
            Self::Allowed => "allowed",
            Self::Found(kind) => kind.name(),
        }
    }
}

/// The rows are numbered from one, in their order.
const _: () = {
    // All bits of a kind's number are in it, and are enough for a set of kinds.
    assert!(ROWS.len() < ALLOWED as usize && ALLOWED == 0b1111 && (ALLOWED as u32) < u16::BITS);
    let mut index = 0;
    while index < ROWS.len() {
        assert!(ROWS[index].kind as usize == index + 1 && !ROWS[index].name.is_empty());
        index += 1;
    }
};

/// A set of kinds; bit `n` is the kind with number `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KindSet(pub u16);

/// The kinds whose rows are so.
macro_rules! that {
    (|$row:ident| $is_so:expr) => {{
        let mut kinds = KindSet(0);
        let mut index = 0;
        while index < ROWS.len() {
            let $row = &ROWS[index];
            if $is_so {
                kinds.insert($row.kind);
            }
            index += 1;
        }
        kinds
    }};
}

impl KindSet {
    /// The bit of no kind at all, which is never set.
    pub(super) const CONTAINED: Self = Self(1);
    /// That one, and the bit of what is allowed.
    pub(super) const OF_NONE: Self = Self(Self::CONTAINED.0 | 1 << ALLOWED);

    /// Those that are about a rule which is broken.
    pub const OF_RULES: Self = that!(|row| row.is_of_rule);
    /// What [`super::Recheck`] may withdraw.
    pub const REVOCABLE: Self = that!(|row| row.is_revocable);
    /// Those that are leaks, and dropped as such.
    pub(crate) const DROPPED: Self = that!(|row| matches!(row.dropped, Dropped::Leak)
        && matches!(row.severity, Severity::Leak)
        && !row.varies);
    /// Those that are dropped where they are leaks.
    pub(crate) const DROPPED_AS_LEAKS: Self = that!(|row| matches!(row.dropped, Dropped::Leak));
    /// Those leaks that are dropped as their rule says.
    pub(crate) const LEAKS_BY_RULE: Self = that!(
        |row| matches!(row.dropped, Dropped::ByRule) && matches!(row.severity, Severity::Leak)
    );
    /// Those risks.
    pub(crate) const RISKS_BY_RULE: Self = that!(
        |row| matches!(row.dropped, Dropped::ByRule) && matches!(row.severity, Severity::Risk)
    );

    /// Adds a kind.
    #[inline(always)]
    pub const fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }

    /// Whether the kind is in the set.
    #[inline(always)]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether the two sets have a kind in common.
    #[inline(always)]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds, in the table's order.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .into_iter()
            .filter(move |&kind| self.contains(kind))
    }
}
