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

/// Whether it holds the socket with this inode. The descriptors that it got last are looked at first.
pub fn holds(id: ProcessId, inode: u64) -> bool {
    Opened::of(id).is_some_and(|process| process.holds(inode))
}

/// The inodes of the sockets that it holds; none, if it is gone, or may not be looked into.
pub fn sockets_of(id: ProcessId) -> HashSet<u64> {
    Opened::of(id)
        .and_then(|process| process.sockets())
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
        let held = process.sockets().unwrap_or_default();
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

    /// The inodes of its sockets.
    fn sockets(&self) -> Option<HashSet<u64>> {
        let (directory, entries) = self.descriptors()?;
        let inode = |entry| socket_of(&directory, &entry);
        Some(entries.filter_map(inode).collect())
    }

    /// Whether it has a socket, as one of its last descriptors at best.
    fn holds(&self, inode: u64) -> bool {
        let Some((directory, entries)) = self.descriptors() else {
            return false;
        };
        let entries: Vec<DirEntry> = entries.collect();
        let mut last_first = entries.iter().rev();
        last_first.any(|entry| socket_of(&directory, entry) == Some(inode))
    }

    /// The directory of its descriptors, and these in their order.
    fn descriptors(&self) -> Option<(File, impl Iterator<Item = DirEntry>)> {
        let directory: File = self.process.open_relative("fd").ok()?;
        let entries = Dir::read_from(&directory).ok()?;
        Some((directory, entries.filter_map(Result::ok)))
    }
}

/// The inode of the socket that an entry of such a directory is.
fn socket_of(directory: &File, entry: &DirEntry) -> Option<u64> {
    let target = readlinkat(directory, entry.file_name(), Vec::new()).ok()?;
    inode::in_link(target.to_str().ok()?, "socket")
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
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::UdpSocket,
        process::{self, Command, Stdio},
    };

    use super::*;

    fn inode(socket: &UdpSocket) -> u64 {
        nix::sys::stat::fstat(socket).expect("fstat").st_ino
    }

    /// Whoever has the number.
    fn any(pid: u32) -> ProcessId {
        ProcessId { pid, started: 0 }
    }

    fn myself() -> ProcessId {
        let opened = Opened::any(process::id());
        opened.and_then(|own| own.id()).expect("this process")
    }

    #[test]
    fn a_process_is_known_by_its_number_and_its_start() {
        let own = myself();
        let with_start = |started| ProcessId { started, ..own };
        for started in [0, own.started, own.started + tick() - 1] {
            let id = with_start(started);
            assert_eq!(describe(id).map(|process| process.id), Some(own), "{id:?}");
            assert!(name_of(id).is_some() && is_there(id), "{id:?}");
            let descriptor = descriptor_of(id).expect("a descriptor");
            assert!(descriptor.is_some(), "{id:?}");
            assert_eq!(looked_at(id, |path| path.join("exe").exists()), Some(true));
        }
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        assert!(sockets_of(own).contains(&inode(&socket)) && holds(own, inode(&socket)));
        for another in [1, own.started - 1, own.started + tick()] {
            let id = with_start(another);
            assert_eq!(describe(id), None, "{id:?}");
            assert_eq!(name_of(id), None, "{id:?}");
            assert!(sockets_of(id).is_empty() && !is_there(id), "{id:?}");
            assert!(!holds(id, inode(&socket)), "{id:?}");
            let descriptor = descriptor_of(id).expect("it is not asked");
            assert!(descriptor.is_none(), "{id:?}");
            assert_eq!(looked_at(id, |path| path.join("exe").exists()), None);
        }
    }

    #[test]
    fn this_process_is_described() {
        let own = describe(any(process::id())).expect("this process");
        let exe = std::env::current_exe().expect("an executable");
        assert_eq!(own.id, myself());
        assert_eq!(own.exe.as_deref(), exe.to_str());
        assert_eq!(own.uid, nix::unistd::geteuid().as_raw());
        assert_eq!(describe_of(own.id, own.uid).as_ref(), Some(&own));
        assert!(
            own.comm.len() <= 15 && exe.to_string_lossy().contains(own.comm.trim()),
            "{}",
            own.comm
        );
        assert!(own.cgroup.is_some_and(|path| path.starts_with('/')));
    }

    #[test]
    fn the_effective_user_is_found_under_any_name() {
        let status =
            b"Name:\t\xff\\nUid:\t7\t7\nUmask:\t0022\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\n";
        assert_eq!(effective_user(status), Some(1001));
        assert_eq!(effective_user(b"Name:\ta\n"), None);
    }

    #[test]
    fn the_parent_and_the_start_are_found_behind_any_name() {
        let mut stat = b"7 (\xff) 1 2) S 4".to_vec();
        (5..22).for_each(|field| stat.extend(format!(" {field}").bytes()));
        stat.extend(b" 4711 9 9\n");
        assert_eq!(parse_stat(&stat), Some((4, 4711)));
        assert_eq!(parse_stat(b"7 (a) S 1"), None);
    }

    #[test]
    fn a_process_that_is_gone_is_none() {
        let mut child = Command::new("true")
            .stdout(Stdio::null())
            .spawn()
            .expect("true");
        let id = any(child.id());
        child.wait().expect("wait");
        assert_eq!(describe(id), None);
        assert!(sockets_of(id).is_empty());
        assert!(descriptor_of(id).expect("none").is_none());
        assert_eq!(describe(any(u32::MAX)), None);
    }

    /// What was opened of one that has ended says nothing, also of who has its number by then.
    #[test]
    fn what_is_read_is_of_the_process_that_was_opened() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cat");
        // What it has read and written, it has done under its own name.
        let (input, output) = (child.stdin.as_mut(), child.stdout.as_mut());
        input.expect("a pipe").write_all(b"x").expect("it reads");
        output
            .expect("a pipe")
            .read_exact(&mut [0])
            .expect("it writes");
        let opened = Opened::any(child.id()).expect("a process");
        assert_eq!(opened.name().as_deref(), Some("cat"));
        child
            .kill()
            .and_then(|()| child.wait().map(drop))
            .expect("its end");
        assert_eq!((opened.id(), opened.name()), (None, None));
        assert_eq!(opened.describe(None), None);
        assert_eq!(opened.sockets(), None);
    }

    #[test]
    fn this_process_has_ancestors() {
        let all = ancestors();
        assert_eq!(all[0], myself());
        let parent = nix::unistd::getppid().as_raw().cast_unsigned();
        assert_eq!(all[1].pid, parent);
    }

    #[test]
    fn the_holder_of_a_socket_is_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let inode = inode(&socket);
        let found = holders(&HashSet::from([inode]));
        assert_eq!(found, HashMap::from([(inode, vec![myself()])]));
        drop(socket);
        assert!(!sockets_of(myself()).contains(&inode));
        assert!(holders(&HashSet::from([inode])).is_empty());
    }
}
