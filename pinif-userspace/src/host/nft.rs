//! The rules of nftables that may change where a packet leaves (linux/netfilter/nf_tables.h).

mod chains;
mod conditions;
mod effect;
mod expressions;
mod message;
mod registers;

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
use chains::{Graph, Jump, Place, Reached};
use conditions::Condition;
use expressions::Read;
use message::{HEADER, family};

pub use chains::Stage;
pub use conditions::Known;
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
    /// Which packets it does that to.
    pub applies: Applies,
}

/// Which packets a rule does something to, as far as that is read: those of all, where nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Applies {
    reached: Reached,
    conditions: Vec<Condition>,
    /// It gives them the mark of their connection, which another packet may have given that.
    pub restores: bool,
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
        let read = |_, payload: &[u8]| Listed::read(payload);
        let listed = list(NETLINK_NETFILTER, GET_RULES, &question, read)?.what_there_is();
        let rules = placed(listed, chains::chains);
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

/// What is kept of a rule as it is listed: what it does, and where it leads packets.
struct Listed {
    rule: Option<NftRule>,
    jump: Option<(Place, Jump)>,
}

impl Listed {
    fn read(payload: &[u8]) -> Option<Self> {
        let family = family(*payload.first()?)?;
        let body = payload.get(HEADER..)?;
        let find = |kind| attribute(body, kind);
        let Read {
            does,
            restores,
            jump,
        } = expressions::read(&find(EXPRESSIONS)?);
        if does.is_none() && jump.is_none() {
            return None;
        }
        let place = Place {
            family,
            table: text(&find(TABLE)?),
            chain: text(&find(CHAIN)?),
        };
        let handle = u64::from_be_bytes(find(HANDLE)?.try_into().ok()?);
        let rule = does.map(|(does, conditions)| NftRule {
            family,
            table: place.table.clone(),
            chain: place.chain.clone(),
            handle,
            does,
            applies: Applies {
                conditions,
                restores,
                ..Applies::default()
            },
        });
        let jump = jump.map(|jump| (place, jump));
        Some(Self { rule, jump })
    }
}

/// The rules that do something, with what leads packets to them. The chains are asked for where there is one; where the kernel does not list
/// them, packets may come to it from anywhere.
fn placed(
    listed: Vec<Listed>,
    chains: impl FnOnce() -> io::Result<Vec<(Place, Option<Stage>)>>,
) -> Vec<NftRule> {
    let (rules, jumps): (Vec<_>, Vec<_>) =
        listed.into_iter().map(|one| (one.rule, one.jump)).unzip();
    let mut rules: Vec<NftRule> = rules.into_iter().flatten().collect();
    if rules.is_empty() {
        return rules;
    }
    if let Ok(chains) = chains() {
        let mut graph = Graph::new(chains, jumps.into_iter().flatten().collect());
        for rule in &mut rules {
            rule.applies.reached = graph.reached(&Place {
                family: rule.family,
                table: rule.table.clone(),
                chain: rule.chain.clone(),
            });
        }
    }
    rules
}

impl NftRule {
    /// Whether it may do this to a packet of which so much is known, at one of these stages.
    pub fn may_see(&self, stages: &[Stage], packet: &Known) -> bool {
        let is_of_family = match self.family {
            "ip" => packet.is_ipv6 != Some(true),
            "ip6" => packet.is_ipv6 != Some(false),
            _ => true,
        };
        let mut conditions = self.applies.conditions.iter();
        is_of_family
            && self.applies.reached.may_be(stages, packet)
            && conditions.all(|one| one.may_hold(packet))
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
            applies: Applies::default(),
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
            let _ = Listed::read(&bytes);
        }
    }
}
