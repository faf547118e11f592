//! Why an auditor gives no answer.

use std::path::PathBuf;

use crate::{
    control::protocol::{ENDED, Problem},
    text::escape::{visible, visible_path},
};

/// Why an auditor gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No auditor runs.
    #[error("no auditor runs; begin with `sudo pinif audit`, or `sudo systemctl start pinif`")]
    NoneRuns,
    /// Nobody listens where one was to be.
    #[error("no auditor listens at {}; `pinif` alone shows where one does", visible_path(.0))]
    NotThere(PathBuf),
    /// Several run.
    #[error("several auditors run; choose one with --socket: {}", .0.iter().map(|path| visible_path(path)).collect::<Vec<_>>().join(", "))]
    Several(Vec<PathBuf>),
    /// This user may not ask.
    #[error("{} may not be opened; ask as root, or join its group: `sudo usermod -aG pinif USER`, and log in again", visible_path(.0))]
    Denied(PathBuf),
    /// The auditor refuses.
    #[error("{}; {}", visible(&.problem.error), visible(&.problem.fix))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why.
        problem: Problem,
    },
    /// The connection is lost: the auditor has ended, perhaps.
    #[error("the auditor at {} has gone: {error}", visible_path(.path))]
    Lost {
        /// Where it was.
        path: PathBuf,
        /// How that is known.
        error: String,
    },
    /// It is there, and does not answer: it is stopped, or hangs.
    #[error(
        "the auditor at {} does not answer: it hangs, or is stopped; look at `systemctl status pinif`, or at what it printed", visible_path(.0)
    )]
    Silent(PathBuf),
    /// What it says is not understood.
    #[error("the auditor at {} says what this pinif does not understand ({error}); use the same version", visible_path(.path))]
    Strange {
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: String,
    },
}

impl ClientError {
    /// Whether the auditor's audit has ended: it sees nothing any more, and there is nothing to be asked.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::NotThere(_) | Self::Lost { .. } => true,
            Self::Refused { problem, .. } => problem.error == ENDED,
            _ => false,
        }
    }

    /// Whether an auditor is there that cannot be asked how it stands: it does not answer, or refuses to.
    pub const fn is_blind(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Refused { status: 503, .. })
    }
}
