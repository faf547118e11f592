//! The journal's own protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): an entry is a set of fields in one datagram, or in a
//! sealed memory file, which is passed where they are too much for one (sd_journal_send(3)).
//!
//! The crates that speak it wait without a limit where the journal does not read, and know no other socket than the system's. So the
//! little that it takes is here.

use std::{
    io::{self, IoSlice, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::net::UnixDatagram,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The journal's socket (systemd-journald.service(8)).
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// An entry that is being written.
#[derive(Debug, Default)]
pub struct Entry(Vec<u8>);

impl Entry {
    /// With one field more. The name has upper case letters, digits and `_`, as the journal wants it.
    ///
    /// The value's length is written before it, so that no value begins another field, whatever is in it.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.extend(name.as_bytes());
        self.0.push(b'\n');
        self.0.extend((value.len() as u64).to_le_bytes());
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
        self
    }
}

/// The journal that listens at a socket.
#[derive(Debug)]
pub struct Native {
    path: PathBuf,
    /// Made when it is first used.
    socket: Option<UnixDatagram>,
    /// How long an entry waits for room in the journal's queue.
    patience: Duration,
    /// The last entry found no room: the next one does not wait for it.
    is_full: bool,
    lost: u64,
    /// Those of the lost that no entry has reported.
    unreported: u64,
}

impl Native {
    /// The one that listens at this path. An entry waits so long where the journal's queue is full, and the next one not at all.
    pub fn at(path: &Path, patience: Duration) -> Self {
        Self {
            path: path.to_owned(),
            socket: None,
            patience,
            is_full: false,
            lost: 0,
            unreported: 0,
        }
    }

    /// Whether somebody listens there: an empty entry, which the journal drops.
    ///
    /// # Errors
    ///
    /// Where nobody does.
    pub fn try_out(&mut self) -> io::Result<()> {
        match self.send(&Entry::default()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            tried => tried.map_err(|error| {
                let path = self.path.display();
                let why = format!("no journal takes entries at {path} ({error}); name its socket with --journal=SOCKET");
                io::Error::new(error.kind(), why)
            }),
        }
    }

    /// Writes an entry. One that is written after others were lost follows an entry that `gap` makes of their number.
    ///
    /// # Errors
    ///
    /// Where it cannot be written; then it is not counted as lost yet ([`lose`](Self::lose)).
    pub fn write(&mut self, entry: &Entry, gap: impl FnOnce(u64) -> Entry) -> io::Result<()> {
        if self.unreported > 0 {
            self.send(&gap(self.unreported))?;
            self.unreported = 0;
        }
        self.send(entry)
    }

    /// Counts an entry as lost, and says whether it is the first since one was written.
    pub fn lose(&mut self) -> bool {
        self.lost += 1;
        self.unreported += 1;
        self.unreported == 1
    }

    /// How many entries are lost by now.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn send(&mut self, entry: &Entry) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(self.patience))?;
                socket
            }
        };
        let sent = send_to(&socket, &self.path, entry);
        let is_full = matches!(&sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if is_full != self.is_full {
            socket.set_nonblocking(is_full)?;
            self.is_full = is_full;
        }
        self.socket = Some(socket);
        sent
    }
}

fn send_to(socket: &UnixDatagram, path: &Path, Entry(fields): &Entry) -> io::Result<()> {
    match socket.send_to(fields, path) {
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => pass_to(socket, path, fields),
        sent => sent.map(|_| ()),
    }
}

/// Passes the fields in a memory file. The journal takes one only where nobody can change it any more.
fn pass_to(socket: &UnixDatagram, path: &Path, fields: &[u8]) -> io::Result<()> {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let mut file = std::fs::File::from(memfd_create("pinif-journal-entry", flags)?);
    file.write_all(fields)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    let files = [file.as_fd().as_raw_fd()];
    sendmsg(
        socket.as_raw_fd(),
        &[] as &[IoSlice<'_>; 0],
        &[ControlMessage::ScmRights(&files)],
        MsgFlags::MSG_NOSIGNAL,
        Some(&UnixAddr::new(path)?),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{IoSliceMut, Read as _, Seek as _};
    use std::os::fd::{FromRawFd as _, OwnedFd};

    use nix::sys::socket::{ControlMessageOwned, recvmsg};

    use super::*;

    fn entry(value: &str) -> Entry {
        Entry::default().with("MESSAGE", value)
    }

    fn gap(lost: u64) -> Entry {
        entry(&format!("{lost} lost"))
    }

    fn journal() -> (tempfile::TempDir, PathBuf, UnixDatagram) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).expect("a socket");
        journal.set_nonblocking(true).expect("a socket");
        (folder, path, journal)
    }

    /// All that waits in the journal's queue.
    fn received(journal: &UnixDatagram) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 1 << 20];
        let mut all = Vec::new();
        while let Ok(length) = journal.recv(&mut buffer) {
            all.push(buffer[..length].to_vec());
        }
        all
    }

    #[test]
    fn the_length_of_a_value_stands_before_it() {
        let Entry(fields) = Entry::default().with("FOO", "BAR\nPRIORITY=0");
        assert_eq!(fields, b"FOO\n\x0e\0\0\0\0\0\0\0BAR\nPRIORITY=0\n");
    }

    #[test]
    fn what_a_full_queue_does_not_take_is_counted_and_reported() {
        let (_folder, path, journal) = journal();
        let mut native = Native::at(&path, Duration::from_millis(1));
        let mut taken = 0;
        while native.write(&entry("one"), gap).is_ok() {
            taken += 1;
        }
        assert!(native.lose());
        for _ in 0..4 {
            let error = native.write(&entry("two"), gap).expect_err("it is full");
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(!native.lose());
        }
        assert_eq!(received(&journal).len(), taken);
        native.write(&entry("three"), gap).expect("there is room");
        native.write(&entry("four"), gap).expect("there is room");
        let expected = ["5 lost", "three", "four"].map(|value| entry(value).0);
        assert_eq!(received(&journal), expected);
        assert_eq!(native.lost(), 5);
    }

    #[test]
    fn a_large_entry_is_passed_as_a_sealed_file() {
        let (_folder, path, journal) = journal();
        let mut native = Native::at(&path, Duration::from_secs(1));
        let large = entry(&"a".repeat(1 << 22));
        native.write(&large, gap).expect("it is passed");
        let mut space = nix::cmsg_space!(OwnedFd);
        let mut buffer = [0; 8];
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(journal.as_raw_fd(), &mut slices, Some(&mut space), flags)
            .expect("a message");
        assert_eq!(message.bytes, 0);
        let mut messages = message.cmsgs().expect("it is whole");
        let Some(ControlMessageOwned::ScmRights(files)) = messages.next() else {
            panic!("no file");
        };
        let [file] = files.as_slice() else {
            panic!("{files:?}");
        };
        // SAFETY: the kernel has just made this descriptor, and nobody else has it.
        let mut file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(*file) });
        let seals = rustix::fs::fcntl_get_seals(&file).expect("a memory file");
        let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        assert_eq!(seals, all);
        let mut fields = Vec::new();
        file.rewind().expect("a file");
        file.read_to_end(&mut fields).expect("it can be read");
        assert!(fields == large.0);
    }

    #[test]
    fn nobody_who_listens_is_an_error_at_once() {
        let (folder, path, journal) = journal();
        let mut native = Native::at(&path, Duration::from_secs(60));
        native.try_out().expect("it listens");
        assert_eq!(received(&journal), [Vec::<u8>::new()]);
        drop(journal);
        let refused = native.try_out().expect_err("it is gone");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        drop(folder);
        let none = native.try_out().expect_err("it is gone");
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
    }
}
