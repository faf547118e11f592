//! What stands for the journal: a socket that entries come to.

use std::{
    collections::BTreeMap,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

/// An entry's fields.
pub type Fields = BTreeMap<String, String>;

/// A socket where the journal's would be.
pub struct Listener {
    _folder: TempDir,
    path: PathBuf,
    socket: UnixDatagram,
}

impl Listener {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let limit = Some(pinif_lab::patience(Duration::from_secs(60)));
        socket.set_read_timeout(limit).expect("a socket");
        Self {
            _folder: folder,
            path,
            socket,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The option that has pinif write here.
    pub fn option(&self) -> String {
        format!("--journal={}", self.path.display())
    }

    /// The next entry.
    pub fn next(&self) -> Fields {
        let mut buffer = vec![0; 1 << 18];
        loop {
            let length = self.socket.recv(&mut buffer).expect("an entry");
            // An empty one asks whether somebody listens.
            if length > 0 {
                return fields(&buffer[..length]);
            }
        }
    }

    /// All entries that came.
    pub fn rest(&self) -> Vec<Fields> {
        self.socket.set_nonblocking(true).expect("a socket");
        let mut buffer = vec![0; 1 << 18];
        let mut all = Vec::new();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            all.extend((length > 0).then(|| fields(&buffer[..length])));
        }
        self.socket.set_nonblocking(false).expect("a socket");
        all
    }
}

/// What the journal takes of a datagram, where each field has its length: nothing else may be in it.
fn fields(mut datagram: &[u8]) -> Fields {
    let mut fields = Fields::new();
    while !datagram.is_empty() {
        let mut parts = datagram.splitn(2, |byte| *byte == b'\n');
        let (name, rest) = (parts.next(), parts.next().expect("a value"));
        let (length, rest) = rest.split_first_chunk().expect("a length");
        let length = usize::try_from(u64::from_le_bytes(*length)).expect("a length");
        let (value, rest) = rest.split_at(length);
        datagram = rest.strip_prefix(b"\n").expect("an end");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let before = fields.insert(text(name.expect("a name")), text(value));
        assert_eq!(before, None, "twice");
    }
    fields
}
