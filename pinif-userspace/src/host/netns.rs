//! A network namespace: how to open it, what identifies it, and how to do something inside it.

pub(crate) mod cookie;
pub(super) mod names;

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    panic,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
    sys::{
        stat::{fstat, stat},
        statfs::{NSFS_MAGIC, fstatfs},
    },
    unistd::geteuid,
};
use pinif_ebpf::key::NetNsCookie;

pub use names::container_of;

use names::{NAMED, name_of, names};

use crate::text::{shell, words::those_there};

pub use names::{HOST, anonymous};

/// The calling thread's own namespace.
const OWN: &str = "/proc/thread-self/ns/net";
/// A network namespace, held open: it lives as long as this does.
#[derive(Clone, Debug)]
pub struct NetNs {
    /// What a person calls it: its name in /run/netns, `host` for the first process's, the beginning of its container's id,
    /// or `net:[INODE]`.
    pub name: String,
    /// Its inode, as in `readlink /proc/PID/ns/net`. It may be used again after the namespace is gone.
    pub inode: u64,
    /// Its cookie (`net->net_cookie`), unique until the next boot; its inode's number where the kernel gives no cookies.
    pub cookie: NetNsCookie,
    file: Arc<OwnedFd>,
}

/// Why a network namespace cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NetNsError {
    /// Neither a name, nor a path, nor a process.
    #[error("{}", unknown(name, known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// There is no such process.
    #[error("there is no process {0}, so it has no network namespace")]
    NoProcess(String),
    /// The file is there, but it is no network namespace.
    #[error(
        "`{}` is no network namespace; if it is left of one, remove it with `ip netns delete` and make it anew",
        .0.display()
    )]
    NotANamespace(PathBuf),
    /// The kernel forbids it.
    #[error("cannot use the network namespace `{name}`: this needs root (CAP_SYS_ADMIN)")]
    Denied {
        /// What was asked for.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel forbids to look into a process (ptrace(2), `PTRACE_MODE_READ_FSCREDS`): it is another user's, or runs in a user namespace that is
    /// not below one's own, or must not be traced.
    #[error(
        "process {process} may not be asked for its network namespace (ptrace(2)): this needs CAP_SYS_PTRACE in the user namespace of that \
         process, which `sudo` on the host has, and a container or a service may lack; `pinif doctor` lists what pinif lacks"
    )]
    Untraceable {
        /// The process.
        process: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else that the kernel said.
    #[error("cannot use the network namespace `{name}`")]
    Other {
        /// What was asked for.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
}

fn unknown(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        format!(
            "there is no network namespace `{name}`, nor any other with a name; make it with `ip netns add {}`",
            shell::word(name)
        )
    } else {
        let known = those_there(known);
        format!(
            "there is no network namespace `{name}`; `ip netns list` shows those that there are: {known}"
        )
    }
}

impl NetNs {
    /// The calling thread's own namespace.
    ///
    /// # Errors
    /// Where /proc is not mounted.
    pub fn current() -> Result<Self, NetNsError> {
        Self::open(Path::new(OWN), "of this process")
    }

    /// The namespace that a person means: a name in /run/netns, a path if there is a slash in it, a process's if it is
    /// a number, and the first process's if it is `host`.
    ///
    /// # Errors
    /// Where there is none, or it may not be entered.
    pub fn named(name: &str) -> Result<Self, NetNsError> {
        if name.contains('/') {
            return Self::open(Path::new(name), name);
        }
        let path = Path::new(NAMED).join(name);
        if !name.is_empty() && name != "." && name != ".." && path.exists() {
            return Self::open(&path, name);
        }
        if let Ok(pid) = name.parse::<u32>() {
            return match Self::open(Path::new(&format!("/proc/{pid}/ns/net")), name) {
                Err(NetNsError::Unknown { name, .. }) => Err(NetNsError::NoProcess(name)),
                // What may not be entered is refused by another error (setns(2), EPERM).
                Err(NetNsError::Denied { name, source })
                    if source.raw_os_error() == Some(libc::EACCES) && geteuid().is_root() =>
                {
                    Err(NetNsError::Untraceable {
                        process: name,
                        source,
                    })
                }
                result => result,
            };
        }
        if name == HOST {
            return Self::host();
        }
        Err(NetNsError::Unknown {
            name: name.to_owned(),
            known: names(),
        })
    }

    /// Does something inside the namespace, on a thread of its own: a thread that entered a namespace is never used
    /// for anything else. Sockets that it makes belong to the namespace for ever.
    ///
    /// # Errors
    /// Where the thread cannot be made or may not enter (setns(2): CAP_SYS_ADMIN).
    ///
    /// # Panics
    /// Where `inside` does.
    pub fn run<R: Send>(&self, inside: impl FnOnce() -> R + Send) -> io::Result<R> {
        run_in(&self.file, inside)
    }

    /// The same in the calling thread, which is back in its own namespace then: no thread is made and waited for, which is two threads'
    /// wake-ups. So it is for what is done again and again. Where the way back is not open, or not certain, it is [`Self::run`].
    ///
    /// # Errors
    /// Where it may not be entered. The thread is in its own namespace, unless the kernel breaks its word.
    ///
    /// # Panics
    /// Where `inside` does.
    pub fn visit<R: Send>(&self, inside: impl FnOnce() -> R + Send) -> io::Result<R> {
        let own = File::open(OWN)?;
        // A namespace of a user namespace above one's own takes nobody back (setns(2)): that is tried while nothing depends on it.
        if setns(&own, CloneFlags::CLONE_NEWNET).is_err() {
            return self.run(inside);
        }
        setns(&self.file, CloneFlags::CLONE_NEWNET)?;
        let outcome = panic::catch_unwind(panic::AssertUnwindSafe(inside));
        // What was allowed a moment ago is; it may lack memory.
        while let Err(error) = setns(&own, CloneFlags::CLONE_NEWNET) {
            if error != Errno::ENOMEM {
                return Err(error.into());
            }
            thread::yield_now();
        }
        outcome.or_else(|panic| panic::resume_unwind(panic))
    }

    /// Its descriptor, as setns(2) takes it.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn host() -> Result<Self, NetNsError> {
        let first = Self::open(Path::new("/proc/1/ns/net"), HOST);
        // The first process may be out of our reach (ptrace(2), PTRACE_MODE_READ), the namespace is not.
        match Self::current() {
            Ok(own) if first.is_err() && own.name == HOST => Ok(own),
            _ => first,
        }
    }

    /// The namespace that a path leads to, by the name that the caller knows.
    pub(super) fn at(path: &Path, name: String) -> Result<Self, NetNsError> {
        let mut netns = Self::open_unnamed(path, &name)?;
        netns.name = name;
        Ok(netns)
    }

    fn open(path: &Path, asked: &str) -> Result<Self, NetNsError> {
        let mut netns = Self::open_unnamed(path, asked)?;
        netns.name = name_of(&netns.file, path).unwrap_or_else(|| anonymous(netns.inode));
        Ok(netns)
    }

    fn open_unnamed(path: &Path, asked: &str) -> Result<Self, NetNsError> {
        let failed = |source: io::Error| {
            let name = asked.to_owned();
            match source.kind() {
                io::ErrorKind::NotFound => NetNsError::Unknown {
                    name,
                    known: names(),
                },
                io::ErrorKind::PermissionDenied => NetNsError::Denied { name, source },
                _ => NetNsError::Other { name, source },
            }
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let kind = fstatfs(&file)
            .map_err(|errno| failed(errno.into()))?
            .filesystem_type();
        if kind != NSFS_MAGIC {
            return Err(NetNsError::NotANamespace(path.to_owned()));
        }
        let file = OwnedFd::from(file);
        let cookie = match run_in(&file, cookie::of_thread).and_then(|cookie| cookie) {
            // setns(2): a namespace of another kind.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                return Err(NetNsError::NotANamespace(path.to_owned()));
            }
            result => result.map_err(failed)?,
        };
        let inode = metadata.ino();
        Ok(Self {
            name: String::new(),
            inode,
            cookie,
            file: Arc::new(file),
        })
    }
}

impl PartialEq for NetNs {
    fn eq(&self, other: &Self) -> bool {
        self.cookie == other.cookie
    }
}

impl Eq for NetNs {}

fn run_in<R: Send>(namespace: &OwnedFd, inside: impl FnOnce() -> R + Send) -> io::Result<R> {
    if is_own(namespace).unwrap_or_default() {
        return Ok(inside());
    }
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("netns".to_owned());
        let thread = builder.spawn_scoped(scope, || {
            enter(namespace)?;
            Ok(inside())
        })?;
        thread
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

/// Moves the calling thread. To stay where one is wants no privilege, though setns(2) does.
fn enter(namespace: &OwnedFd) -> io::Result<()> {
    let Err(denied) = setns(namespace, CloneFlags::CLONE_NEWNET) else {
        return Ok(());
    };
    if is_own(namespace)? {
        Ok(())
    } else {
        Err(denied.into())
    }
}

/// Whether the calling thread is in it.
fn is_own(namespace: &OwnedFd) -> io::Result<bool> {
    let (own, wanted) = (stat(OWN)?, fstat(namespace)?);
    Ok((own.st_dev, own.st_ino) == (wanted.st_dev, wanted.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_shown_with_those_that_exist() {
        let error = NetNs::named("pinif-no-such-namespace").expect_err("there is none");
        let NetNsError::Unknown { name, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(name, "pinif-no-such-namespace");
        let known = ["blue".to_owned(), "red".to_owned()];
        assert_eq!(
            unknown("green", &known),
            "there is no network namespace `green`; `ip netns list` shows those that there are: blue, red"
        );
        assert_eq!(
            unknown("green", &[]),
            "there is no network namespace `green`, nor any other with a name; make it with `ip netns add green`"
        );
    }

    #[test]
    fn a_file_of_another_kind_is_no_namespace() {
        for path in ["/proc/self/status", "/", "/proc/self/ns/mnt"] {
            let error = NetNs::named(path).expect_err(path);
            assert!(
                matches!(&error, NetNsError::NotANamespace(p) if p == Path::new(path)),
                "{error}"
            );
        }
    }

    #[test]
    fn a_missing_process_and_odd_names_are_errors() {
        assert!(matches!(
            NetNs::named("4294967294"),
            Err(NetNsError::NoProcess(_))
        ));
        for name in ["", ".", "..", "/no/such/path"] {
            assert!(
                matches!(NetNs::named(name), Err(NetNsError::Unknown { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn one_namespace_has_one_identity_by_any_way() {
        let current = NetNs::current().expect("current");
        let by_pid = NetNs::named(&std::process::id().to_string()).expect("by process");
        assert_eq!(
            (by_pid.inode, by_pid.cookie, &by_pid.name),
            (current.inode, current.cookie, &current.name)
        );
        assert_ne!(current.cookie.0, 0);
        let inside = current
            .run(|| NetNs::current().map(|netns| netns.cookie))
            .expect("run")
            .expect("current");
        assert_eq!(inside, current.cookie);
    }
}
