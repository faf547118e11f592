//! Warns of rules that can never decide, because an earlier one matches all that they match.

use super::dimension::{self, Dimension as _, for_each_dimension};
use super::problem::{Flaw, quoted};
use super::raw::RawPolicy;
use super::report::Report;
use super::rule::Rule;

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
        .fix(format!(
            "the first rule that matches decides: put {later} before {earlier}, or remove it"
        ));
        report.warning(
            &later_raw.header,
            Some((&earlier_raw.header, "this one decides")),
            flaw,
        );
    }
}

macro_rules! covers {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        /// Whether each packet that `later` matches is one that `earlier` matches.
        fn covers(earlier: &Rule, later: &Rule) -> bool {
            let (earlier_ports, later_ports) = (earlier.looks_at_ports(), later.looks_at_ports());
            $(dimension::$dimension::covers(
                &dimension::$dimension::wanted(&earlier.$field, earlier_ports),
                &dimension::$dimension::wanted(&later.$field, later_ports),
            ))&&*
        }
    };
}
for_each_dimension!(covers);

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
