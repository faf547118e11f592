//! Which views there are.

/// A view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Whether all is well.
    #[default]
    Overview,
    /// Who sent by which interface.
    Matrix,
    /// What was found.
    Findings,
    /// Which sockets there are, and where they would leave.
    Sockets,
    /// What is audited.
    Interfaces,
    /// What is in force.
    Policy,
}

impl View {
    /// All, in the order of their keys.
    pub const ALL: [Self; 6] = [
        Self::Overview,
        Self::Matrix,
        Self::Findings,
        Self::Sockets,
        Self::Interfaces,
        Self::Policy,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Matrix => "matrix",
            Self::Findings => "findings",
            Self::Sockets => "sockets",
            Self::Interfaces => "interfaces",
            Self::Policy => "policy",
        }
    }
}
