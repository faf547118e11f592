//! The process that owns a socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The process that owns a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// When it was started, in nanoseconds of `CLOCK_BOOTTIME`, where that is known. JSON has no such field.
    #[serde(skip)]
    pub started: Option<u64>,
    /// Its name, as `/proc/PID/comm` says it.
    pub comm: String,
    /// Its executable.
    pub exe: Option<String>,
    /// Its user.
    pub uid: u32,
    /// Its cgroup, from the root of the v2 hierarchy.
    pub cgroup: Option<String>,
}
