//! JSON Lines. Whoever reads a line gets every text as it was; whoever only looks at it on a terminal is safe.

use std::io;

use serde::{Serialize, ser::Error as _};
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::escape::is_hazardous;

/// A value as one line, with its newline. Each hazard ([`is_hazardous`]) in its texts is written as `\uXXXX`.
///
/// # Errors
///
/// When the value cannot be JSON.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut bytes = Vec::with_capacity(1024);
    value.serialize(&mut Serializer::with_formatter(
        &mut bytes,
        Safe(CompactFormatter),
    ))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(serde_json::Error::custom)
}

/// Writes as `\uXXXX` also what JSON need not escape.
struct Safe(CompactFormatter);

impl Formatter for Safe {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hazard)) = rest
            .char_indices()
            .find(|(_, character)| is_hazardous(*character))
        {
            self.0.write_string_fragment(writer, &rest[..at])?;
            for unit in hazard.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hazard.len_utf8()..];
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hazards_are_escaped_and_the_rest_stays() {
        let text = "a\u{1b}[31m\u{9b}2J\u{202e}\u{e0041}\"\\\n é日";
        assert_eq!(
            line(&text).expect("JSON"),
            "\"a\\u001b[31m\\u009b2J\\u202e\\udb40\\udc41\\\"\\\\\\n é日\"\n"
        );
    }

    proptest! {
        #[test]
        fn a_line_is_harmless_and_says_exactly_what_was_said(key in any::<String>(), text in any::<String>()) {
            let value = serde_json::json!({ key: [text] });
            let line = line(&value).expect("JSON");
            let written = line.strip_suffix('\n').expect("a line");
            prop_assert!(!written.contains(is_hazardous));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&line).expect("JSON"), value);
        }
    }
}
