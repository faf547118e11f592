//! The ports of a packet.

use std::ops::RangeInclusive;

use pinif_ebpf::policy::{Active, PortKey, RuleSet, Slot, dimension};

use super::{
    cache_input::CacheInput,
    definition::{Dimension, LookUp, LookUpFile},
    values::all_of,
};
use crate::policy::{
    key::{Key, Takes, key},
    prefixes::Prefixes,
    problem::{Flaw, quoted},
    raw::Scalar,
    trie::{Block, Space, TrieEntry, trie},
};

/// A dimension of ports: its name, key, other names, bit and what the verdict cache compares, and the
/// field of the rules that take any.
macro_rules! ports {
    ($(#[$doc:meta])* $name:ident, $key:literal, $others:expr, $bit:expr, $cache:expr, $any:ident, $about:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Dimension for $name {
            type Value = RangeInclusive<u16>;
            type Table = Vec<TrieEntry<PortKey>>;
            type Answers = Prefixes;

            const KEY: Key = key($key, Takes::TextsOrNumbers, r#"[53, "8000-8999"]"#, $about);
            const OTHER_NAMES: &'static [&'static str] = $others;
            const MOST: usize = 1000;
            const BIT: u32 = $bit;
            const CACHE: CacheInput = $cache;

            fn parse(value: &Scalar, _: LookUp<'_>) -> Result<Self::Value, Flaw> {
                ports(value)
            }

            fn covers(outer: &[Self::Value], inner: &[Self::Value]) -> bool {
                ports_cover(outer, inner)
            }

            fn compile(wanted: &[Vec<Self::Value>], slot: Slot) -> (RuleSet, Self::Table) {
                trie(&all_blocks(wanted), port_key(slot))
            }

            fn is_unused(table: &Self::Table) -> bool {
                table.is_empty()
            }

            fn any(active: &mut Active) -> &mut RuleSet {
                &mut active.$any
            }

            fn answers(table: &Self::Table, _: &LookUpFile<'_>) -> Self::Answers {
                Prefixes::of_ports(table)
            }
        }
    };
}

ports!(
    /// The destination port.
    Port, "port", &["dport", "destination_port"], dimension::PORT, CacheInput::Packet, any_port,
    "The destination port: numbers, and ranges as text."
);
ports!(
    /// The source port.
    SourcePort, "source_port", &["sport"], dimension::SOURCE_PORT, CacheInput::SourcePort, any_source_port,
    "The source port: numbers, and ranges as text."
);

/// A port or a range of ports.
fn ports(value: &Scalar) -> Result<RangeInclusive<u16>, Flaw> {
    let text = match value {
        Scalar::Number(number) => return one_port(&number.to_string()).map(|port| port..=port),
        Scalar::Text(text) => text,
    };
    let Some((from, to)) = text.split_once('-') else {
        return match text.split_once(':') {
            Some((from, to)) if one_port(from).is_ok() && one_port(to).is_ok() => {
                Err(not_a_port(text).fix(format!("write a range with `-`: `\"{from}-{to}\"`")))
            }
            _ => one_port(text).map(|port| port..=port),
        };
    };
    let (from, to) = (one_port(from.trim())?, one_port(to.trim())?);
    if from > to {
        let flaw = Flaw::new(format!("the range {} ends before it begins", quoted(text)));
        return Err(flaw.fix(format!("write `\"{to}-{from}\"`")));
    }
    Ok(from..=to)
}

fn one_port(text: &str) -> Result<u16, Flaw> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| not_a_port(text))
}

fn not_a_port(text: &str) -> Flaw {
    Flaw::new(format!("{} is not a port", quoted(text)))
        .fix("a port is a number from 0 to 65535, a range is text as in `\"8000-8999\"`; service names are not looked up")
}

fn ports_cover(outer: &[RangeInclusive<u16>], inner: &[RangeInclusive<u16>]) -> bool {
    all_of(&merged(outer), inner, |outer, inner| {
        outer.contains(inner.start()) && outer.contains(inner.end())
    })
}

/// The same ports in ranges that do not touch.
fn merged(ranges: &[RangeInclusive<u16>]) -> Vec<RangeInclusive<u16>> {
    let mut sorted: Vec<_> = ranges.to_vec();
    sorted.sort_by_key(|range| *range.start());
    let mut merged = Vec::<RangeInclusive<u16>>::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

fn all_blocks(wanted: &[Vec<RangeInclusive<u16>>]) -> Vec<Vec<Block>> {
    wanted.iter().map(|ranges| blocks(ranges)).collect()
}

fn port_key(slot: Slot) -> impl Fn(&Block) -> (u32, PortKey) {
    move |block| {
        let port = (block.value >> 112) as u16;
        (PortKey::length(block.bits), PortKey::new(slot, port))
    }
}

/// The fewest binary prefixes that make up the ranges, each range by itself.
pub(in crate::policy) fn blocks(ranges: &[RangeInclusive<u16>]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for range in ranges {
        let (mut from, end) = (u32::from(*range.start()), u32::from(*range.end()) + 1);
        while from < end {
            // As large as its start is aligned, and as fits before the end.
            let size = (from | 1 << 16).trailing_zeros().min((end - from).ilog2());
            blocks.push(Block {
                space: Space::Port,
                value: u128::from(from) << 112,
                bits: (16 - size) as u8,
            });
            from += 1 << size;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn ports_are_numbers_or_ranges() {
        assert_eq!(ports(&Scalar::Number(0)), Ok(0..=0));
        assert_eq!(ports(&Scalar::Number(65535)), Ok(65535..=65535));
        assert_eq!(ports(&text("53")), Ok(53..=53));
        assert_eq!(ports(&text("8000-8999")), Ok(8000..=8999));
        assert_eq!(ports(&text("8000 - 8999")), Ok(8000..=8999));
        assert_eq!(ports(&text("0-65535")), Ok(0..=65535));
        for bad in [
            "", "-", "1-", "-1", "2-1", "65536", "1-65536", "ssh", "+1", "1-2-3", "80,443",
        ] {
            assert!(ports(&text(bad)).is_err(), "{bad}");
        }
        for bad in [-1, 65536, i128::MAX] {
            assert!(ports(&Scalar::Number(bad)).is_err(), "{bad}");
        }
    }
}
