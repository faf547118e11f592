//! A draft as a policy file, with the evidence of each rule before it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    draft::{Draft, Drafted, Few, Unusual, weight},
    page::LearnedPage,
    traffic::{Amount, Traffic},
};
use crate::text::{
    escape::visible,
    words::{counted, listed},
};

/// How many programs the evidence of a rule names.
const PROGRAMS: usize = 12;

/// The policy file.
pub fn written(draft: &Draft<'_>, learned: &LearnedPage) -> String {
    let mut text = head(draft, learned);
    for (zone, interfaces) in &draft.zones {
        let names = array(interfaces.iter().map(|name| pattern(name)));
        let _ = write!(text, "\n[zone.{}]\ninterfaces = {names}\n", key(zone));
    }
    for rule in &draft.rules {
        text.push_str(&rule_text(rule, draft));
    }
    text
}

fn head(draft: &Draft<'_>, learned: &LearnedPage) -> String {
    let programs: BTreeSet<&str> = draft.traffic.iter().map(|one| one.program()).collect();
    let mut text = format!(
        "# A draft by `pinif learn` of what was seen from {} to {}:\n# {} of {}.\n",
        visible(&learned.since),
        visible(&learned.time),
        amount(&draft.traffic),
        counted(programs.len() as u64, "sender"),
    );
    if learned.not_learned > 0 {
        let times = counted(learned.not_learned, "time");
        let _ = writeln!(
            text,
            "# Not all: the table was full {times} when something new was sent."
        );
    }
    text.push_str(
        "# It allows what was seen, right or wrong. Read each rule before it comes into force, and try it:\n\
         # `pinif policy check FILE`, `pinif policy test FILE`.\n\
         # Of what must stay inside a zone nothing is known here: add `contained = true` to such a zone.\n",
    );
    if draft.rules.is_empty() {
        text.push_str("# Nothing left this host.\n");
    }
    text
}

fn rule_text(rule: &Drafted<'_>, draft: &Draft<'_>) -> String {
    let mut text = "\n".to_owned();
    let (first, last) = (
        rule.traffic.iter().map(|one| one.first_seen.as_str()).min(),
        rule.traffic.iter().map(|one| one.last_seen.as_str()).max(),
    );
    let _ = writeln!(
        text,
        "# Seen: {}, from {} to {}",
        amount(&rule.traffic),
        visible(first.unwrap_or_default()),
        visible(last.unwrap_or_default()),
    );
    for line in programs(&rule.traffic) {
        let _ = writeln!(text, "#   {line}");
    }
    for unusual in &rule.unusual {
        for line in unusual_lines(unusual, rule, draft) {
            let _ = writeln!(text, "# {line}");
        }
    }
    let _ = writeln!(text, "[[rule]]\nname = {}", quoted(&rule.name));
    let destinations = array(rule.destinations.iter().map(ToString::to_string));
    let _ = writeln!(text, "destination = {destinations}");
    let _ = writeln!(text, "only_via = {}", array(rule.only_via.iter().cloned()));
    if rule.pinned {
        text.push_str("pinned = true\n");
    }
    text
}

/// Who sent, those with the most sockets first.
fn programs(traffic: &[&Traffic]) -> Vec<String> {
    let mut by_program: BTreeMap<(&str, Option<u32>), Vec<&Traffic>> = BTreeMap::new();
    for one in traffic {
        let of = by_program.entry((one.program(), one.uid)).or_default();
        of.push(one);
    }
    let number = |traffic: &[&Traffic]| traffic.iter().map(|one| weight(one)).sum::<u64>();
    let mut all: Vec<_> = by_program.into_iter().collect();
    all.sort_by_key(|(_, traffic)| std::cmp::Reverse(number(traffic)));
    let more = all.len().saturating_sub(PROGRAMS);
    let mut lines: Vec<String> = all
        .iter()
        .take(PROGRAMS)
        .map(|((program, uid), traffic)| {
            let user = uid.map(|uid| format!(" (uid {uid})")).unwrap_or_default();
            format!("{}{user}: {}", visible(program), facts(traffic))
        })
        .collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// How many sockets, of which services, by which interfaces, and how many of them are bound to none.
fn facts(traffic: &[&Traffic]) -> String {
    let via: BTreeSet<_> = traffic
        .iter()
        .map(|one| visible(&one.egress_interface))
        .collect();
    let mut text = format!(
        "{} via {}",
        amount(traffic),
        listed(&Vec::from_iter(via), "and")
    );
    let bindable: Vec<&Traffic> = traffic
        .iter()
        .copied()
        .filter(|one| one.may_be_pinned())
        .collect();
    let unpinned: u64 = bindable
        .iter()
        .filter(|one| one.is_unpinned())
        .map(|one| weight(one))
        .sum();
    match (bindable.is_empty(), unpinned) {
        (true, _) => {}
        (false, 0) => text.push_str(", all bound to a device"),
        (false, unpinned) => {
            let _ = write!(text, ", {unpinned} bound to no device");
        }
    }
    text
}

/// How much traffic that is.
fn amount(traffic: &[&Traffic]) -> Amount {
    let mut amount = Amount::default();
    traffic.iter().for_each(|one| amount += *one);
    amount
}

/// What is unusual, and what the rule would say without it.
fn unusual_lines(unusual: &Unusual<'_>, rule: &Drafted<'_>, draft: &Draft<'_>) -> Vec<String> {
    let number: u64 = unusual.traffic.iter().map(|one| weight(one)).sum();
    let by: BTreeSet<_> = unusual
        .traffic
        .iter()
        .map(|one| visible(one.program()))
        .collect();
    let by: Vec<_> = by.into_iter().take(3).collect();
    let (by, of, network) = (listed(&by, "and"), unusual.of, unusual.network);
    match &unusual.what {
        Few::Via(interface) => {
            let zone = draft
                .zones
                .iter()
                .find(|(_, names)| names.contains(interface));
            let others = rule.only_via.iter();
            let others = others.filter(|other| zone.is_none_or(|(zone, _)| zone != *other));
            vec![
                format!(
                    "Unusual: {number} of {of} to {network} left via {} (by {by}). If that was wrong, say instead:",
                    visible(interface)
                ),
                format!("  only_via = {}", array(others.cloned())),
            ]
        }
        Few::Unpinned => vec![
            format!(
                "Unusual: {number} of {of} to {network} were bound to no device (by {by}). If that was wrong, add:"
            ),
            "  pinned = true".to_owned(),
        ],
    }
}

/// An interface's name as a pattern that matches it alone.
fn pattern(interface: &str) -> String {
    let is_plain = |letter: char| !"*?[]{}\\".contains(letter);
    let letter = |letter: char| {
        if is_plain(letter) {
            letter.to_string()
        } else {
            format!("[{letter}]")
        }
    };
    interface.chars().map(letter).collect()
}

fn array(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.map(|value| quoted(&value)).collect();
    match &values[..] {
        [] | [_] | [_, _] | [_, _, _] => format!("[{}]", values.join(", ")),
        many => format!("[\n    {},\n]", many.join(",\n    ")),
    }
}

/// A bare key where it may be one, else a quoted one (TOML 1.0, Keys).
fn key(text: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    if !text.is_empty() && text.chars().all(is_bare) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A basic string (TOML 1.0, String): all that is a hazard to a reader is escaped, too.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if crate::text::escape::is_hazardous(letter) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_so_that_they_are_read_back() {
        for text in ["eth0", "a\"b\\c", "x\u{202e}y\u{7f}\u{1b}", "eth0.100", ""] {
            let file = format!("{} = {}", key(text), quoted(text));
            let table: toml::Table = file.parse().expect("TOML");
            assert_eq!(table[text].as_str(), Some(text));
        }
    }

    #[test]
    fn a_pattern_matches_its_interface_alone() {
        for name in ["eth0", "we[i]rd", "a*b", "q?", "{x,y}", "b\\s"] {
            let policy = format!("[zone.a]\ninterfaces = [{}]", quoted(&pattern(name)));
            let policy = crate::policy::Policy::parse(&policy, "draft").expect("a policy");
            assert!(!policy.zones_of(name).is_empty(), "{name}");
            assert!(policy.zones_of("aXb").is_empty() && policy.zones_of("x").is_empty());
        }
    }
}
