//! The rules that choose among routing tables (ip-rule(8)): what they are, and which of them sent a packet to its table.
//!
//! The kernel tells the table of a packet's route, and no rule. The rule is the first that takes the packet and whose
//! table has the route: the same walk as `fib_rules_lookup`, with the kernel's own answer at its end.

mod choice;
mod words;

use std::{io, ops::ControlFlow, ops::RangeInclusive};

use ipnet::IpNet;
use netlink_packet_core::{Nla as _, Parseable};
use netlink_packet_route::{
    AddressFamily,
    rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage},
};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::{netlink::Requester, netns::NetNs, tables};

pub use choice::Flow;

/// `FIB_RULE_FIND_SADDR`: the source address is looked at when the route has chosen one.
const FIND_SOURCE: u32 = 0x0001_0000;
/// How often a dump is begun anew because rules changed under it.
const ATTEMPTS: usize = 10;
/// Attributes that the library does not know (linux/fib_rules.h).
mod attribute {
    pub const PADDING: u16 = 18;
    pub const SOURCE_PORT_MASK: u16 = 28;
    pub const DESTINATION_PORT_MASK: u16 = 29;
}

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
    /// It drops without a word.
    Blackhole,
    /// It tells that nothing leads there.
    Unreachable,
    /// It tells that it is forbidden.
    Prohibit,
    /// Something that pinif does not know.
    Other(u8),
}

/// All rules of an address family, in the order in which the kernel asks them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Reads the rules of a namespace; none where the kernel knows of none (`CONFIG_IP_MULTIPLE_TABLES`).
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn read(netns: &NetNs, ipv6: bool) -> io::Result<Self> {
        netns.run(|| Self::read_here(ipv6))?
    }

    /// Those in the order of `rules`.
    pub fn of(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    fn read_here(ipv6: bool) -> io::Result<Self> {
        let mut question = RuleMessage::default();
        question.header.family = if ipv6 {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        for attempt in 1.. {
            let mut rules = Vec::new();
            let each = |kind, payload: &[u8]| {
                if kind == libc::RTM_NEWRULE {
                    rules.extend(
                        RuleMessage::parse(payload)
                            .ok()
                            .map(|rule| Rule::read(&rule)),
                    );
                }
                ControlFlow::Continue(())
            };
            match Requester::open(NETLINK_ROUTE)?.dump(libc::RTM_GETRULE, &question, each) {
                Ok(()) => return Ok(Self(rules)),
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::default())
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

    fn read(message: &RuleMessage) -> Self {
        let header = &message.header;
        let mut rule = Self {
            priority: 0,
            selector: Selector {
                inverted: header.flags.contains(RuleFlags::Invert),
                tos: header.tos,
                more: header.flags.bits() & FIND_SOURCE != 0,
                ..Selector::default()
            },
            action: Action::Nop,
        };
        let (mut table, mut target) = (u32::from(header.table), 0);
        let (mut suppressed_length, mut suppressed_group) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(priority) => rule.priority = *priority,
                RuleAttribute::Table(number) => table = *number,
                RuleAttribute::Goto(priority) => target = *priority,
                // All ones is none: the kernel tells it always.
                RuleAttribute::SuppressPrefixLen(length) => {
                    suppressed_length = u8::try_from(*length).ok();
                }
                RuleAttribute::SuppressIfGroup(group) => {
                    suppressed_group = Some(*group).filter(|group| *group != u32::MAX);
                }
                other => rule.selector.learn(other, header.dst_len, header.src_len),
            }
        }
        rule.action = match header.action {
            RuleAction::ToTable => Action::Table {
                table,
                suppressed_length,
                suppressed_group,
            },
            RuleAction::Goto => Action::Goto(target),
            RuleAction::Nop => Action::Nop,
            RuleAction::Blackhole => Action::Blackhole,
            RuleAction::Unreachable => Action::Unreachable,
            RuleAction::Prohibit => Action::Prohibit,
            other => Action::Other(other.into()),
        };
        rule
    }
}

impl Selector {
    fn learn(&mut self, attribute: &RuleAttribute, to_length: u8, from_length: u8) {
        match attribute {
            RuleAttribute::Destination(address) => {
                self.to = IpNet::new(*address, to_length).ok();
            }
            RuleAttribute::Source(address) => self.from = IpNet::new(*address, from_length).ok(),
            RuleAttribute::Iifname(name) => self.input = Some(name.clone()),
            RuleAttribute::Oifname(name) => self.output = Some(name.clone()),
            // The kernel tells the mask with every mark, and a mark of zero by its mask alone.
            RuleAttribute::FwMark(mark) => self.mark.get_or_insert((0, u32::MAX)).0 = *mark,
            RuleAttribute::FwMask(mask) => self.mark.get_or_insert((0, 0)).1 = *mask,
            RuleAttribute::UidRange(range) => self.users = Some(range.start..=range.end),
            RuleAttribute::IpProtocol(protocol) => {
                self.protocol = Some(u8::from(*protocol)).filter(|protocol| *protocol != 0);
            }
            RuleAttribute::SourcePortRange(range) => {
                self.source_ports = Some(range.start..=range.end);
            }
            RuleAttribute::DestinationPortRange(range) => {
                self.destination_ports = Some(range.start..=range.end);
            }
            RuleAttribute::TunId(key) => self.tunnel = *key,
            RuleAttribute::L3MDev(l3mdev) => self.l3mdev = *l3mdev,
            RuleAttribute::Protocol(_) | RuleAttribute::Realm(_) => {}
            other => self.more |= !is_idle(other),
        }
    }
}

/// Whether an attribute that is not read here leaves the rule as it is without.
fn is_idle(attribute: &RuleAttribute) -> bool {
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    match attribute.kind() {
        attribute::PADDING => true,
        // Told with every port since 6.15; all ones is the port itself.
        attribute::SOURCE_PORT_MASK | attribute::DESTINATION_PORT_MASK => value == [0xff; 2],
        _ => false,
    }
}

#[cfg(test)]
mod tests;
