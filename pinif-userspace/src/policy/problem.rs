//! What is wrong with a policy, where it stands, and the fix.

use std::fmt::{self, Display};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer};

use super::{excerpt::Excerpt, guard::caught};
use crate::text::escape::visible;

pub(super) use super::excerpt::Span;

/// A longer word of the file is cut off in a message.
const MOST_QUOTED: usize = 100;

/// How much a [`Problem`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// The policy cannot be used.
    Error,
    /// The policy works, and probably does not mean what its author thinks.
    Warning,
}

/// One thing that is wrong with a policy file. Prints as a compiler's message does: what, the place with the offending
/// line, the fix. All text of the file in it is escaped.
#[derive(Clone, Debug)]
pub struct Problem {
    gravity: Gravity,
    origin: Arc<str>,
    what: String,
    mark: String,
    fix: Option<String>,
    place: Option<Excerpt>,
    other: Option<(Excerpt, &'static str)>,
}

impl Problem {
    /// One that is of the file as a whole.
    pub(super) fn new(gravity: Gravity, origin: Arc<str>, flaw: Flaw) -> Self {
        // Whoever writes a flaw quotes what is in the file; a library's own message need not.
        let safe = |text: String| visible(&text).into_owned();
        Self {
            gravity,
            origin,
            what: safe(flaw.what),
            mark: safe(flaw.mark),
            fix: flaw.fix.map(safe),
            place: None,
            other: None,
        }
    }

    /// The same, with its place, and a second one where that explains it.
    pub(super) fn at(self, place: Excerpt, other: Option<(Excerpt, &'static str)>) -> Self {
        Self {
            place: Some(place),
            other,
            ..self
        }
    }

    /// Whether it keeps the policy from being used.
    pub fn gravity(&self) -> Gravity {
        self.gravity
    }

    /// What is wrong, in one line.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// How to fix it.
    pub fn fix(&self) -> Option<&str> {
        self.fix.as_deref()
    }

    /// The line, from 1, where it concerns one.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    /// The column in characters, from 1, where it concerns one.
    pub fn column(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.column)
    }

    /// All of it in one line, for a log: `policy.toml:12:5: unknown zone `bakplane`; did you mean `backplane`?`
    pub fn brief(&self) -> String {
        let place = match &self.place {
            Some(place) => format!("{}:{}:{}: ", self.origin, place.line, place.column),
            None => String::new(),
        };
        let fix = match &self.fix {
            Some(fix) => format!("; {fix}"),
            None => String::new(),
        };
        format!("{place}{}{fix}", self.what)
    }

    /// The message with the terminal's colours in it. Its [`Display`] has none.
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        caught(|| self.with_excerpts(renderer)).unwrap_or_else(|_| self.brief())
    }

    fn with_excerpts(&self, renderer: &Renderer) -> String {
        let level = match self.gravity {
            Gravity::Error => Level::ERROR,
            Gravity::Warning => Level::WARNING,
        };
        let mut elements = Vec::<annotate_snippets::Element<'_>>::new();
        if let Some(place) = &self.place {
            let label = (!self.mark.is_empty()).then_some(&*self.mark);
            elements.push(place.element(&self.origin, AnnotationKind::Primary, label));
        }
        if let Some((other, label)) = &self.other {
            elements.push(other.element(&self.origin, AnnotationKind::Context, Some(label)));
        }
        if let Some(fix) = &self.fix {
            elements.push(Level::HELP.message(fix).into());
        }
        renderer.render(&[level.primary_title(&self.what).elements(elements)])
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

/// What is wrong, before it has a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub what: String,
    pub mark: String,
    pub fix: Option<String>,
}

impl Flaw {
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            mark: String::new(),
            fix: None,
        }
    }

    /// A few words beside the carets.
    pub fn mark(mut self, mark: impl Into<String>) -> Self {
        self.mark = mark.into();
        self
    }

    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// The number and the noun, in the singular for one.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A word of the file, escaped and in the quotes that messages use.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MOST_QUOTED) {
        Some((end, _)) => format!("`{}…`", visible(&text[..end])),
        None => format!("`{}`", visible(text)),
    }
}

/// The candidate that a person who wrote `word` most likely meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Nobody means a short word by a long one, and to compare them takes as long as both.
    if word.len() > MOST_QUOTED {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MOST_QUOTED)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
