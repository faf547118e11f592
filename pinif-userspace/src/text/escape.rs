//! Text of others, safe to show. Processes, interfaces, cgroups, namespaces, files and packets have names that somebody chose:
//! here is the one list of what such a name must not do to a terminal, a log or a reader.
//!
//! Every command and every sink uses [`visible`] for people, and [`json`](super::json) for programs. Bytes that are not UTF-8
//! have become U+FFFD before, by [`String::from_utf8_lossy`].

use std::{borrow::Cow, fmt::Write as _, path::Path};

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_width::UnicodeWidthChar as _;

/// The text with each hazard written as an escape: a newline becomes `\n`, ESC `\x1b`, a bidirectional override `\u{202e}`.
/// Text that is safe stays as it is, so that nothing changes when it passes here twice.
pub fn visible(text: &str) -> Cow<'_, str> {
    without(text, is_hazardous)
}

/// A path likewise.
pub fn visible_path(path: &Path) -> String {
    visible(&path.to_string_lossy()).into_owned()
}

/// The text for the cells of a screen, where each character must have its own: also what stands on another character becomes an
/// escape, such as a combining accent, and what merges with its neighbour. Terminals do not agree on how many cells such take.
pub fn in_cells(text: &str) -> Cow<'_, str> {
    without(text, |character| {
        is_hazardous(character) || !has_own_cells(character)
    })
}

/// How many cells such a text takes.
pub fn columns(in_cells: &str) -> usize {
    let widths = in_cells.chars().map(|character| character.width());
    widths.map(|width| width.unwrap_or(0)).sum()
}

fn has_own_cells(character: char) -> bool {
    // Regional indicators are flags in twos, and modifiers colour what is before them (Unicode TR 51).
    let merges = matches!(character, '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}');
    !merges && character.width().is_some_and(|width| width > 0)
}

/// The text with each of such characters written as an escape.
fn without(text: &str, is_one: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_one) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_one(character) {
            escape(&mut safe, character);
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Whether a character does something instead of being seen: it moves the cursor, ends the line, turns the direction of
/// writing, or hides in a name that looks like another one. These are the control characters (C0, DEL, C1), the format
/// characters (category Cf: bidirectional controls, zero-width characters, tags), the line and paragraph separators, and all
/// else that Unicode lets a terminal leave out (Default_Ignorable_Code_Point). See Unicode TR 36 and TR 9.
pub fn is_hazardous(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    matches!(
        get_general_category(character),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || is_ignorable(character)
}

/// What is Default_Ignorable_Code_Point and not a format character (DerivedCoreProperties.txt): fillers, variation selectors
/// and reserved code points.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{034f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2065}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn escape(to: &mut String, hazard: char) {
    let number = u32::from(hazard);
    // Writing to a string cannot fail.
    let _ = match hazard {
        '\n' => to.write_str("\\n"),
        '\r' => to.write_str("\\r"),
        '\t' => to.write_str("\\t"),
        _ if hazard.is_ascii() => write!(to, "\\x{number:02x}"),
        _ => write!(to, "\\u{{{number:x}}}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_act_on_a_terminal_becomes_visible() {
        assert_eq!(visible("ospfd"), "ospfd");
        assert_eq!(visible("Grüße 日本 e\u{301}"), "Grüße 日本 e\u{301}");
        assert_eq!(
            visible("a\x1b[2Jb\nc\td\r\x7f"),
            "a\\x1b[2Jb\\nc\\td\\r\\x7f"
        );
        assert_eq!(
            visible("\u{9b}31m \u{202e}gpj.exe\u{2066}"),
            "\\u{9b}31m \\u{202e}gpj.exe\\u{2066}"
        );
        assert_eq!(
            visible(&String::from_utf8_lossy(b"\xff\xfe\n")),
            "\u{fffd}\u{fffd}\\n"
        );
    }

    #[test]
    fn each_character_has_its_own_cells() {
        assert_eq!(in_cells("Grüße 日本"), "Grüße 日本");
        assert_eq!(columns("Grüße 日本"), 10);
        assert_eq!(
            in_cells("e\u{301}\u{202e} 🇩🇪 👍\u{1f3fd}"),
            "e\\u{301}\\u{202e} \\u{1f1e9}\\u{1f1ea} 👍\\u{1f3fd}"
        );
    }

    #[test]
    fn the_list_has_every_hazard() {
        let ranges = [
            // C0, DEL, C1.
            '\0'..='\u{1f}',
            '\u{7f}'..='\u{9f}',
            // What turns the direction of writing.
            '\u{61c}'..='\u{61c}',
            '\u{200e}'..='\u{200f}',
            '\u{202a}'..='\u{202e}',
            '\u{2066}'..='\u{2069}',
            // What has no width.
            '\u{ad}'..='\u{ad}',
            '\u{34f}'..='\u{34f}',
            '\u{180b}'..='\u{180f}',
            '\u{200b}'..='\u{200d}',
            '\u{2060}'..='\u{2065}',
            '\u{206a}'..='\u{206f}',
            '\u{fe00}'..='\u{fe0f}',
            '\u{feff}'..='\u{feff}',
            '\u{fff0}'..='\u{fffb}',
            '\u{1d173}'..='\u{1d17a}',
            // Letters that look like nothing.
            '\u{115f}'..='\u{1160}',
            '\u{17b4}'..='\u{17b5}',
            '\u{3164}'..='\u{3164}',
            '\u{ffa0}'..='\u{ffa0}',
            // Line and paragraph separators, tags and selectors.
            '\u{2028}'..='\u{2029}',
            '\u{e0000}'..='\u{e0fff}',
        ];
        for hazard in ranges.into_iter().flatten() {
            assert!(is_hazardous(hazard), "U+{:04X}", u32::from(hazard));
        }
    }

    /// Letters and signs of Indic scripts that stand on the next one.
    const STAND_ON_THE_NEXT: [char; 15] = [
        '\u{d4e}',
        '\u{a8fa}',
        '\u{111c2}',
        '\u{111c3}',
        '\u{113d1}',
        '\u{1193f}',
        '\u{11941}',
        '\u{11a84}',
        '\u{11a85}',
        '\u{11a86}',
        '\u{11a87}',
        '\u{11a88}',
        '\u{11a89}',
        '\u{11d46}',
        '\u{11f02}',
    ];

    /// A terminal leaves out what has no width: nothing of it may pass but marks, which stand on the letter before them or after
    /// them, the vowels and endings of Hangul syllables, and what is no character yet.
    #[test]
    fn nothing_without_a_width_passes_but_marks() {
        for character in char::MIN..=char::MAX {
            let may_pass = matches!(
                get_general_category(character),
                GeneralCategory::NonspacingMark
                    | GeneralCategory::EnclosingMark
                    | GeneralCategory::SpacingMark
                    | GeneralCategory::Unassigned
            );
            let is_part_of_syllable = matches!(character, '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}')
                || STAND_ON_THE_NEXT.contains(&character);
            if character.width().unwrap_or(0) == 0 && !may_pass && !is_part_of_syllable {
                assert!(is_hazardous(character), "U+{:04X}", u32::from(character));
            }
        }
    }

    #[test]
    fn what_is_seen_is_no_hazard() {
        let seen = ('!'..='~').chain([
            'é', 'ß', 'λ', 'ж', 'ع', 'क', '日', '한', '→', '·', '🦀', '\u{301}', '\u{fffd}', ' ',
        ]);
        for character in seen {
            assert!(!is_hazardous(character), "{character}");
        }
    }

    proptest! {
        #[test]
        fn nothing_hazardous_is_left(text in any::<String>()) {
            let safe = visible(&text);
            prop_assert!(!safe.contains(is_hazardous));
            prop_assert_eq!(visible(&safe), safe.clone(), "safe text stays as it is");
        }

        #[test]
        fn what_is_shown_names_each_character(text in any::<String>()) {
            let mut safe = &*visible(&text);
            for character in text.chars() {
                let mut shown = String::new();
                if is_hazardous(character) {
                    escape(&mut shown, character);
                } else {
                    shown.push(character);
                }
                prop_assert!(safe.starts_with(&shown));
                safe = &safe[shown.len()..];
            }
            prop_assert_eq!(safe, "");
        }
    }
}
