//! A file that is not valid TOML: one error for each broken item, and the rest of the file still checked.
//!
//! A TOML parser that meets an unclosed list takes the rest of the file for a part of it, and reports every line of it.
//! Here each item (a header, or a key with its value) is parsed by itself, and what does not parse is blanked out, so that
//! positions stay what they are and the rest can be read.

use std::borrow::Cow;

use toml::de::{DeTable, Error};

use super::problem::{Flaw, Report, Span, quoted};

/// The file without its broken items.
pub(super) struct Sifted<'t> {
    /// Every character where it was; spaces in the place of broken items.
    pub text: Cow<'t, str>,
    /// Where the broken items were.
    pub broken: Vec<Span>,
    /// Whether a header is among them, so that it is not known which zones there are.
    pub lost_header: bool,
}

/// Reports the broken items of the file and blanks them out.
pub(super) fn sift<'t>(text: &'t str, report: &mut Report<'_>) -> Sifted<'t> {
    let mut sifted = Sifted {
        text: Cow::Borrowed(text),
        broken: Vec::new(),
        lost_header: false,
    };
    let (_, errors) = DeTable::parse_recoverable(text);
    if errors.iter().all(|error| error.message() == DUPLICATE) {
        return sifted;
    }
    // The items below a lost header belong to nobody.
    let mut orphans = false;
    for piece in pieces(text) {
        let (_, errors) = DeTable::parse_recoverable(&text[piece.span.clone()]);
        let first = errors
            .iter()
            .min_by_key(|error| error.span().map(|span| span.start));
        if let Some(error) = first {
            report_syntax(text, error, piece.span.start, report);
            sifted.broken.push(piece.span.clone());
        }
        if piece.header {
            orphans = first.is_some();
            sifted.lost_header |= orphans;
        }
        if first.is_some() || orphans {
            blank(sifted.text.to_mut(), &piece.span);
        }
    }
    sifted
}

/// Reports an error of the TOML parser in our words; `offset` is where the parsed part begins in the file.
pub(super) fn report_syntax(text: &str, error: &Error, offset: usize, report: &mut Report<'_>) {
    let span = error.span().unwrap_or(0..0);
    let span = offset + span.start..offset + span.end;
    let kind = error
        .message()
        .split(", expected ")
        .next()
        .unwrap_or_default();
    let (span, flaw) = match kind {
        DUPLICATE => {
            let what = format!(
                "{} is given twice",
                quoted(text.get(span.clone()).unwrap_or_default())
            );
            (span, Flaw::new(what).mend("keep one of the two"))
        }
        "key with no value" => {
            let span = back_to_text(text, &span);
            (
                span,
                Flaw::new("a key without a value")
                    .mend("write `KEY = VALUE`; a comment begins with `#`"),
            )
        }
        "unclosed table" | "unclosed array table" => {
            let span = back_to_text(text, &span);
            let mend = "write `[zone.NAME]` for a zone and `[[rule]]` for a rule, alone on a line";
            (span, Flaw::new("the header is not closed").mend(mend))
        }
        "missing comma between array elements" | "unclosed array" | "extra comma in array" => {
            let span = if kind.starts_with("extra") {
                span
            } else {
                back_to_text(text, &span)
            };
            let mend = "put one `,` between two values, and `]` after the last";
            (span, Flaw::new("the list is not well formed").mend(mend))
        }
        "invalid basic string" | "invalid literal string" => {
            let mend = "end it with the quote that it begins with; write a backslash as `\\\\`";
            (
                span,
                Flaw::new("the text in quotes is not well formed").mend(mend),
            )
        }
        _ => value_or_other(text, &span, error.message()),
    };
    report.error(&span, flaw);
}

const DUPLICATE: &str = "duplicate key";

/// A bare word where a value is wanted, most often; what the parser said, otherwise.
fn value_or_other(text: &str, span: &Span, message: &str) -> (Span, Flaw) {
    let line = text[..span.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let is_value = text[line..span.start].contains('=');
    let rest = &text[span.start..];
    let mut end = rest
        .find([',', ']', '}', '#', '\n', '\r'])
        .unwrap_or(rest.len());
    end = rest[..end].trim_end().len();
    let word = &rest[..end];
    let is_bare = word.starts_with(|c: char| c.is_alphanumeric() || "/*:_-.".contains(c));
    let is_number = word
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_');
    if is_value && is_bare && !is_number {
        let mend = match word.to_lowercase().as_str() {
            "yes" | "on" | "true" => "write `true`".to_owned(),
            "no" | "off" | "false" => "write `false`".to_owned(),
            _ => format!("write {}", quoted(&format!("\"{word}\""))),
        };
        let what = format!("{} is no TOML value", quoted(word));
        return (span.start..span.start + end, Flaw::new(what).mend(mend));
    }
    let mend = "text stands in quotes, a list in `[ ]`, a number in plain digits, and each key on its own line";
    (
        span.clone(),
        Flaw::new(format!("not valid TOML: {message}")).mend(mend),
    )
}

/// The end of the last text at or before `span`: where something is missing, its place is there, and not on the next line.
fn back_to_text(text: &str, span: &Span) -> Span {
    let end = text[..span.start].trim_end().len();
    end..end
}

/// An item of the file with what follows it up to the next.
struct Piece {
    span: Span,
    header: bool,
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::<Piece>::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let span = start..start + line.len();
        start = span.end;
        let header = is_header(line);
        match pieces.last_mut() {
            Some(last) if !last.header && !header && !is_item(line) => last.span.end = span.end,
            _ => pieces.push(Piece { span, header }),
        }
    }
    pieces
}

/// `[zone.a]`, `[[rule]]`, and what was meant to be one.
fn is_header(line: &str) -> bool {
    let line = line.trim_start();
    let name = line.trim_start_matches('[').trim_start();
    line.starts_with('[') && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// `key = …`
fn is_item(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| {
        let key = key.trim();
        !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
    })
}

/// Puts spaces for all but the line ends, byte for byte.
fn blank(text: &mut String, span: &Span) {
    let spaces: String = text[span.clone()]
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect();
    text.replace_range(span.clone(), &spaces);
}
