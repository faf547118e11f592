//! A packet's IP protocol.

use std::{borrow::Cow, collections::HashMap};

use pinif_ebpf::{
    packet::protocol::has_ports,
    policy::{Active, NumberKey, RuleSet, Slot, dimension},
};

use super::{
    cache_input::CacheInput,
    definition::{Dimension, LookUp, LookUpFile},
    values::all_below,
};
use crate::policy::{
    key::{Key, Takes, key},
    problem::{Flaw, nearest, quoted},
    raw::Scalar,
    trie::{by_number, numbered, table},
};

/// The IP protocol.
#[derive(Debug)]
pub struct Protocol;

impl Dimension for Protocol {
    type Value = u8;
    type Table = Vec<(NumberKey, RuleSet)>;
    type Answers = HashMap<u32, RuleSet>;

    const KEY: Key = key(
        "protocol",
        Takes::TextsOrNumbers,
        r#"["tcp", "udp"]"#,
        "The IP protocol, behind IPv6 extension headers.",
    );
    const OTHER_NAMES: &'static [&'static str] = &["proto"];
    const MOST: usize = usize::MAX;
    const BIT: u32 = dimension::PROTOCOL;
    const CACHE: CacheInput = CacheInput::Packet;

    fn parse(value: &Scalar, _: LookUp<'_>) -> Result<Self::Value, Flaw> {
        protocol(value)
    }

    /// One that looks at ports looks at protocols with ports alone.
    fn wanted(listed: &[Self::Value], looks_at_ports: bool) -> Cow<'_, [Self::Value]> {
        if listed.is_empty() && looks_at_ports {
            Cow::Owned((0..=u8::MAX).filter(|number| has_ports(*number)).collect())
        } else {
            Cow::Borrowed(listed)
        }
    }

    fn covers(outer: &[Self::Value], inner: &[Self::Value]) -> bool {
        all_below(outer, inner, |one| [one])
    }

    fn compile(wanted: &[Vec<Self::Value>], slot: Slot) -> (RuleSet, Self::Table) {
        let numbers: Vec<Vec<u32>> = wanted
            .iter()
            .map(|all| all.iter().copied().map(u32::from).collect())
            .collect();
        let (any, table) = table(&numbers);
        (any, numbered(table, slot))
    }

    fn is_unused(table: &Self::Table) -> bool {
        table.is_empty()
    }

    fn any(active: &mut Active) -> &mut RuleSet {
        &mut active.any_protocol
    }

    fn answers(table: &Self::Table, _: &LookUpFile<'_>) -> Self::Answers {
        by_number(table)
    }
}

/// IANA's protocol numbers, by the names of `/etc/protocols`: those that a policy may want to name. Not read from
/// that file, so that a policy means the same on every machine.
pub(in crate::policy) const PROTOCOLS: [(&str, u8); 22] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("egp", 8),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("eigrp", 88),
    ("ospf", 89),
    ("etherip", 97),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
    ("mpls-in-ip", 137),
];

/// An IP protocol, by name or number.
fn protocol(value: &Scalar) -> Result<u8, Flaw> {
    let text = match value {
        Scalar::Number(number) => {
            return u8::try_from(*number).map_err(|_| {
                Flaw::new(format!("{number} is not an IP protocol"))
                    .fix("protocol numbers are 0 to 255")
            });
        }
        Scalar::Text(text) => text,
    };
    let named = PROTOCOLS.iter().find(|(name, _)| name == text);
    named.map(|(_, number)| *number).ok_or_else(|| {
        let flaw = Flaw::new(format!("unknown protocol {}", quoted(text)));
        if text.parse::<u8>().is_ok() {
            return flaw.fix(format!("write the number {text} without quotes"));
        }
        match nearest(text, PROTOCOLS.iter().map(|(name, _)| *name)) {
            Some(name) => flaw.fix(format!("did you mean `{name}`?")),
            None => flaw.fix(
                "name `tcp`, `udp`, `icmp`, `icmpv6`, …, or give the number that IANA assigned",
            ),
        }
    })
}

/// The protocol as a message shows it.
pub(in crate::policy) fn protocol_name(number: u8) -> String {
    let named = PROTOCOLS.iter().find(|(_, of_name)| *of_name == number);
    named.map_or_else(
        || format!("protocol {number}"),
        |(name, _)| format!("`{name}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn protocols_have_names_and_numbers() {
        assert_eq!(protocol(&text("tcp")), Ok(6));
        assert_eq!(protocol(&text("icmpv6")), Ok(58));
        assert_eq!(protocol(&Scalar::Number(255)), Ok(255));
        assert!(protocol(&Scalar::Number(256)).is_err());
        assert!(protocol(&text("6")).is_err());
        for number in (0..=u8::MAX).filter(|number| has_ports(*number)) {
            assert!(
                protocol_name(number).starts_with('`'),
                "{number} has a name"
            );
        }
    }
}
