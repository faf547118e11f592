//! Patterns for names, from whoever writes them.

use globset::{Glob, GlobMatcher};

/// Names have at most 255 bytes (`NAME_MAX`), so that a longer pattern is a mistake.
const MOST_BYTES: usize = 256;
/// How many `{` may be open at a time. The library panics on many more.
const MOST_NESTED: usize = 8;

/// A pattern that matches whole names.
///
/// # Errors
/// Why it is none: the end of a sentence.
pub fn glob(text: &str) -> Result<GlobMatcher, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("it is longer than {MOST_BYTES} bytes"));
    }
    if nesting(text) > MOST_NESTED {
        return Err(format!(
            "more than {MOST_NESTED} `{{` are inside each other"
        ));
    }
    let glob = Glob::new(text).map_err(|error| error.kind().to_string())?;
    Ok(glob.compile_matcher())
}

/// How many `{` are open at a time.
fn nesting(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            // What follows it is a plain character.
            '\\' => drop(characters.next()),
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    #[test]
    fn what_the_library_cannot_compile_is_refused() {
        let nested = |depth: usize| "{a,".repeat(depth) + &"}".repeat(depth);
        assert!(glob(&nested(MOST_NESTED)).is_ok());
        for bad in [nested(MOST_NESTED + 1), nested(200), "a".repeat(300)] {
            assert!(glob(&bad).is_err(), "{bad}");
        }
        // Twenty of them are not inside each other, and these stand for themselves.
        assert!(glob(&"{a,b}".repeat(20)).is_ok());
        assert!(glob(&"\\{".repeat(20)).is_ok());
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic(text in "[\\[\\]{}*?,!\\\\^a-c\u{e4}\u{10ffff}-]{0,260}") {
            if let Ok(glob) = glob(&text) {
                prop_assert!(!glob.is_match("name") || !text.is_empty());
            }
        }
    }
}
