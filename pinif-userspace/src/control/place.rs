//! Where auditors listen, and where clients look for them.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};

/// The directory of all auditors' sockets.
pub const DIRECTORY: &str = "/run/pinif";
const SERVICE: &str = "pinif.sock";
const PREFIX: &str = "pinif-";
const SUFFIX: &str = ".sock";

/// Where the service listens.
pub fn of_service() -> PathBuf {
    Path::new(DIRECTORY).join(SERVICE)
}

/// Where another auditor does, by its process's number.
pub(super) fn of_process(pid: u32) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{PREFIX}{pid}{SUFFIX}"))
}

/// Whether a path is of an auditor that is no service.
pub(super) fn is_of_process(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    let number = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// All sockets of a directory: the service's first, then those of others.
pub(super) fn all(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut all: Vec<_> = paths
        .filter(|path| path.file_name() == Some(OsStr::new(SERVICE)) || is_of_process(path))
        .collect();
    all.sort_by_key(|path| (is_of_process(path), path.clone()));
    all
}

/// Who is at a socket.
#[derive(Debug)]
pub(super) enum Peer {
    /// Nobody: it was left behind.
    None,
    /// Somebody listens: this process, where that is known.
    Listens(Option<u32>),
    /// That cannot be found out.
    Unknown(io::Error),
}

/// Looks who is at a socket, without waiting.
pub(super) fn peer(path: &Path) -> Peer {
    match connect(path) {
        Ok(socket) => Peer::Listens(holder(&socket)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            // It has more callers than it takes.
            Peer::Listens(None)
        }
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Peer::None,
            _ => Peer::Unknown(error),
        },
    }
}

fn connect(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

/// The process that listens (`SO_PEERCRED` of unix(7)).
fn holder(socket: &Socket) -> Option<u32> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    let credentials = getsockopt(socket, PeerCredentials).ok()?;
    u32::try_from(credentials.pid())
        .ok()
        .filter(|pid| *pid != 0)
}
