//! What single values of the file mean that belong to no dimension: names, actions, interface patterns.

use pinif_ebpf::enforce::Action;

use super::interface_pattern::InterfacePattern;
use super::problem::{Flaw, nearest, quoted};
use crate::text::{escape::visible, glob::glob};

/// The longest name of an interface (`IFNAMSIZ`, less the final zero).
const MAX_INTERFACE_NAME: usize = 15;

/// What other tools call the actions of a rule.
const OTHER_ACTIONS: [(&str, &str); 14] = [
    ("audit", "alert"),
    ("log", "alert"),
    ("report", "alert"),
    ("warn", "alert"),
    ("block", "drop"),
    ("deny", "drop"),
    ("discard", "drop"),
    ("enforce", "drop"),
    ("reject", "drop"),
    ("accept", "allow"),
    ("ignore", "allow"),
    ("pass", "allow"),
    ("permit", "allow"),
    ("skip", "allow"),
];

/// The name of a zone or a rule, as it appears in findings.
pub(super) fn name(text: &str, owner: &str) -> Result<String, Flaw> {
    let fix =
        format!("name the {owner} after what it is for, as in `backplane` or `control-plane`");
    if text.trim().is_empty() {
        Err(Flaw::new(format!("the name of the {owner} is empty")).fix(fix))
    } else if text.chars().any(char::is_control) {
        Err(Flaw::new(format!("the name {} has control characters", quoted(text))).fix(fix))
    } else {
        Ok(text.to_owned())
    }
}

/// The words of [`action`].
pub(super) const ACTIONS: [&str; 3] = ["alert", "drop", "allow"];

/// What becomes of what breaks a rule.
pub(super) fn action(text: &str) -> Result<Action, Flaw> {
    match text {
        "alert" => return Ok(Action::Alert),
        "drop" => return Ok(Action::Drop),
        "allow" => return Ok(Action::Allow),
        _ => {}
    }
    let flaw = Flaw::new(format!("unknown action {}", quoted(text)));
    let other = OTHER_ACTIONS.iter().find(|(other, _)| *other == text);
    let meant = other
        .map(|(_, meant)| *meant)
        .or_else(|| nearest(text, ACTIONS));
    Err(match meant {
        Some(meant) => flaw.fix(format!("did you mean `{meant}`?")),
        None => flaw.fix(
            "write `alert`, to report it and never drop it, `drop`, to drop it under `--enforce`, `allow`, for an exception of which nothing is reported, or leave `action` out",
        ),
    })
}

/// Whether packets whose headers cannot be read leave all the same, where the policy is enforced.
pub(super) fn unparsed(text: &str) -> Result<bool, Flaw> {
    match text {
        "pass" => Ok(true),
        "drop" => Ok(false),
        _ => Err(Flaw::new(format!("unknown value {}", quoted(text)))
            .fix("write `drop`, as it is without this key, or `pass`")),
    }
}

/// A name or a glob for the names of interfaces.
pub(super) fn interfaces(text: &str) -> Result<InterfacePattern, Flaw> {
    let flaw = || Flaw::new(format!("{} is no interface name or pattern", quoted(text)));
    if text.is_empty() {
        return Err(Flaw::new("an interface name is empty")
            .fix("write the name as `ip link` shows it, or a pattern as in `fab*`"));
    }
    // What the kernel refuses in a name (`dev_valid_name`) never matches.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || "/:".contains(c)) {
        return Err(flaw().fix("interface names have neither spaces nor `/` nor `:`; write them as `ip link` shows them"));
    }
    let is_pattern = text.contains(['*', '?', '[', '{', '}', '\\']);
    if !is_pattern && text.len() > MAX_INTERFACE_NAME {
        return Err(flaw().fix(format!(
            "interface names have at most {MAX_INTERFACE_NAME} bytes; `*` stands for the rest"
        )));
    }
    if !is_pattern {
        return Ok(InterfacePattern::name(text));
    }
    match glob(text) {
        Ok(glob) => Ok(InterfacePattern::glob(text, glob)),
        Err(reason) => {
            let what = format!("{} is no valid pattern: {}", quoted(text), visible(&reason));
            Err(Flaw::new(what).fix("`*` is any text, `?` one character, `[ab]` one of several, `{a,b}` one of several texts"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_words() {
        assert_eq!(action("alert"), Ok(Action::Alert));
        assert_eq!(action("drop"), Ok(Action::Drop));
        assert_eq!(action("allow"), Ok(Action::Allow));
        for bad in ["", "Drop", "Allow", "reject"] {
            assert!(action(bad).is_err(), "{bad}");
        }
        for (other, meant) in OTHER_ACTIONS {
            assert!(action(other).is_err() && action(meant).is_ok(), "{other}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        let fab = interfaces("fab*").expect("a pattern");
        assert!(fab.matches("fab0") && fab.matches("fab0.100"));
        assert!(!fab.matches("xfab0"));
        assert!(!interfaces("eth0").expect("a name").matches("eth0.100"));
        for bad in [
            "",
            "eth 0",
            "eth/0",
            "eth0:1",
            "eth[",
            "{a",
            "a-name-of-16-byt",
            "eth\u{1b}",
        ] {
            assert!(interfaces(bad).is_err(), "{bad}");
        }
    }
}
