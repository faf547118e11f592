//! How much a note matters.

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All goes as it should.
    Info,
    /// The audit goes on, but not as it was asked to.
    Warning,
    /// Something failed.
    Error,
}
