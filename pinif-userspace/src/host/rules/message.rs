//! A rule, read from a message of rtnetlink(7).

use ipnet::IpNet;
use netlink_packet_core::Nla as _;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::rule::{Action, Rule, Selector};

/// `FIB_RULE_FIND_SADDR`: the source address is looked at when the route has chosen one.
const FIND_SOURCE: u32 = 0x0001_0000;
/// Attributes that the library does not know (linux/fib_rules.h).
mod attribute {
    pub const PADDING: u16 = 18;
    pub const SOURCE_PORT_MASK: u16 = 28;
    pub const DESTINATION_PORT_MASK: u16 = 29;
}

impl Rule {
    pub(super) fn read(message: &RuleMessage) -> Self {
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
                // All ones is none: the kernel always has it in its answer.
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
            // The kernel gives the mask with every mark, and a mark of zero by its mask alone.
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
        // With every port since 6.15; all ones is the port itself.
        attribute::SOURCE_PORT_MASK | attribute::DESTINATION_PORT_MASK => value == [0xff; 2],
        _ => false,
    }
}
