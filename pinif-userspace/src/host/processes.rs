//! Processes, who holds a socket, and cgroups (proc(5), cgroups(7)).

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use anyhow::Context;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

/// A process, as far as a finding names it. Names are the process's own choice: escape them before a terminal sees
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number in pinif's PID namespace.
    pub pid: u32,
    /// The name of its main thread (`comm`), of at most 15 bytes.
    pub comm: String,
    /// The file that it runs; none for the kernel's own. ` (deleted)` follows where the file is gone.
    pub exe: Option<String>,
    /// Its effective user.
    pub uid: u32,
    /// Its cgroup, as a path from the root of the v2 hierarchy.
    pub cgroup: Option<String>,
}

/// What there is to say of the process that was started then (nanoseconds of `CLOCK_BOOTTIME`; zero where that is not
/// known); none where it is gone, also if another has its number by now.
pub fn describe_if(pid: u32, started: u64) -> Option<Process> {
    describe(pid).filter(|_| is(pid, started))
}

/// The name of the process that was started then, likewise.
pub fn name_of(pid: u32, started: u64) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let name = name.strip_suffix(b"\n").unwrap_or(&name);
    is(pid, started).then(|| String::from_utf8_lossy(name).into_owned())
}

/// Whether the process that has this number was started then. procfs has it in hundredths of a second, cut off
/// (`nsec_to_clock_t`).
fn is(pid: u32, started: u64) -> bool {
    const NANOSECONDS: u64 = 1_000_000_000;
    if started == 0 {
        return true;
    }
    let stat = || {
        let process = procfs::process::Process::new(pid.try_into().ok()?).ok()?;
        process.stat().ok()
    };
    stat()
        .is_some_and(|stat| stat.starttime == started / (NANOSECONDS / procfs::ticks_per_second()))
}

/// What there is to say of a process; none where it is gone.
pub fn describe(pid: u32) -> Option<Process> {
    // procfs holds the directory open: all that follows is of this process, even if its number is used again.
    let process = procfs::process::Process::new(pid.try_into().ok()?).ok()?;
    // Bytes: a name that is no UTF-8 must not hide the rest.
    let read = |file| {
        let mut content = Vec::new();
        io::Read::read_to_end(&mut process.open_relative(file).ok()?, &mut content).ok()?;
        Some(content)
    };
    let comm = read("comm")?;
    Some(Process {
        pid,
        comm: String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap_or(&comm)).into_owned(),
        exe: process
            .exe()
            .ok()
            .map(|path| path.to_string_lossy().into_owned()),
        uid: effective_user(&read("status")?)?,
        cgroup: process.cgroups().ok().and_then(|cgroups| {
            let v2 = cgroups.into_iter().find(|cgroup| cgroup.hierarchy == 0)?;
            Some(v2.pathname)
        }),
    })
}

/// The second number of the `Uid:` line of `/proc/PID/status`. The kernel escapes newlines in the name above it.
fn effective_user(status: &[u8]) -> Option<u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let users = lines.find_map(|line| line.strip_prefix(b"Uid:"))?;
    let users = std::str::from_utf8(users).ok()?;
    users.split_whitespace().nth(1)?.parse().ok()
}

/// The processes that hold sockets, by the sockets' inodes; those of one in the order of their numbers.
///
/// Processes that may not be looked into (ptrace(2), `PTRACE_MODE_READ_FSCREDS`) are passed over.
pub fn holders(socket_inodes: &HashSet<u64>) -> HashMap<u64, Vec<u32>> {
    let mut holders: HashMap<u64, Vec<u32>> = HashMap::new();
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        for inode in sockets_of(pid).intersection(socket_inodes) {
            holders.entry(*inode).or_default().push(pid);
        }
    }
    holders
}

/// The inodes of the sockets that a process holds; none, if it is gone or may not be looked into.
pub fn sockets_of(pid: u32) -> HashSet<u64> {
    let inode = |target: PathBuf| {
        let number = target
            .to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?;
        number.parse().ok()
    };
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .filter_map(|file| inode(fs::read_link(file.ok()?.path()).ok()?))
        .collect()
}

/// Where the cgroup v2 hierarchy is mounted; on a hybrid system, beside the v1 hierarchies.
///
/// # Errors
/// Where it is not.
pub fn cgroup2_root() -> anyhow::Result<PathBuf> {
    let mounts = procfs::process::Process::myself()
        .and_then(|process| process.mountinfo())
        .context("cannot read /proc/self/mountinfo")?;
    let mut found: Vec<_> = mounts
        .into_iter()
        .filter(|mount| mount.fs_type == "cgroup2")
        .collect();
    // A mount of a part of the hierarchy has a root of its own.
    found.sort_by_key(|mount| mount.root != "/");
    let mount = found.into_iter().next().context(
        "cgroup v2 is not mounted; mount it with `mount -t cgroup2 none /sys/fs/cgroup/unified` (make the directory first)",
    )?;
    Ok(mount.mount_point)
}

/// That the path is a directory of the cgroup v2 hierarchy, wherever that is mounted.
///
/// # Errors
/// Where it is not, in a sentence with the fix.
pub fn check_cgroup(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let fix = match cgroup2_root() {
        Ok(root) => format!(
            "name a directory below {}, where cgroup v2 is mounted",
            root.display()
        ),
        Err(error) => format!("{error:#}"),
    };
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            anyhow::bail!("there is no cgroup {shown}; {fix}")
        }
        other => other.with_context(|| format!("the cgroup {shown} cannot be looked at"))?,
    };
    let filesystem = statfs(path)
        .with_context(|| format!("the cgroup {shown} cannot be looked at"))?
        .filesystem_type();
    if !metadata.is_dir() || filesystem != CGROUP2_SUPER_MAGIC {
        anyhow::bail!("{shown} is no cgroup of the second version; {fix}");
    }
    Ok(())
}

/// The id of the cgroup at a path, either in the file system or from the root of the v2 hierarchy, as the kernel's
/// `cgroup_id()` and `bpf_skb_cgroup_id()` give it: the inode of its directory.
///
/// # Errors
/// Where there is no such cgroup.
pub fn cgroup_id(path: &Path) -> io::Result<u64> {
    let root = cgroup2_root().map_err(io::Error::other)?;
    let directory = if path.starts_with(&root) {
        path.to_owned()
    } else {
        root.join(path.strip_prefix("/").unwrap_or(path))
    };
    let metadata = fs::metadata(directory)?;
    if metadata.is_dir() {
        Ok(metadata.ino())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

/// The path of the cgroup with this id, from the root of the v2 hierarchy; none where it is gone.
pub fn cgroup_path(id: u64) -> Option<String> {
    let root = cgroup2_root().ok()?;
    let path = match open_cgroup(&root, id) {
        Ok(directory) => fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).ok()?,
        Err(error) if error.raw_os_error() == Some(libc::ESTALE) => return None,
        // open_by_handle_at(2) wants CAP_DAC_READ_SEARCH.
        Err(_) => walk(&root, id)?,
    };
    let below = path.strip_prefix(&root).ok()?;
    Some(format!("/{}", below.to_string_lossy()))
}

/// `struct file_handle` of kernfs: the id is all there is (`kernfs_fh_to_dentry` in fs/kernfs/mount.c).
#[repr(C)]
struct KernfsHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; 8],
}

/// `FILEID_KERNFS` of linux/exportfs.h.
const FILEID_KERNFS: libc::c_int = 0xfe;

fn open_cgroup(root: &Path, id: u64) -> io::Result<OwnedFd> {
    let mount = File::open(root)?;
    let mut handle = KernfsHandle {
        bytes: 8,
        kind: FILEID_KERNFS,
        id: id.to_ne_bytes(),
    };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the handle has the layout of `struct file_handle` followed by the eight bytes that it announces, and
    // lives through the call, as does the descriptor.
    let descriptor = unsafe {
        libc::open_by_handle_at(
            mount.as_raw_fd(),
            (&raw mut handle).cast::<libc::file_handle>(),
            flags,
        )
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn walk(directory: &Path, id: u64) -> Option<PathBuf> {
    if fs::metadata(directory).ok()?.ino() == id {
        return Some(directory.to_owned());
    }
    fs::read_dir(directory)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .find_map(|entry| walk(&entry.path(), id))
}

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket,
        process::{self, Command, Stdio},
    };

    use super::*;

    struct Cgroup(PathBuf);

    impl Cgroup {
        fn new(name: &str) -> Self {
            let path = cgroup2_root()
                .expect("cgroup v2")
                .join(format!("pinif-{name}-{}", process::id()));
            fs::create_dir(&path).expect("a cgroup");
            Self(path)
        }
    }

    impl Drop for Cgroup {
        fn drop(&mut self) {
            let _ = fs::remove_dir(&self.0);
        }
    }

    fn inode(socket: &UdpSocket) -> u64 {
        nix::sys::stat::fstat(socket).expect("fstat").st_ino
    }

    #[test]
    fn a_process_is_known_by_its_number_and_its_start() {
        let own = process::id();
        let stat = procfs::process::Process::myself().and_then(|myself| myself.stat());
        let tick = 1_000_000_000 / procfs::ticks_per_second();
        let started = stat.expect("this process").starttime * tick;
        for started in [0, started, started + tick - 1] {
            let found = describe_if(own, started).map(|process| process.pid);
            assert_eq!(found, Some(own), "{started}");
            assert!(name_of(own, started).is_some(), "{started}");
        }
        for another in [1, started - 1, started + tick] {
            assert_eq!(describe_if(own, another), None, "{another}");
            assert_eq!(name_of(own, another), None, "{another}");
        }
    }

    #[test]
    fn this_process_is_described() {
        let own = describe(process::id()).expect("this process");
        let exe = std::env::current_exe().expect("an executable");
        assert_eq!(own.pid, process::id());
        assert_eq!(own.exe.as_deref(), exe.to_str());
        assert_eq!(own.uid, nix::unistd::geteuid().as_raw());
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
    fn a_process_that_is_gone_is_none() {
        let mut child = Command::new("true")
            .stdout(Stdio::null())
            .spawn()
            .expect("true");
        let pid = child.id();
        child.wait().expect("wait");
        assert_eq!(describe(pid), None);
        assert!(sockets_of(pid).is_empty());
        assert_eq!(describe(u32::MAX), None);
    }

    #[test]
    fn the_holder_of_a_socket_is_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let inode = inode(&socket);
        assert!(sockets_of(process::id()).contains(&inode));
        let found = holders(&HashSet::from([inode]));
        assert_eq!(found, HashMap::from([(inode, vec![process::id()])]));
        drop(socket);
        assert!(!sockets_of(process::id()).contains(&inode));
        assert!(holders(&HashSet::from([inode])).is_empty());
    }

    #[test]
    fn a_cgroup_is_found_by_its_id_and_by_its_path() {
        let cgroup = Cgroup::new("id");
        let root = cgroup2_root().expect("cgroup v2");
        let below = cgroup.0.strip_prefix(&root).expect("below the root");
        let path = format!("/{}", below.display());
        let id = cgroup_id(&cgroup.0).expect("an id");
        assert_eq!(cgroup_id(Path::new(&path)).expect("an id"), id);
        assert_eq!(cgroup_path(id).as_deref(), Some(path.as_str()));
        assert_eq!(walk(&root, id).as_deref(), Some(cgroup.0.as_path()));
        assert_eq!(
            cgroup_path(cgroup_id(&root).expect("the root's")).as_deref(),
            Some("/")
        );
        drop(cgroup);
        assert_eq!(cgroup_path(id), None);
        assert!(cgroup_id(Path::new(&path)).is_err());
    }
}
