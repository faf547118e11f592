//! Whether a terminal suits a view that moves its cursor about.

use std::ffi::OsStr;

/// Terminals that understand ECMA-48, by what their names begin with before a `-`, a `.` or a number: all that a user meets, and no list
/// of a machine, which has no terminfo perhaps.
const KNOWN: [&str; 27] = [
    "alacritty",
    "ansi",
    "contour",
    "cygwin",
    "dtterm",
    "eterm",
    "foot",
    "ghostty",
    "gnome",
    "iterm",
    "jfbterm",
    "kitty",
    "konsole",
    "linux",
    "mintty",
    "mlterm",
    "nsterm",
    "putty",
    "rio",
    "rxvt",
    "screen",
    "st",
    "teraterm",
    "tmux",
    "vt",
    "wezterm",
    "xterm",
];

/// Why a terminal of this name does not suit; nothing, where it does.
pub fn objection(term: Option<&OsStr>) -> Option<String> {
    let term = term.unwrap_or_default().to_string_lossy();
    if term.is_empty() {
        return Some("TERM is not set".to_owned());
    }
    if term == "dumb" {
        return Some("TERM=dumb moves no cursor".to_owned());
    }
    let family = term.split(['-', '.', '+']).next().unwrap_or_default();
    let family = family.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_known = KNOWN.contains(&family.to_ascii_lowercase().as_str());
    (!is_known).then(|| format!("TERM={term} is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_known_by_its_family() {
        let suits = |term: &str| objection(Some(OsStr::new(term))).is_none();
        for term in [
            "xterm",
            "xterm-256color",
            "screen.xterm-256color",
            "tmux-256color",
            "linux",
            "vt100",
            "vt220",
            "rxvt-unicode",
            "Eterm",
            "foot-extra",
            "xterm+256color",
        ] {
            assert!(suits(term), "{term}");
        }
        for term in ["dumb", "", "unknown", "network", "vtx", "3270", "emacs"] {
            assert!(!suits(term), "{term}");
        }
        assert!(objection(None).is_some());
    }
}
