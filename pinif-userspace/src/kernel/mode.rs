//! How a traffic program is attached to an interface.

use crate::host::capabilities::has_tcx;

/// How the traffic program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// TCX links (since Linux 6.6, and in some older kernels of distributions): they go with the process.
    Tcx,
    /// Filters of the clsact qdisc: they would outlive a killed process, and are taken over at the next start.
    Clsact,
}

impl Mode {
    /// The better one that this kernel has.
    pub fn of_kernel() -> Self {
        if has_tcx() { Self::Tcx } else { Self::Clsact }
    }

    /// The name in the `ready` line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}
