//! What is wrong with a policy, where it stands, and the fix.

use std::fmt::{self, Display};
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::text::escape::visible;

/// A place in the file, in bytes.
pub(super) type Span = Range<usize>;

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
        let level = match self.gravity {
            Gravity::Error => Level::ERROR,
            Gravity::Warning => Level::WARNING,
        };
        let mut elements = Vec::<annotate_snippets::Element<'_>>::new();
        if let Some(place) = &self.place {
            let label = (!self.mark.is_empty()).then_some(&*self.mark);
            let primary = AnnotationKind::Primary.span(place.marked.clone());
            elements.push(
                place
                    .snippet(&self.origin)
                    .annotation(primary.label(label))
                    .into(),
            );
        }
        if let Some((other, label)) = &self.other {
            let context = AnnotationKind::Context.span(other.marked.clone());
            elements.push(
                other
                    .snippet(&self.origin)
                    .annotation(context.label(*label))
                    .into(),
            );
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

/// A line of the file and what is marked in it.
#[derive(Clone, Debug)]
struct Excerpt {
    line: usize,
    /// Of what is marked, in characters of the file, from 1.
    column: usize,
    /// The line, safe to show.
    text: String,
    /// In the bytes of `text`.
    marked: Range<usize>,
}

impl Excerpt {
    /// The line that `span` begins in; what goes on to further lines is cut off.
    fn new(text: &str, span: &Span) -> Self {
        let within = |at: usize| {
            let mut at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = within(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let end = within(span.end).clamp(start, line_start + line.len().max(start - line_start));
        let before = line.get(..start - line_start).unwrap_or(line);
        let mut safe = shown(before);
        let marked_from = safe.len();
        safe.push_str(&shown(&text[start..end]));
        let marked = marked_from..safe.len();
        safe.push_str(&shown(line.get(end - line_start..).unwrap_or_default()));
        Self {
            line: 1 + text[..line_start].matches('\n').count(),
            column: 1 + before.chars().count(),
            text: safe,
            marked,
        }
    }

    fn snippet<'a>(&'a self, origin: &'a str) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        Snippet::source(&*self.text)
            .line_start(self.line)
            .path(origin)
    }
}

/// A part of a line of the file, safe to show. Tabs stay: the renderer makes columns of them.
fn shown(text: &str) -> String {
    let parts: Vec<_> = text.split('\t').map(visible).collect();
    parts.join("\t")
}

/// All that is wrong with a policy file. Prints every [`Problem`] and, last, how many there are.
#[derive(Clone, Debug, thiserror::Error)]
pub struct PolicyErrors {
    origin: Arc<str>,
    problems: Vec<Problem>,
    missing: bool,
}

impl PolicyErrors {
    /// The file could not be read at all.
    pub(super) fn unreadable(origin: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let (reason, fix) = match error.kind() {
            ErrorKind::NotFound => (
                "there is no such file".into(),
                "create it, or name the file that the policy is in",
            ),
            ErrorKind::PermissionDenied => (
                "permission denied".into(),
                "run as root, or let this user read the file",
            ),
            ErrorKind::IsADirectory => ("it is a directory".into(), "name the policy file in it"),
            _ => (error.to_string(), "name a policy file that can be read"),
        };
        let what = format!("cannot read {}: {reason}", visible(origin));
        Self {
            missing: error.kind() == ErrorKind::NotFound,
            ..Self::without_place(origin, Flaw::new(what).fix(fix))
        }
    }

    /// One error that is of the file as a whole.
    pub(super) fn without_place(origin: &str, flaw: Flaw) -> Self {
        let mut report = Report::new("", origin);
        report.errors.push(report.problem(Gravity::Error, flaw));
        report.into_errors()
    }

    /// What is wrong, in the order of the file; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether the only trouble is that there is no such file.
    pub fn is_missing(&self) -> bool {
        self.missing
    }

    /// Whether there is a line to be shown. Of a file that cannot be read, there is none.
    pub fn have_places(&self) -> bool {
        self.problems.iter().any(|problem| problem.place.is_some())
    }

    /// All messages in one line: [`Problem::brief`] of each.
    pub fn brief(&self) -> String {
        let all: Vec<String> = self.problems.iter().map(Problem::brief).collect();
        all.join("; ")
    }

    /// One line for a log: the file and the number of errors, as in "policy.toml: 3 errors".
    pub fn summary(&self) -> String {
        format!("{}: {}", self.origin, counted(self.problems.len(), "error"))
    }

    /// All messages with the terminal's colours in them. Its [`Display`] has none.
    pub fn styled(&self) -> String {
        self.joined(Problem::styled)
    }

    fn joined(&self, show: impl Fn(&Problem) -> String) -> String {
        let mut all = String::new();
        for problem in &self.problems {
            all.push_str(&show(problem));
            all.push_str("\n\n");
        }
        all + &self.summary()
    }
}

impl Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.joined(Problem::to_string))
    }
}

/// What is wrong, before it has a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
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

/// Collects the problems of one file.
pub(super) struct Report<'a> {
    pub text: &'a str,
    origin: Arc<str>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub fn new(text: &'a str, origin: &str) -> Self {
        Self {
            text,
            origin: visible(origin).into(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub fn error(&mut self, span: &Span, flaw: Flaw) {
        let place = Some(Excerpt::new(self.text, span));
        let problem = self.problem(Gravity::Error, flaw);
        self.errors.push(Problem { place, ..problem });
    }

    /// An error that is understood only with a second place beside it.
    pub fn error_with(&mut self, span: &Span, other: (&Span, &'static str), flaw: Flaw) {
        self.error(span, flaw);
        if let Some(problem) = self.errors.last_mut() {
            problem.other = Some((Excerpt::new(self.text, other.0), other.1));
        }
    }

    /// Something that is allowed, and probably not meant; with a second place, where one explains it.
    pub fn warning(&mut self, span: &Span, other: Option<(&Span, &'static str)>, flaw: Flaw) {
        let problem = Problem {
            place: Some(Excerpt::new(self.text, span)),
            other: other.map(|(span, label)| (Excerpt::new(self.text, span), label)),
            ..self.problem(Gravity::Warning, flaw)
        };
        self.warnings.push(problem);
    }

    /// How many errors there are so far.
    pub fn errors(&self) -> usize {
        self.errors.len()
    }

    /// The warnings, where there are no errors.
    pub fn into_result(self) -> Result<Vec<Problem>, PolicyErrors> {
        if self.errors.is_empty() {
            let mut warnings = self.warnings;
            warnings.sort_by_key(|problem| (problem.line(), problem.column()));
            Ok(warnings)
        } else {
            Err(self.into_errors())
        }
    }

    fn into_errors(mut self) -> PolicyErrors {
        self.errors
            .sort_by_key(|problem| (problem.line(), problem.column()));
        PolicyErrors {
            origin: self.origin,
            problems: self.errors,
            missing: false,
        }
    }

    fn problem(&self, gravity: Gravity, flaw: Flaw) -> Problem {
        // Whoever writes a flaw quotes what is in the file; a library's own message need not.
        let safe = |text: String| visible(&text).into_owned();
        Problem {
            gravity,
            origin: self.origin.clone(),
            what: safe(flaw.what),
            mark: safe(flaw.mark),
            fix: flaw.fix.map(safe),
            place: None,
            other: None,
        }
    }
}

/// The number and the noun, in the singular for one.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A word of the file, escaped and in the quotes that messages use.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", visible(text))
}

/// The candidate that a person who wrote `word` most likely meant.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
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
