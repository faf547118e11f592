//! What an answer of `pinif foresee` does not know.

use schemars::JsonSchema;
use serde::Serialize;

/// What the answer does not know.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct Unknown<'a> {
    /// What could not be copied, so that findings may be wrong or lacking; empty when all was.
    pub(super) uncopied: Vec<&'a str>,
    /// How many raw sockets were not looked at, since the kernel does not list them.
    pub(super) unlisted_raw: usize,
    /// The auditors that said which sockets they have seen that are gone: where each listens. Without any, such sockets are not looked
    /// at.
    pub(super) asked: Vec<String>,
    /// Why others that run did not, so that findings may be lacking; empty when all did.
    pub(super) unasked: Vec<String>,
}

impl Unknown<'_> {
    /// Whether the answer lacks something that is there.
    pub(super) fn is_any(&self) -> bool {
        !self.uncopied.is_empty() || self.unlisted_raw > 0 || !self.unasked.is_empty()
    }
}
