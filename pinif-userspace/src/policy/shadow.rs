//! Warns of rules that can never decide, because an earlier one matches all that they match.

use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Rule;
use super::file::RawPolicy;
use super::problem::{Flaw, Report, quoted};

/// Adds the warnings of `rules`, which are those of `raw`. Only single earlier rules are looked at, not several together.
pub(super) fn warn(rules: &[Rule], raw: &RawPolicy, report: &mut Report<'_>) {
    for (number, later) in rules.iter().enumerate() {
        let Some(first) = rules[..number]
            .iter()
            .position(|earlier| covers(earlier, later))
        else {
            continue;
        };
        let (earlier_raw, later_raw) = (&raw.rules[first], &raw.rules[number]);
        let (earlier, later) = (quoted(&rules[first].name), quoted(&later.name));
        let flaw = Flaw::new(format!(
            "rule {later} never decides: {earlier} matches all of its traffic first"
        ))
        .mend(format!(
            "the first rule that matches decides: put {later} before {earlier}, or remove it"
        ));
        report.warning(
            &later_raw.header,
            Some((&earlier_raw.header, "this one decides")),
            flaw,
        );
    }
}

/// Whether each packet that `later` matches is one that `earlier` matches.
fn covers(earlier: &Rule, later: &Rule) -> bool {
    nets_cover(&earlier.destinations, &later.destinations)
        && nets_cover(&earlier.sources, &later.sources)
        && ports_cover(&earlier.ports, &later.ports)
        && ports_cover(&earlier.source_ports, &later.source_ports)
        && all_of(
            earlier.meant_protocols(),
            later.meant_protocols(),
            |one, other| one == other,
        )
        && all_of(&earlier.users, &later.users, |one, other| one == other)
        && all_of(&earlier.cgroups, &later.cgroups, |above, below| {
            is_below(below, above)
        })
        && all_of(&earlier.executables, &later.executables, |one, other| {
            one == other
        })
}

/// Whether each of the inner values is covered by one of the outer; an empty list stands for every value.
fn all_of<T>(outer: &[T], inner: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    outer.is_empty()
        || (!inner.is_empty()
            && inner
                .iter()
                .all(|inner| outer.iter().any(|outer| covers(outer, inner))))
}

fn nets_cover(outer: &[IpNet], inner: &[IpNet]) -> bool {
    let everything = [Ipv4Net::default().into(), Ipv6Net::default().into()];
    let inner = if inner.is_empty() { &everything } else { inner };
    all_of(outer, inner, |outer: &IpNet, inner: &IpNet| {
        outer.contains(inner)
    })
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

/// Whether a cgroup is another or is below it.
fn is_below(cgroup: &str, above: &str) -> bool {
    above == "/"
        || cgroup
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    /// Whether a rule with these keys leaves nothing to a later one.
    fn shadows(earlier: &str, later: &str) -> bool {
        let rule =
            |name, keys: &str| format!("[[rule]]\nname = \"{name}\"\npinned = true\n{keys}\n");
        let text = rule("earlier", earlier) + &rule("later", later);
        let policy =
            Policy::parse(&text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"));
        !policy.warnings.is_empty()
    }

    #[test]
    fn a_wider_rule_shadows() {
        for (earlier, later) in [
            ("port = 53", "port = 53"),
            ("port = [\"0-99\", \"100-200\"]", "port = \"50-150\""),
            ("port = 53", "port = 53\nprotocol = \"udp\""),
            (
                "protocol = [\"tcp\", \"udp\", \"udplite\", \"sctp\", \"dccp\"]",
                "port = 53",
            ),
            (
                "destination = \"10.0.0.0/8\"",
                "destination = \"10.1.0.0/16\"\nuser = 0",
            ),
            ("destination = [\"0.0.0.0/0\", \"::/0\"]", "port = 53"),
            ("cgroup = \"/a\"", "cgroup = [\"/a/b\", \"/a\"]"),
            ("cgroup = \"/\"", "cgroup = \"/a\""),
            ("executable = [\"/a\", \"/b\"]", "executable = \"/b\""),
        ] {
            assert!(shadows(earlier, later), "{earlier} / {later}");
        }
    }

    #[test]
    fn a_rule_that_leaves_something_does_not_shadow() {
        for (earlier, later) in [
            ("port = 53", "source_port = 53"),
            ("port = [\"0-99\", \"101-200\"]", "port = \"50-150\""),
            ("port = 53\nprotocol = \"udp\"", "port = 53"),
            ("protocol = \"udp\"", "port = 53"),
            (
                "destination = \"10.1.0.0/16\"",
                "destination = \"10.0.0.0/8\"",
            ),
            ("destination = \"::/0\"", "destination = \"10.0.0.0/8\""),
            ("destination = \"0.0.0.0/0\"", "port = 53"),
            ("cgroup = \"/a/b\"", "cgroup = \"/a\""),
            ("cgroup = \"/a\"", "cgroup = \"/ab\""),
            // A socket of no known cgroup is in none, `/` included.
            ("cgroup = \"/\"", "port = 53"),
            ("user = 0", "user = [0, 1]"),
        ] {
            assert!(!shadows(earlier, later), "{earlier} / {later}");
        }
    }
}
