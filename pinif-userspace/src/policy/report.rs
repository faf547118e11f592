//! Collects what is wrong with one file.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    errors::PolicyErrors,
    excerpt::{Excerpt, Lines, Span},
    problem::{Flaw, Gravity, Problem, counted},
};
use crate::text::escape::visible;

/// So many errors and so many warnings are shown: the first of the file. Nobody reads more, and a file may have one in every line.
const MOST_SHOWN: usize = 100;

/// Collects the problems of one file.
pub(crate) struct Report<'a> {
    pub text: &'a str,
    origin: Arc<str>,
    errors: Found,
    warnings: Found,
}

/// The first problems of the file, and how many there are.
#[derive(Default)]
struct Found {
    /// By where they begin; those of one place as they come.
    first: BTreeMap<(usize, usize), Placed>,
    number: usize,
}

struct Placed {
    span: Span,
    other: Option<(Span, &'static str)>,
    flaw: Flaw,
}

impl<'a> Report<'a> {
    pub fn new(text: &'a str, origin: &str) -> Self {
        Self {
            text,
            origin: visible(origin).into(),
            errors: Found::default(),
            warnings: Found::default(),
        }
    }

    pub fn error(&mut self, span: &Span, flaw: Flaw) {
        self.errors.add(span, None, || flaw);
    }

    /// As [`Report::error`], where it takes time to say what is wrong: it is not asked for what is not shown.
    pub fn error_of(&mut self, span: &Span, flaw: impl FnOnce() -> Flaw) {
        self.errors.add(span, None, flaw);
    }

    /// An error that is understood only with a second place beside it.
    pub fn error_with(&mut self, span: &Span, other: (&Span, &'static str), flaw: Flaw) {
        self.errors.add(span, Some(other), || flaw);
    }

    /// Something that is allowed, and probably not meant; with a second place, where one explains it.
    pub fn warning(&mut self, span: &Span, other: Option<(&Span, &'static str)>, flaw: Flaw) {
        self.warnings.add(span, other, || flaw);
    }

    /// The file and the line of a place: `policy.toml:12`.
    pub fn place(&self, span: &Span) -> String {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        format!("{}:{line}", self.origin)
    }

    /// How many errors there are so far.
    pub fn errors(&self) -> usize {
        self.errors.number
    }

    /// The warnings, where there are no errors.
    pub fn into_result(self) -> Result<Vec<Problem>, PolicyErrors> {
        let lines = Lines::of(self.text);
        if self.errors.number > 0 {
            let more = self.errors.more();
            let problems = self.errors.problems(Gravity::Error, &self.origin, &lines);
            return Err(PolicyErrors::new(self.origin, problems, more));
        }
        let more = self.warnings.more();
        let mut warnings = self
            .warnings
            .problems(Gravity::Warning, &self.origin, &lines);
        if more > 0 {
            let flaw = Flaw::new(format!("and {}", counted(more, "more warning")));
            warnings.push(Problem::new(Gravity::Warning, self.origin, flaw));
        }
        Ok(warnings)
    }
}

impl Found {
    fn add(
        &mut self,
        span: &Span,
        other: Option<(&Span, &'static str)>,
        flaw: impl FnOnce() -> Flaw,
    ) {
        let key = (span.start, self.number);
        self.number += 1;
        if self.first.len() >= MOST_SHOWN {
            match self.first.last_entry() {
                Some(last) if key < *last.key() => drop(last.remove()),
                _ => return,
            }
        }
        let placed = Placed {
            span: span.clone(),
            other: other.map(|(span, label)| (span.clone(), label)),
            flaw: flaw(),
        };
        self.first.insert(key, placed);
    }

    fn more(&self) -> usize {
        self.number - self.first.len()
    }

    fn problems(self, gravity: Gravity, origin: &Arc<str>, lines: &Lines<'_>) -> Vec<Problem> {
        let placed = self.first.into_values();
        let problems = placed.map(|Placed { span, other, flaw }| {
            let other = other.map(|(span, label)| (Excerpt::of(lines, &span), label));
            Problem::new(gravity, Arc::clone(origin), flaw).at(Excerpt::of(lines, &span), other)
        });
        problems.collect()
    }
}
