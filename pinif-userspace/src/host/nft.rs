//! The rules of nftables that may change where a packet leaves (linux/netfilter/nf_tables.h).

mod effect;
mod expressions;

use std::{fmt, io};

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::{
    attributes::{attribute, be_number, text},
    listing::list,
    modules::Module,
    netlink::Requester,
    netns::NetNs,
    raw::Raw,
};
use expressions::does;

pub use effect::Does;
#[cfg(test)]
pub use effect::MarkSet;

/// A rule, and what it does that matters here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NftRule {
    /// The family of its table, as nft(8) writes it.
    pub family: &'static str,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// Its handle, by which it can be deleted.
    pub handle: u64,
    /// What it does.
    pub does: Does,
}

/// Rules as they were at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// Which it is: another number after each change in the namespace (`nf_tables_fill_gen_info`).
    pub generation: u32,
    /// All that mark or redirect, in the order of the kernel.
    pub rules: Vec<NftRule>,
}

/// `NFNL_SUBSYS_NFTABLES`, with `NFT_MSG_GETRULE` and `NFT_MSG_GETGEN`.
const GET_RULES: u16 = 10 << 8 | 7;
const GET_GENERATION: u16 = 10 << 8 | 16;
/// `NFTA_GEN_ID`.
const GENERATION: u16 = 1;
/// `struct nfgenmsg`.
const HEADER: usize = 4;
/// `NFTA_RULE_…`.
const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const EXPRESSIONS: u16 = 4;

/// The rules of a namespace that mark or redirect; none where they are those of this generation. To read them takes as long as there are
/// rules: some tenths of a second where there are a hundred thousand.
///
/// A kernel that has not loaded nf_tables has none, and is not made to load it.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses netlink (`CAP_NET_ADMIN`).
pub fn rules(netns: &NetNs, known: Option<u32>) -> io::Result<Option<Ruleset>> {
    if !Module::NF_TABLES.is_there() {
        let none = Ruleset {
            generation: 0,
            rules: Vec::new(),
        };
        return Ok(Some(none).filter(|none| known != Some(none.generation)));
    }
    netns.visit(|| {
        // Asked first: what changes meanwhile is another generation's, and is read again.
        let generation = generation()?;
        if known == Some(generation) {
            return Ok(None);
        }
        let question = Raw::question(HEADER, 0);
        let read = |_, payload: &[u8]| NftRule::read(payload);
        let rules = list(NETLINK_NETFILTER, GET_RULES, &question, read)?.what_there_is();
        Ok(Some(Ruleset { generation, rules }))
    })?
}

/// The generation of the ruleset of the calling thread's namespace.
fn generation() -> io::Result<u32> {
    let question = Raw::question(HEADER, 0);
    let read = |_, payload: &[u8]| be_number(&attribute(payload.get(HEADER..)?, GENERATION)?);
    let answer = Requester::open(NETLINK_NETFILTER)?.request(GET_GENERATION, &question, read)?;
    answer.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

impl NftRule {
    fn read(payload: &[u8]) -> Option<Self> {
        let family = match i32::from(*payload.first()?) {
            1 => "inet",
            2 => "ip",
            3 => "arp",
            5 => "netdev",
            7 => "bridge",
            10 => "ip6",
            _ => return None,
        };
        let body = payload.get(HEADER..)?;
        let find = |kind| attribute(body, kind);
        Some(Self {
            family,
            table: text(&find(TABLE)?),
            chain: text(&find(CHAIN)?),
            handle: u64::from_be_bytes(find(HANDLE)?.try_into().ok()?),
            does: does(&find(EXPRESSIONS)?)?,
        })
    }

    /// What deletes it, as a line of the shell; none where nft(8) would not read the names as names: the kernel takes any bytes, and nft
    /// reads its arguments as one text of commands.
    pub fn deletion(&self) -> Option<String> {
        let are_names = is_identifier(&self.table) && is_identifier(&self.chain);
        are_names.then(|| {
            format!(
                "nft delete rule {} {} {} handle {}",
                self.family, self.table, self.chain, self.handle
            )
        })
    }
}

impl fmt::Display for NftRule {
    /// `nft rule ip lab out handle 4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nft rule {} {} {} handle {}",
            self.family, self.table, self.chain, self.handle
        )
    }
}

/// Whether nft(8) takes a text for a name (`string` of its scanner).
fn is_identifier(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || "_.".contains(c);
    text.starts_with(is_first)
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(table: &str, chain: &str) -> NftRule {
        NftRule {
            family: "inet",
            table: table.to_owned(),
            chain: chain.to_owned(),
            handle: 4,
            does: Does::Mark(None),
        }
    }

    #[test]
    fn only_what_nft_takes_for_names_is_in_a_line() {
        let line = rule("lab-1", "_out/a.b").deletion();
        assert_eq!(
            line.as_deref(),
            Some("nft delete rule inet lab-1 _out/a.b handle 4")
        );
        for name in [
            "",
            "-f",
            "1a",
            "a b",
            "a handle 1; flush ruleset; list chain inet a",
            "a\u{fffd}",
            "a\"",
        ] {
            assert_eq!(rule(name, "out").deletion(), None, "{name}");
            assert_eq!(rule("lab", name).deletion(), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_rule_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = NftRule::read(&bytes);
        }
    }
}
