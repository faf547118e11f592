//! A file that is not valid TOML: one error for each broken item, and the rest of the file still checked.
//!
//! A TOML parser that meets an unclosed list takes the rest of the file for a part of it, and reports every line of it.
//! Here each item (a header, or a key with its value) is parsed by itself, and what does not parse is blanked out, so that
//! positions stay what they are and the rest can be read.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use toml::de::{DeTable, Error};

use super::problem::{Flaw, Span, quoted};
use super::report::Report;
use super::syntax;

/// What the parser says of a table or key that is there already.
const DUPLICATE: &str = "duplicate key";

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
        if let Some((span, flaw)) = syntax::explained(text, &errors, piece.span.start) {
            report.error(&span, flaw);
            sifted.broken.push(piece.span.clone());
        }
        if piece.header {
            orphans = !errors.is_empty();
            sifted.lost_header |= orphans;
        }
        if !errors.is_empty() || orphans {
            blank(sifted.text.to_mut(), &piece.span);
        }
    }
    sifted
}

/// Reports what is wrong with a file whose items are each well formed: that some are there twice.
pub(super) fn report_rest(text: &str, errors: &[Error], report: &mut Report<'_>) {
    let (duplicates, others): (Vec<_>, Vec<_>) = errors
        .iter()
        .partition(|error| error.message() == DUPLICATE);
    for error in others {
        if let Some((span, flaw)) = syntax::explained(text, std::slice::from_ref(error), 0) {
            report.error(&span, flaw);
        }
    }
    let mut spans: Vec<_> = duplicates.iter().filter_map(|error| error.span()).collect();
    spans.sort_by_key(|span| span.start);
    if spans.is_empty() {
        return;
    }
    let pieces = pieces(text);
    let firsts = Firsts::of(text, &pieces);
    let mut repeated_headers = BTreeSet::new();
    for span in spans {
        let number = pieces
            .partition_point(|piece| piece.span.start <= span.start)
            .saturating_sub(1);
        let header = firsts.headers[number];
        let (what, fix);
        if header == Some(number) {
            repeated_headers.insert(number);
            what = format!("{} is there twice", quoted(pieces[number].head(text)));
            fix = "put its keys below one header";
        } else if header.is_some_and(|header| repeated_headers.contains(&header)) {
            // The parser puts both tables into one: their keys need not be reported again.
            continue;
        } else {
            what = format!(
                "{} is given twice",
                quoted(text.get(span.clone()).unwrap_or_default())
            );
            fix = "keep one of the two";
        }
        let flaw = Flaw::new(what).fix(fix);
        match firsts.before(number, text, &pieces) {
            Some(piece) => report.error_with(&span, (&piece.head_span(text), "the first"), flaw),
            None => report.error(&span, flaw),
        }
    }
}

/// Which pieces are the first of their head: a header in the file, a key below its header.
struct Firsts<'t> {
    /// Of each piece, the last header up to it.
    headers: Vec<Option<usize>>,
    numbers: HashMap<(Option<usize>, &'t str), usize>,
}

impl<'t> Firsts<'t> {
    fn of(text: &'t str, pieces: &[Piece]) -> Self {
        let mut headers = Vec::with_capacity(pieces.len());
        let mut numbers = HashMap::new();
        let mut header = None;
        for (number, piece) in pieces.iter().enumerate() {
            if piece.header {
                header = Some(number);
            }
            headers.push(header);
            let place = header.filter(|_| !piece.header);
            // A key without a header and a header are different texts.
            numbers.entry((place, piece.head(text))).or_insert(number);
        }
        Self { headers, numbers }
    }

    /// The first piece with the head of this one, if it is another.
    fn before<'p>(&self, number: usize, text: &str, pieces: &'p [Piece]) -> Option<&'p Piece> {
        let piece = &pieces[number];
        let place = self.headers[number].filter(|_| !piece.header);
        let first = *self.numbers.get(&(place, piece.head(text)))?;
        (first < number).then(|| &pieces[first])
    }
}

/// An item of the file with what follows it up to the next.
struct Piece {
    span: Span,
    header: bool,
}

impl Piece {
    /// The header, or the key.
    fn head<'t>(&self, text: &'t str) -> &'t str {
        &text[self.head_span(text)]
    }

    fn head_span(&self, text: &str) -> Span {
        let all = &text[self.span.clone()];
        let end = if self.header {
            all.find(['#', '\n'])
        } else {
            all.find(['=', '#', '\n'])
        };
        let head = &all[..end.unwrap_or(all.len())];
        let start = self.span.start + head.len() - head.trim_start().len();
        start..start + head.trim().len()
    }
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
