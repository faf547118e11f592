//! What a running auditor holds of the kernel, by its descriptors (proc_pid_fdinfo(5)); and what another program may do with it, which
//! takes it (`pidfd_getfd(2)`), as root may.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use nix::unistd::Pid;
use pinif_userspace::kernel::syscall;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

const BPF_MAP_DELETE_ELEM: u32 = 3;

/// A descriptor of the auditor's, and what `/proc/PID/fdinfo` has of it.
pub struct Held {
    pid: Pid,
    descriptor: RawFd,
    says: BTreeMap<String, String>,
}

/// All of them.
pub fn held(pid: Pid) -> Vec<Held> {
    let directory = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&directory).expect("the auditor runs");
    let read = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let text = fs::read_to_string(entry.path()).ok()?;
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let says = lines.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        Some(Held {
            pid,
            descriptor: entry.file_name().to_str()?.parse().ok()?,
            says: says.collect(),
        })
    });
    read.collect()
}

impl Held {
    /// Whether this is said of it: the value may go on.
    pub fn is(&self, key: &str, value: &str) -> bool {
        let said = self.says.get(key).map(String::as_str).unwrap_or_default();
        said.split([' ', '\t']).next() == Some(value)
    }

    /// The number of the program or map that it is (`prog_id`, `map_id`).
    pub fn number(&self, key: &str) -> Option<u32> {
        self.says.get(key)?.parse().ok()
    }

    fn take(&self) -> OwnedFd {
        let pid = rustix::process::Pid::from_raw(self.pid.as_raw()).expect("a process");
        let process = pidfd_open(pid, PidfdFlags::empty()).expect("the auditor runs");
        pidfd_getfd(process, self.descriptor, PidfdGetfdFlags::empty()).expect("root may")
    }

    /// Detaches it, which is a link.
    pub fn detach(&self) {
        syscall::detach(&self.take()).expect("it is attached");
    }

    /// Removes an element of it, which is a map whose keys are of four bytes.
    pub fn remove(&self, key: u32) -> io::Result<()> {
        #[repr(C)]
        struct Element {
            map: u32,
            _pad: u32,
            key: u64,
        }
        let map = self.take();
        let mut element = Element {
            map: map.as_raw_fd().cast_unsigned(),
            _pad: 0,
            key: std::ptr::from_ref(&key).expose_provenance() as u64,
        };
        // SAFETY: the attributes are those of the command, and the key outlives the call.
        unsafe { syscall::bpf(BPF_MAP_DELETE_ELEM, &mut element) }.map(|_| ())
    }
}
