//! What the TOML parser found wrong, with the fix.

use toml::de::Error;

use super::problem::{Flaw, Span, quoted};

/// The one error that explains the others of the same item, and where it is; `offset` is where the item begins.
pub(super) fn explained(text: &str, errors: &[Error], offset: usize) -> Option<(Span, Flaw)> {
    let position = |error: &&Error| error.span().map(|span| span.start);
    let unclosed_quotes = errors
        .iter()
        .filter(|error| is_quotes(kind(error)))
        .min_by_key(position);
    let error = unclosed_quotes.or_else(|| errors.iter().min_by_key(position))?;
    let span = error.span().unwrap_or(0..0);
    Some(explain(
        text,
        error,
        &(offset + span.start..offset + span.end),
    ))
}

fn explain(text: &str, error: &Error, span: &Span) -> (Span, Flaw) {
    let at_text = back_to_text(text, span);
    match kind(error) {
        "key with no value" | "missing value for key" => no_value(at_text),
        "unclosed table" | "unclosed array table" => {
            let fix = "write `[zone.NAME]` for a zone and `[[rule]]` for a rule, alone on a line";
            (at_text, Flaw::new("the header is not closed").fix(fix))
        }
        "extra comma in array" => (span.clone(), bad_list()),
        "missing comma between array elements" | "unclosed array" => (at_text, bad_list()),
        kind if is_quotes(kind) => {
            let fix = "end it with the quote that it begins with; write a backslash as `\\\\`";
            (span.clone(), Flaw::new("the text in quotes is not well formed").fix(fix))
        }
        "unexpected key or value" => {
            let flaw = Flaw::new("something follows that does not belong on this line");
            (span.clone(), flaw.fix("put each header and each key on a line of its own; text needs quotes"))
        }
        _ => value(text, span).unwrap_or_else(|| {
            let fix = "text stands in quotes, a list in `[ ]`, a number in plain digits, and each key on its own line";
            (span.clone(), Flaw::new(format!("not valid TOML: {}", error.message())).fix(fix))
        }),
    }
}

/// The parser's message without what it would have liked instead.
fn kind(error: &Error) -> &str {
    error
        .message()
        .split(", expected ")
        .next()
        .unwrap_or_default()
}

fn is_quotes(kind: &str) -> bool {
    matches!(kind, "invalid basic string" | "invalid literal string")
}

fn bad_list() -> Flaw {
    Flaw::new("the list is not well formed")
        .fix("put one `,` between two values, and `]` after the last")
}

fn no_value(span: Span) -> (Span, Flaw) {
    (
        span,
        Flaw::new("a key without a value").fix("write `KEY = VALUE`; a comment begins with `#`"),
    )
}

/// What is wrong with the value that `span` is in, if it is in one.
fn value(text: &str, span: &Span) -> Option<(Span, Flaw)> {
    let line = text[..span.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let equals = text[line..span.start].find('=')?;
    let begin = line + equals + 1;
    let start = text[begin..span.start]
        .rfind([',', '[', '{', '=', ' ', '\t'])
        .map_or(begin, |before| begin + before + 1);
    let rest = &text[start..];
    let end = rest
        .find([',', ']', '}', '#', '\n', '\r'])
        .unwrap_or(rest.len());
    let word = rest[..end].trim_end();
    let span = start..start + word.len();
    if word.is_empty() {
        return Some(no_value(back_to_text(text, &(start..start))));
    }
    if !word.starts_with(|c: char| c.is_alphanumeric() || "/*:_-.".contains(c)) {
        return None;
    }
    let flaw = Flaw::new(format!("{} is no TOML value", quoted(word)));
    if word.contains(char::is_whitespace) {
        return Some((
            span,
            flaw.fix("put text in quotes, and several values in a list: `[\"a\", \"b\"]`"),
        ));
    }
    let fix = match word.to_lowercase().as_str() {
        "yes" | "on" | "true" => "write `true`".to_owned(),
        "no" | "off" | "false" => "write `false`".to_owned(),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            match digits.trim_start_matches('0') {
                "" => "write `0`".to_owned(),
                significant => format!("write `{significant}`, without a zero before it"),
            }
        }
        _ => format!("write {}", quoted(&format!("\"{word}\""))),
    };
    Some((span, flaw.fix(fix)))
}

/// The end of the last text before `span`: where something is missing, its place is there, and not on the next line.
fn back_to_text(text: &str, span: &Span) -> Span {
    let end = text[..span.start].trim_end().len();
    end..end
}
