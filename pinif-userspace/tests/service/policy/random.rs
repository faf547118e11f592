//! No text makes it panic.

use pinif_userspace::policy::Policy;
use proptest::proptest;

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = Policy::parse(&text, "policy.toml").map_err(|errors| errors.to_string());
    }

    /// Texts that look like policies, with anything missing.
    #[test]
    fn no_broken_policy_makes_it_panic(
        parts in proptest::collection::vec(proptest::sample::select(PARTS.to_vec()), 0..25),
    ) {
        let text = parts.concat();
        if let Err(errors) = Policy::parse(&text, "policy.toml") {
            assert!(!errors.problems().is_empty());
            for problem in errors.problems() {
                assert!(problem.line().is_some() && problem.column().is_some() && problem.fix().is_some(), "{problem}");
            }
            assert!(!errors.to_string().contains('\u{1b}'));
        }
    }
}

const PARTS: [&str; 34] = [
    "[zone.a]\n",
    "[[rule]]\n",
    "[zone.a",
    "[[rule]",
    "[",
    "]",
    "]]",
    "name",
    " = ",
    "\"",
    "'",
    "\"\"\"",
    "\n",
    "\n",
    "\r\n",
    ",",
    "{",
    "}",
    "#",
    "interfaces",
    "only_via",
    "destination",
    "\"10.0.0.0/8\"",
    "port",
    "53",
    "8000-8999",
    "rule",
    "zone",
    ".",
    "pinned",
    "true",
    "\u{1b}",
    "é",
    "\\u001b",
];
