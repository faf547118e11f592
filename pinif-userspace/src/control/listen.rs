//! Where the auditor listens: a socket of its own, that takes no other auditor's place.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::place::{self, Peer};
use crate::{host::users, text::escape::visible_path};

/// The group that may ask.
const GROUP: &str = "pinif";
/// How often another is tried to be moved out of the way.
const ATTEMPTS: usize = 5;

/// A socket at which nobody answers yet. It goes when this is dropped.
#[derive(Debug)]
pub struct Listening {
    path: PathBuf,
    listener: Option<UnixListener>,
    /// What it is, so that no other's is removed.
    inode: Option<(u64, u64)>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Another auditor listens there.
    #[error(
        "another auditor{} listens at {}; choose another path with --socket, or none with --no-socket", .holder.map_or_else(String::new, |pid| format!(" (pid {pid})")), visible_path(.path)
    )]
    Taken {
        /// Where.
        path: PathBuf,
        /// Its process.
        holder: Option<u32>,
    },
    /// There is something else.
    #[error("{} is no socket; choose another path with --socket", visible_path(.0))]
    NoSocket(PathBuf),
    /// It cannot be made.
    #[error("the control socket {} cannot be made: {error}", visible_path(.path))]
    Impossible {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others may put another socket in its place.
    #[error("{} is not root's alone", visible_path(.0))]
    Exposed(PathBuf),
}

impl Listening {
    /// At this path.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    pub fn at(path: &Path) -> Result<Self, Refusal> {
        let impossible = |error| Refusal::Impossible {
            path: path.to_owned(),
            error,
        };
        let made = aside(path);
        // Nobody else's: the name has this process's number.
        let _ = fs::remove_file(&made);
        let listener = UnixListener::bind(&made).map_err(impossible)?;
        let outcome = admit(&made)
            .and_then(|()| listener.set_nonblocking(true))
            .and_then(|()| fs::symlink_metadata(&made))
            .map_err(impossible)
            .and_then(|metadata| {
                put(&made, path)?;
                Ok(Self {
                    path: path.to_owned(),
                    listener: Some(listener),
                    inode: Some((metadata.dev(), metadata.ino())),
                })
            });
        if outcome.is_err() {
            let _ = fs::remove_file(&made);
        }
        outcome
    }

    /// Where it is when nobody says: in the one directory where clients look. A service has the name that clients look for first.
    /// Where another has it, and for all others, the name has the process's number.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    pub fn by_default(is_service: bool) -> Result<Self, Refusal> {
        let directory = Path::new(place::DIRECTORY);
        prepare(directory)?;
        sweep(directory);
        if is_service {
            match Self::at(&place::of_service()) {
                Err(Refusal::Taken { .. }) => {}
                outcome => return outcome,
            }
        }
        Self::at(&place::of_process(std::process::id()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket itself, once.
    pub(crate) fn take(&mut self) -> io::Result<UnixListener> {
        let taken = self.listener.take();
        taken.ok_or_else(|| io::ErrorKind::AlreadyExists.into())
    }

    /// Takes its name away, unless another has it by now.
    pub(super) fn unlink(&mut self) {
        let is = |path: &Path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()));
        if let Some(inode) = self.inode.take()
            && is(&self.path).is_ok_and(|found| found == inode)
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.unlink();
    }
}

/// A name beside a path that is this process's alone.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

/// Lets the group of the directory, or the group that may ask, write to a socket. What the directory says counts first (its
/// set-group-ID bit has given the socket its group).
fn admit(socket: &Path) -> io::Result<()> {
    if fs::symlink_metadata(socket)?.gid() == 0
        && let Some(group) = users::group_named(GROUP)
    {
        // Without CAP_CHOWN it stays root's, which is less than was wanted and no more.
        let _ = chown(socket, None, Some(group));
    }
    fs::set_permissions(socket, Permissions::from_mode(0o660))
}

/// Puts a socket at its path, in the place of one at which nobody listens.
fn put(made: &Path, path: &Path) -> Result<(), Refusal> {
    let impossible = |error: io::Error| Refusal::Impossible {
        path: path.to_owned(),
        error,
    };
    for _ in 0..ATTEMPTS {
        match renameat_with(CWD, made, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(error) if error == rustix::io::Errno::EXIST => make_way(path)?,
            Err(error) => return Err(impossible(error.into())),
        }
    }
    Err(impossible(io::ErrorKind::AlreadyExists.into()))
}

/// Removes a socket at which nobody listens. It is moved away before it is looked at for the last time: another auditor may have
/// put its own there in the meantime, which goes back to its place.
fn make_way(path: &Path) -> Result<(), Refusal> {
    if let Some(refusal) = occupied(path, path) {
        return Err(refusal);
    }
    let mut taken = aside(path).into_os_string();
    taken.push(".old");
    let taken = PathBuf::from(taken);
    if fs::rename(path, &taken).is_err() {
        // It has gone.
        return Ok(());
    }
    match occupied(&taken, path) {
        None => {
            let _ = fs::remove_file(&taken);
            Ok(())
        }
        Some(refusal) => {
            let _ = renameat_with(CWD, &taken, CWD, path, RenameFlags::NOREPLACE);
            Err(refusal)
        }
    }
}

/// Why what is `at` a place may not be removed.
fn occupied(at: &Path, path: &Path) -> Option<Refusal> {
    let metadata = fs::symlink_metadata(at).ok()?;
    if !metadata.file_type().is_socket() {
        return Some(Refusal::NoSocket(path.to_owned()));
    }
    match place::peer(at) {
        Peer::None => None,
        Peer::Listens(holder) => Some(Refusal::Taken {
            path: path.to_owned(),
            holder,
        }),
        Peer::Unknown(error) => Some(Refusal::Impossible {
            path: path.to_owned(),
            error,
        }),
    }
}

/// The directory of all auditors' sockets: root's, and the group may look into it. Sockets in it have its group.
fn prepare(directory: &Path) -> Result<(), Refusal> {
    let impossible = |error| Refusal::Impossible {
        path: directory.to_owned(),
        error,
    };
    match DirBuilder::new().mode(0o750).create(directory) {
        Ok(()) => {
            if let Some(group) = users::group_named(GROUP) {
                let set = chown(directory, None, Some(group));
                let mode = Permissions::from_mode(0o2750);
                set.and_then(|()| fs::set_permissions(directory, mode))
                    .map_err(impossible)?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(impossible(error)),
    }
    let metadata = fs::symlink_metadata(directory).map_err(impossible)?;
    let is_own = metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & 0o022 == 0;
    if is_own {
        Ok(())
    } else {
        Err(Refusal::Exposed(directory.to_owned()))
    }
}

/// Removes what auditors have left that were killed.
fn sweep(directory: &Path) {
    for path in place::all(directory) {
        if place::is_of_process(&path) {
            // Where it is another's, or cannot be removed, it stays.
            let _ = make_way(&path);
        }
    }
}
