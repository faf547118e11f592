//! A rule: which packets it takes, and what it does with them.

use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::host::tables;

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its place: lower ones are asked first.
    pub priority: u32,
    /// Which packets it takes.
    pub selector: Selector,
    /// What it does with them.
    pub action: Action,
}

/// Which packets a rule takes: those that have all of what is set (`fib_rule_match`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// It takes all others instead (`not`).
    pub inverted: bool,
    /// Their source addresses.
    pub from: Option<IpNet>,
    /// Their destinations.
    pub to: Option<IpNet>,
    /// Their type of service; zero is any.
    pub tos: u8,
    /// Their mark, and which of its bits are looked at.
    pub mark: Option<(u32, u32)>,
    /// The interface that they came in by; `lo` for those that are sent here.
    pub input: Option<String>,
    /// The interface that their socket is bound to.
    pub output: Option<String>,
    /// The users that send them.
    pub users: Option<RangeInclusive<u32>>,
    /// Their IP protocol.
    pub protocol: Option<u8>,
    /// Their source ports.
    pub source_ports: Option<RangeInclusive<u16>>,
    /// Their destination ports.
    pub destination_ports: Option<RangeInclusive<u16>>,
    /// The key of the tunnel that they came out of; zero is any.
    pub tunnel: u64,
    /// Those of a VRF: the table is the VRF's.
    pub l3mdev: bool,
    /// It looks at something else too, which pinif does not know.
    pub more: bool,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It looks for a route in a table.
    Table {
        /// The table; zero for the VRF's own.
        table: u32,
        /// Routes with a prefix of at most this length do not count (`suppress_prefixlength`).
        suppressed_length: Option<u8>,
        /// Routes by an interface of this group do not count (`suppress_ifgroup`).
        suppressed_group: Option<u32>,
    },
    /// It goes on with the rules from this priority on.
    Goto(u32),
    /// Nothing.
    Nop,
    /// It drops without an answer.
    Blackhole,
    /// It answers that nothing leads there.
    Unreachable,
    /// It answers that it is forbidden.
    Prohibit,
    /// Something that pinif does not know.
    Other(u8),
}

impl Selector {
    /// Whether the packets that it takes have a mark: not where it takes those without, or all others than those.
    pub fn wants_mark(&self) -> bool {
        !self.inverted && self.mark.is_some_and(|(mark, mask)| mark & mask != 0)
    }
}

impl Rule {
    /// Whether it is one of those that every system has: `local`, `main` and `default`, for all packets.
    pub fn is_everywhere(&self) -> bool {
        let Action::Table {
            table,
            suppressed_length: None,
            suppressed_group: None,
        } = self.action
        else {
            return false;
        };
        let usual = [
            (0, tables::RT_TABLE_LOCAL),
            (32766, tables::RT_TABLE_MAIN),
            (32767, tables::RT_TABLE_DEFAULT),
        ];
        self.selector == Selector::default() && usual.contains(&(self.priority, table))
    }
}
