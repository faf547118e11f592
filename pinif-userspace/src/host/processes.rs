//! Processes, and who holds a socket (proc(5)).
//!
//! A process is its number and its start, since another gets the number once it has ended. What is read of one is read through the
//! directory of `/proc` that was opened for it: that is the process's own, and is empty once it has ended, whoever has its number.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::Read as _,
    os::fd::OwnedFd,
    path::Path,
};

use pinif_ebpf::intent::Owner;
use rustix::{
    fs::{Dir, DirEntry, readlinkat},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{attributes::text, inode};

/// Which process: another that had the number before was started at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// Its number in the PID namespace of `/proc`.
    pub pid: u32,
    /// When it was started, in nanoseconds of `CLOCK_BOOTTIME`; zero where that is not known. `/proc` has hundredths of a second, cut
    /// off (`nsec_to_clock_t`).
    pub started: u64,
}

/// A process, as far as a finding names it. Names are the process's own choice: escape them before a terminal sees
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Which one.
    pub id: ProcessId,
    /// The name of its main thread (`comm`), of at most 15 bytes.
    pub comm: String,
    /// The file that it runs; none for the kernel's own. ` (deleted)` follows where the file is gone.
    pub exe: Option<String>,
    /// Its effective user.
    pub uid: u32,
    /// Its cgroup, as a path from the root of the v2 hierarchy.
    pub cgroup: Option<String>,
}

/// What there is to say of a process; none where it is gone, also if another has its number by now.
pub fn describe(id: ProcessId) -> Option<Process> {
    Opened::of(id)?.describe(None)
}

/// The same, where its user is known: it is not asked for.
pub fn describe_of(id: ProcessId, uid: u32) -> Option<Process> {
    Opened::of(id)?.describe(Some(uid))
}

/// Its name, likewise.
pub fn name_of(id: ProcessId) -> Option<String> {
    Opened::of(id)?.name()
}

/// The sockets among the first descriptors of whoever has this number now: each with its number and its inode, the last of them first. None,
/// if it is gone, or may not be looked into.
pub fn held_by(pid: u32, most: usize) -> impl Iterator<Item = (i32, u64)> {
    let sockets = Opened::any(pid).and_then(|process| process.sockets(most));
    sockets.into_iter().flatten()
}

/// Whether it holds the socket with this inode.
pub fn holds(id: ProcessId, inode: u64) -> bool {
    let sockets = Opened::of(id).and_then(|process| process.sockets(usize::MAX));
    let mut sockets = sockets.into_iter().flatten();
    sockets.any(|(_, held)| held == inode)
}

/// The inodes of the sockets that it holds; none, if it is gone, or may not be looked into.
pub fn sockets_of(id: ProcessId) -> HashSet<u64> {
    Opened::of(id)
        .and_then(|process| process.inodes())
        .unwrap_or_default()
}

/// The number of a process, for people: `pid 4242`.
pub fn number(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("pid {pid}"),
        None => "pid unknown".to_owned(),
    }
}

/// A process as the kernel recorded it, for people: `tcpreplay (pid 4242)`. By the number alone, it may be another's by now.
pub fn recorded(owner: &Owner) -> String {
    if !owner.is_known() {
        return "an unknown process".to_owned();
    }
    let pid = Some(owner.pid).filter(|&pid| pid != 0);
    format!("{} ({})", text(&owner.comm.0), number(pid))
}

/// Whether it is there, and no other that has its number.
pub fn is_there(id: ProcessId) -> bool {
    Opened::of(id).is_some()
}

/// A descriptor of a process (pidfd_open(2)), by which the kernel is asked of it and of no other; none where it is gone. Also
/// where it has another number in the PID namespace that this process is in than in that of `/proc`.
pub fn descriptor_of(id: ProcessId) -> rustix::io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(id.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        opened => opened?,
    };
    // While it has the number, it is the one that `/proc` shows (`pidfd_show_fdinfo`).
    let is_it = number_of(&descriptor) == Some(id.pid) && is_there(id);
    Ok(is_it.then_some(descriptor))
}

/// The number that `/proc` has for a descriptor's process.
fn number_of(descriptor: &OwnedFd) -> Option<u32> {
    use std::os::fd::AsRawFd as _;
    let path = format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd());
    let text = fs::read_to_string(path).ok()?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    number.trim().parse().ok()
}

/// This process, its parent, and so on, as far as they are in the PID namespace of `/proc`.
pub fn ancestors() -> Vec<ProcessId> {
    let own = || {
        let number = fs::read_link("/proc/self").ok()?;
        Opened::any(number.to_str()?.parse().ok()?)?.id()
    };
    std::iter::successors(own(), |child| parent_of(*child)).collect()
}

/// A parent is there before its child: what has its number and is younger is another.
fn parent_of(child: ProcessId) -> Option<ProcessId> {
    let (pid, _) = Opened::of(child)?.stat()?;
    let parent = Opened::any(pid)?.id()?;
    (parent.started <= child.started && parent != child).then_some(parent)
}

/// The processes that hold sockets, by the sockets' inodes; those of one in the order of their numbers.
///
/// Processes that may not be looked into (ptrace(2), `PTRACE_MODE_READ_FSCREDS`) are passed over.
pub fn holders(socket_inodes: &HashSet<u64>) -> HashMap<u64, Vec<ProcessId>> {
    let mut holders: HashMap<u64, Vec<ProcessId>> = HashMap::new();
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    for process in pids.into_iter().filter_map(Opened::any) {
        let held = process.inodes().unwrap_or_default();
        let mut wanted = held.intersection(socket_inodes).peekable();
        if wanted.peek().is_some()
            && let Some(id) = process.id()
        {
            wanted.for_each(|inode| holders.entry(*inode).or_default().push(id));
        }
    }
    holders
}

/// What is read at once of a file of `/proc`: these are shorter. Room for a few bytes at first would make many reads.
const READ: usize = 4096;

/// A process whose directory of `/proc` is open.
struct Opened {
    pid: u32,
    /// When it was started, in nanoseconds, cut off to what `/proc` has; once that was read.
    started: OnceCell<u64>,
    process: procfs::process::Process,
}

impl Opened {
    /// Whoever has the number now.
    fn any(pid: u32) -> Option<Self> {
        let process = procfs::process::Process::new(pid.try_into().ok()?).ok()?;
        Some(Self {
            pid,
            started: OnceCell::new(),
            process,
        })
    }

    /// The process, if it is there.
    fn of(id: ProcessId) -> Option<Self> {
        let process = Self::any(id.pid)?;
        let started = process.started()?;
        (id.started == 0 || started == id.started / tick() * tick()).then_some(process)
    }

    fn id(&self) -> Option<ProcessId> {
        Some(ProcessId {
            pid: self.pid,
            started: self.started()?,
        })
    }

    /// When it was started, in nanoseconds, cut off to what `/proc` has.
    fn started(&self) -> Option<u64> {
        if let Some(&started) = self.started.get() {
            return Some(started);
        }
        let (_, started) = self.stat()?;
        Some(*self.started.get_or_init(|| started))
    }

    /// The number of its parent, and when it was started.
    fn stat(&self) -> Option<(u32, u64)> {
        let (parent, ticks) = parse_stat(&self.read("stat")?)?;
        Some((parent, ticks * tick()))
    }

    /// Bytes: a name that is no UTF-8 must not hide the rest.
    fn read(&self, file: &str) -> Option<Vec<u8>> {
        let mut content = Vec::with_capacity(READ);
        let mut file: File = self.process.open_relative(file).ok()?;
        file.read_to_end(&mut content).ok()?;
        Some(content)
    }

    fn name(&self) -> Option<String> {
        let comm = self.read("comm")?;
        Some(String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap_or(&comm)).into_owned())
    }

    /// What there is to say of it. Its user is asked for where it is not known.
    fn describe(&self, uid: Option<u32>) -> Option<Process> {
        Some(Process {
            id: self.id()?,
            comm: self.name()?,
            exe: self
                .process
                .exe()
                .ok()
                .map(|path| path.to_string_lossy().into_owned()),
            uid: match uid {
                Some(uid) => uid,
                None => effective_user(&self.read("status")?)?,
            },
            cgroup: self.process.cgroups().ok().and_then(|cgroups| {
                let v2 = cgroups.into_iter().find(|cgroup| cgroup.hierarchy == 0)?;
                Some(v2.pathname)
            }),
        })
    }

    /// The sockets among the first descriptors that it has, each with its number and its inode, the last of them first: what was opened a
    /// moment ago is asked about most often.
    fn sockets(&self, most: usize) -> Option<impl Iterator<Item = (i32, u64)> + use<>> {
        let directory: File = self.process.open_relative("fd").ok()?;
        let entries = Dir::read_from(&directory).ok()?.filter_map(Result::ok);
        let number = |entry: DirEntry| entry.file_name().to_str().ok()?.parse().ok();
        let numbers: Vec<i32> = entries.filter_map(number).take(most).collect();
        let socket = move |number: i32| {
            let target = readlinkat(&directory, number.to_string(), Vec::new()).ok()?;
            Some((number, inode::in_link(target.to_str().ok()?, "socket")?))
        };
        Some(numbers.into_iter().rev().filter_map(socket))
    }

    /// The inodes of all of them.
    fn inodes(&self) -> Option<HashSet<u64>> {
        Some(self.sockets(usize::MAX)?.map(|(_, inode)| inode).collect())
    }
}

/// What `/proc` counts starts in, in nanoseconds.
fn tick() -> u64 {
    1_000_000_000 / procfs::ticks_per_second()
}

/// The fourth and the 22nd field of `/proc/PID/stat`: the parent's number, and the start. The second is the name in parentheses, of
/// any bytes.
fn parse_stat(stat: &[u8]) -> Option<(u32, u64)> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    let mut fields = rest.split_whitespace().skip(4 - 3);
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(22 - 5)?.parse().ok()?;
    Some((parent, start))
}

/// The second number of the `Uid:` line of `/proc/PID/status`. The kernel escapes newlines in the name above it.
fn effective_user(status: &[u8]) -> Option<u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let users = lines.find_map(|line| line.strip_prefix(b"Uid:"))?;
    let users = std::str::from_utf8(users).ok()?;
    users.split_whitespace().nth(1)?.parse().ok()
}

/// What is looked at by a path below `/proc/PID`, of this process and no other: nothing, where it was gone after that.
pub fn looked_at<T>(id: ProcessId, look: impl FnOnce(&Path) -> T) -> Option<T> {
    let found = look(&Path::new("/proc").join(id.pid.to_string()));
    is_there(id).then_some(found)
}

#[cfg(test)]
mod tests;
