//! Colour and width: how plain the output must be.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use pinif_ebpf::verdict::Severity;

pub use crate::text::streams::columns;

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether there is colour.
    pub colour: bool,
}

impl Look {
    /// Without colour.
    pub const PLAIN: Self = Self { colour: false };

    /// What fits the stream that is written to, and what the user asked for in the environment.
    pub fn of(stream: &impl IsTerminal) -> Self {
        let variable = |name: &str| std::env::var_os(name);
        Self {
            colour: colour(
                stream.is_terminal(),
                variable("NO_COLOR").as_deref(),
                variable("CLICOLOR_FORCE").as_deref(),
                variable("CLICOLOR").as_deref(),
                variable("TERM").as_deref(),
            ),
        }
    }

    /// The text in a style, or as it is.
    pub fn paint(self, style: Style, text: &str) -> Cow<'_, str> {
        if self.colour && !style.is_plain() && !text.is_empty() {
            Cow::Owned(format!("{style}{text}{style:#}"))
        } else {
            Cow::Borrowed(text)
        }
    }
}

/// The colour of a severity.
pub fn of_severity(severity: Severity) -> Style {
    match severity {
        Severity::Leak => AnsiColor::Red.on_default().bold(),
        Severity::Risk => AnsiColor::Yellow.on_default(),
        Severity::Note => AnsiColor::Cyan.on_default(),
    }
}

/// What stands back: labels, empty cells.
pub fn faint() -> Style {
    Style::new().dimmed()
}

/// What stands out without alarm: headings.
pub fn strong() -> Style {
    Style::new().bold()
}

/// Whether to colour: `NO_COLOR` (no-color.org) wins, then `CLICOLOR_FORCE` and `CLICOLOR` (bixense.com/clicolors), then
/// whether a terminal that knows colours is there. Empty variables are none.
fn colour(
    terminal: bool,
    no_color: Option<&OsStr>,
    clicolor_force: Option<&OsStr>,
    clicolor: Option<&OsStr>,
    term: Option<&OsStr>,
) -> bool {
    let set = |value: Option<&OsStr>| value.is_some_and(|value| !value.is_empty());
    if set(no_color) {
        return false;
    }
    if set(clicolor_force) && clicolor_force != Some(OsStr::new("0")) {
        return true;
    }
    terminal && clicolor != Some(OsStr::new("0")) && term != Some(OsStr::new("dumb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_decides_on_colour_then_the_terminal() {
        let some = |text| Some(OsStr::new(text));
        for (terminal, no_color, force, clicolor, term, expected) in [
            (true, None, None, None, some("xterm"), true),
            (true, None, None, None, None, true),
            (false, None, None, None, some("xterm"), false),
            (true, None, None, None, some("dumb"), false),
            (true, some(""), None, None, None, true),
            (true, some("1"), None, None, None, false),
            (true, some("1"), some("1"), None, None, false),
            (false, None, some("1"), None, some("dumb"), true),
            (false, None, some("0"), None, None, false),
            (false, None, some(""), None, None, false),
            (true, None, None, some("0"), None, false),
        ] {
            assert_eq!(
                colour(terminal, no_color, force, clicolor, term),
                expected,
                "{terminal} {no_color:?} {force:?} {clicolor:?} {term:?}"
            );
        }
    }

    #[test]
    fn plain_is_plain() {
        assert_eq!(
            Look::PLAIN.paint(of_severity(Severity::Leak), "leak"),
            "leak"
        );
        assert_eq!(
            Look { colour: true }.paint(faint(), "a"),
            "\u{1b}[2ma\u{1b}[0m"
        );
        assert_eq!(Look { colour: true }.paint(faint(), ""), "");
    }
}
