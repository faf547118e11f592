//! A line of the policy file, and what is marked in it.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Origin, Snippet};

use crate::text::escape::visible;

/// A place in the file, in bytes.
pub(super) type Span = Range<usize>;

/// Of a longer line, so many bytes are shown: before the mark, of it and behind it. Where there is more before it, no line is.
const MOST_SHOWN: usize = 1000;

/// A text, and where its lines begin.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub fn of(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// The number of the line, from 1, where it begins, and what is in it.
    fn at(&self, place: usize) -> (usize, usize, &'t str) {
        let number = self.starts.partition_point(|start| *start <= place);
        let start = self.starts[number.saturating_sub(1)];
        let end = self
            .starts
            .get(number)
            .map_or(self.text.len(), |next| next - 1);
        (number, start, self.text[start..end].trim_end_matches('\r'))
    }

    /// The place of a character in the text, at or before `at`.
    fn within(&self, at: usize) -> usize {
        floor(self.text, at)
    }
}

/// A line of the file and what is marked in it.
#[derive(Clone, Debug)]
pub(super) struct Excerpt {
    pub line: usize,
    /// Of what is marked, in characters of the file, from 1.
    pub column: usize,
    /// Nothing, where the line is too long to be of use.
    shown: Option<Shown>,
}

#[derive(Clone, Debug)]
struct Shown {
    /// The line, safe to show.
    text: String,
    /// In the bytes of `text`.
    marked: Range<usize>,
}

impl Excerpt {
    /// The line that `span` begins in; what goes on to further lines is cut off.
    pub fn of(lines: &Lines<'_>, span: &Span) -> Self {
        let start = lines.within(span.start);
        let (number, line_start, line) = lines.at(start);
        // A span may begin at the line's end.
        let from = (start - line_start).min(line.len());
        let to = (lines.within(span.end).saturating_sub(line_start)).clamp(from, line.len());
        Self {
            line: number,
            column: 1 + line[..from].chars().count(),
            shown: (from <= MOST_SHOWN).then(|| Shown::of(line, from..to)),
        }
    }

    /// The place, and the line where it is shown, for a message.
    pub fn element<'a>(
        &'a self,
        origin: &'a str,
        kind: AnnotationKind,
        label: Option<&'a str>,
    ) -> Element<'a> {
        let Some(shown) = &self.shown else {
            let place = Origin::path(origin).line(self.line);
            return place.char_column(self.column).into();
        };
        let snippet: Snippet<'a, Annotation<'a>> = Snippet::source(&*shown.text)
            .line_start(self.line)
            .path(origin);
        let mark = kind.span(shown.marked.clone()).label(label);
        snippet.annotation(mark).into()
    }
}

impl Shown {
    fn of(line: &str, marked: Range<usize>) -> Self {
        let cut = |text: &str| safe(&text[..floor(text, MOST_SHOWN)]);
        let mut text = safe(&line[..marked.start]);
        let from = text.len();
        text.push_str(&cut(&line[marked.clone()]));
        let marked_to = text.len();
        text.push_str(&cut(&line[marked.end..]));
        Self {
            text,
            marked: from..marked_to,
        }
    }
}

/// A part of a line of the file, safe to show. Tabs stay: the renderer makes columns of them.
fn safe(text: &str) -> String {
    let parts: Vec<_> = text.split('\t').map(visible).collect();
    parts.join("\t")
}

/// The end of the last whole character before `at`, or at it.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
