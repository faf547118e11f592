//! What the auditor is to be asked for.

/// What is wanted of the auditor, besides how it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The matrix.
    pub matrix: bool,
    /// So many findings that this filter lets pass.
    pub findings: Option<(String, usize)>,
    /// The finding with this id.
    pub finding: Option<String>,
    /// So many sockets.
    pub sockets: Option<usize>,
    /// The policy.
    pub policy: bool,
}
