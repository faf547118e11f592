//! All that is wrong with a policy file.

use std::{
    fmt::{self, Display},
    io::{self, ErrorKind},
    sync::Arc,
};

use super::problem::{Flaw, Gravity, Problem, counted};
use crate::text::escape::visible;

/// All that is wrong with a policy file. Prints the first [`Problem`]s and, last, how many there are.
#[derive(Clone, Debug, thiserror::Error)]
pub struct PolicyErrors {
    origin: Arc<str>,
    problems: Vec<Problem>,
    /// How many there are besides.
    more: usize,
    missing: bool,
}

impl PolicyErrors {
    /// The first problems of the file, in its order, and how many there are besides.
    pub(super) fn new(origin: Arc<str>, problems: Vec<Problem>, more: usize) -> Self {
        Self {
            origin,
            problems,
            more,
            missing: false,
        }
    }

    /// The file could not be read at all. Messages call what it should hold by the name in `of`.
    pub(super) fn unreadable(origin: &str, error: &io::Error, of: &str) -> Self {
        let (reason, fix) = match error.kind() {
            ErrorKind::NotFound => (
                "there is no such file".into(),
                format!("create it, or name the file that the {of} is in"),
            ),
            ErrorKind::PermissionDenied => (
                "permission denied".into(),
                "run as root, or let this user read the file".into(),
            ),
            ErrorKind::IsADirectory => (
                "it is a directory".into(),
                format!("name the {of} file in it"),
            ),
            _ => (
                error.to_string(),
                format!("name a {of} file that can be read"),
            ),
        };
        let what = format!("cannot read {}: {reason}", visible(origin));
        Self {
            missing: error.kind() == ErrorKind::NotFound,
            ..Self::without_place(origin, Flaw::new(what).fix(fix))
        }
    }

    /// One error that is of the file as a whole.
    pub(crate) fn without_place(origin: &str, flaw: Flaw) -> Self {
        let origin: Arc<str> = visible(origin).into();
        let problem = Problem::new(Gravity::Error, Arc::clone(&origin), flaw);
        Self::new(origin, vec![problem], 0)
    }

    /// What is wrong with two files.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.origin = format!("{}, {}", self.origin, other.origin).into();
        self.problems.extend(other.problems);
        self.more += other.more;
        self
    }

    /// What is wrong, in the order of the file; never empty. Of many, the first.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether the only trouble is that there is no such file.
    pub fn is_missing(&self) -> bool {
        self.missing
    }

    /// Whether there is a line to be shown. Of a file that cannot be read, there is none.
    pub fn have_places(&self) -> bool {
        self.problems.iter().any(|problem| problem.line().is_some())
    }

    /// A line for each message, for a log: [`Problem::brief`] of each, and how many are not among them.
    pub fn lines(&self) -> Vec<String> {
        let shown = self.problems.iter().map(Problem::brief);
        shown.chain(self.unshown()).collect()
    }

    /// All messages in one line.
    pub fn brief(&self) -> String {
        self.lines().join("; ")
    }

    /// One line for a log: the file and the number of errors, as in "policy.toml: 3 errors".
    pub fn summary(&self) -> String {
        let errors = self.problems.len() + self.more;
        format!("{}: {}", self.origin, counted(errors, "error"))
    }

    /// All messages with the terminal's colours in them. Its [`Display`] has none.
    pub fn styled(&self) -> String {
        self.joined(Problem::styled)
    }

    fn unshown(&self) -> Option<String> {
        (self.more > 0).then(|| format!("and {}", counted(self.more, "more error")))
    }

    fn joined(&self, show: impl Fn(&Problem) -> String) -> String {
        let mut all = String::new();
        for message in self.problems.iter().map(show).chain(self.unshown()) {
            all.push_str(&message);
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
