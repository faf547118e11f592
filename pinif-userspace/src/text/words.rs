//! Text for people: numbers grouped, durations and plurals in words, lines broken.

use std::fmt::{Display, Write as _};
use std::iter;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

/// A number with its thousands grouped: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count of things with a regular plural: `1 packet`, `1,040 packets`.
pub fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// Names in a row: `a`, `a or b`, `a, b or c`; of more than four, the first three and how many more.
pub fn listed<T: AsRef<str>>(names: &[T], conjunction: &str) -> String {
    let shown = if names.len() > 4 { 3 } else { names.len() };
    let mut words: Vec<String> = names[..shown]
        .iter()
        .map(|name| name.as_ref().to_owned())
        .collect();
    if shown < names.len() {
        words.push(format!("{} more", names.len() - shown));
    }
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, head)) => format!("{} {conjunction} {last}", head.join(", ")),
    }
}

/// What there is, for whoever named something else: `a, b, c`; of more than twelve, the first twelve and how many more.
pub fn those_there<T: AsRef<str>>(names: &[T]) -> String {
    const MOST: usize = 12;
    let shown = &names[..names.len().min(MOST)];
    let mut text = shown
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() - shown.len() {
        0 => {}
        more => text.push_str(&format!(" and {} more", grouped(more as u64))),
    }
    text
}

/// Destinations in a row: `a`, `a and b`; of more than two, the first and how many more.
pub fn first_of<T: Display>(destinations: &[T]) -> String {
    match destinations {
        [] => "the destination".to_owned(),
        [one] => one.to_string(),
        [one, other] => format!("{one} and {other}"),
        [first, others @ ..] => {
            let many = counted(others.len() as u64, "other destination");
            format!("{first} and {many}")
        }
    }
}

/// A duration as people say it, in at most two units: `350 ms`, `9.8 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{}.{} s", seconds, duration.subsec_millis() / 100),
        60..3600 => two_units(seconds, (60, "min"), (1, "s")),
        3600..86_400 => two_units(seconds, (3600, "h"), (60, "min")),
        _ => two_units(seconds, (86_400, "d"), (3600, "h")),
    }
}

/// How many columns the text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text with its lines broken at spaces, so that none passes `columns` where words allow it. What stands between backticks is a
/// command, and one word: it is there to be copied. Lines after the first begin with `indent` spaces; the first is taken to begin with as
/// many already.
pub fn wrapped(text: &str, columns: usize, indent: usize) -> String {
    wrapped_from(text, columns, indent, indent)
}

/// The same, where `at` columns stand before the first line.
pub fn wrapped_from(text: &str, columns: usize, indent: usize, at: usize) -> String {
    let mut lines = String::with_capacity(text.len() + 16);
    let mut at = at;
    for (index, word) in words(text).enumerate() {
        let needed = width(word);
        // No space stands at a line's end, of several between two words neither.
        if index > 0 && needed > 0 && at + 1 + needed > columns {
            lines.truncate(lines.trim_end_matches(' ').len());
            push(&mut lines, format_args!("\n{:indent$}", ""));
            at = indent;
        } else if index > 0 {
            lines.push(' ');
            at += 1;
        }
        lines.push_str(word);
        at += needed;
    }
    lines
}

/// What stands between spaces, but for those between backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest?;
        let mut end = 0;
        loop {
            let space = text[end..].find(' ').map(|space| end + space);
            let begun = text[end..space.unwrap_or(text.len())].find('`');
            // One that no other ends is a character as any.
            let ended = begun.and_then(|begun| {
                let inside = end + begun + 1;
                Some(inside + text[inside..].find('`')? + 1)
            });
            match (ended, space) {
                (Some(ended), _) => end = ended,
                (None, Some(space)) => {
                    rest = Some(&text[space + 1..]);
                    return Some(&text[..space]);
                }
                (None, None) => {
                    rest = None;
                    return Some(text);
                }
            }
        }
    })
}

fn two_units(
    seconds: u64,
    (large, large_name): (u64, &str),
    (small, small_name): (u64, &str),
) -> String {
    match seconds % large / small {
        0 => format!("{} {large_name}", seconds / large),
        rest => format!("{} {large_name} {rest} {small_name}", seconds / large),
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn many_names_are_cut_short() {
        assert_eq!(listed::<&str>(&[], "or"), "");
        assert_eq!(listed(&["a"], "or"), "a");
        assert_eq!(listed(&["a", "b", "c", "d"], "or"), "a, b, c or d");
        assert_eq!(
            listed(&["a", "b", "c", "d", "e"], "or"),
            "a, b, c or 2 more"
        );
    }

    #[test]
    fn what_there_is_has_an_end() {
        let names: Vec<String> = (1..=1013).map(|number| format!("n{number}")).collect();
        let twelve = "n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12";
        assert_eq!(those_there(&names[..2]), "n1, n2");
        assert_eq!(those_there(&names[..12]), twelve);
        assert_eq!(those_there(&names), format!("{twelve} and 1,001 more"));
    }

    #[test]
    fn numbers_and_plurals() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(
            [
                counted(0, "leak"),
                counted(1, "leak"),
                counted(1040, "leak")
            ],
            ["0 leaks", "1 leak", "1,040 leaks"]
        );
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let text = |milliseconds| duration(Duration::from_millis(milliseconds));
        assert_eq!(
            [text(0), text(999), text(1000), text(9_870)],
            ["0 ms", "999 ms", "1.0 s", "9.8 s"]
        );
        assert_eq!(
            [text(60_000), text(200_500), text(7_500_000)],
            ["1 min", "3 min 20 s", "2 h 5 min"]
        );
        assert_eq!(text(1000 * (3 * 86_400 + 4 * 3600 + 59)), "3 d 4 h");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_stay_whole() {
        assert_eq!(wrapped("one two three", 9, 2), "one two\n  three");
        assert_eq!(wrapped("one", 2, 2), "one");
        assert_eq!(
            wrapped("averyverylongword a", 8, 2),
            "averyverylongword\n  a"
        );
        assert_eq!(wrapped("日本 日本", 6, 0), "日本\n日本");
        assert_eq!(
            wrapped("run it (`ip link set a up`, or `x y`) now", 10, 1),
            "run it\n (`ip link set a up`,\n or `x y`)\n now"
        );
        assert_eq!(wrapped("a `b c d", 4, 0), "a `b\nc d");
    }

    proptest! {
        #[test]
        fn wrapping_loses_no_word(text in "[a-z` ]{0,80}", columns in 0usize..40, indent in 0usize..8) {
            let wrapped = wrapped(&text, columns, indent);
            let words: Vec<&str> = wrapped.split_whitespace().collect();
            prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
        }
    }
}
