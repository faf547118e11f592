//! The process that owns a socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::processes::{self, ProcessId};

/// The process that owns a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its process id, in the PID namespace of pinif's `/proc`; null where it is not in there.
    pub pid: Option<u32>,
    /// When it was started, in nanoseconds of `CLOCK_BOOTTIME`, where that is known. JSON has no such field.
    #[serde(skip)]
    pub started: Option<u64>,
    /// Its name: what `/proc/PID/comm` says, or, where it has ended, what the kernel knew.
    pub comm: String,
    /// Its executable.
    pub exe: Option<String>,
    /// Its user.
    pub uid: u32,
    /// Its cgroup, from the root of the v2 hierarchy.
    pub cgroup: Option<String>,
}

impl Process {
    /// Which one it is, as `/proc` has it; none where it is not in there.
    pub fn id(&self) -> Option<ProcessId> {
        Some(ProcessId {
            pid: self.pid?,
            started: self.started.unwrap_or_default(),
        })
    }

    /// Its number, for people: `pid 4242`.
    pub fn number(&self) -> String {
        processes::number(self.pid)
    }
}

impl From<processes::Process> for Process {
    fn from(process: processes::Process) -> Self {
        Self {
            pid: Some(process.id.pid),
            started: Some(process.id.started).filter(|&started| started != 0),
            comm: process.comm,
            exe: process.exe,
            uid: process.uid,
            cgroup: process.cgroup,
        }
    }
}
