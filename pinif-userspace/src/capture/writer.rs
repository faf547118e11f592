//! The thread that writes: what it has no room for is counted, and never waited for.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use super::{
    file::{CaptureFile, Outcome},
    packet::Packet,
};

/// How many packets wait where the disk is slow.
const WAITING: usize = 1_024;
/// How long the end waits for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureState {
    /// The file.
    pub path: PathBuf,
    /// How many packets this run has written.
    pub packets: u64,
    /// How many bytes the file has.
    pub bytes: u64,
    /// How many packets there was no room for.
    pub not_captured: u64,
    /// Why nothing is written any more; none where it is.
    pub stopped: Option<Stop>,
}

/// Why nothing is written any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The file has as many bytes as it may.
    Full,
    /// It cannot be written: why, with its name.
    Failed(String),
}

/// Has packets written, by a thread of its own.
#[derive(Debug)]
pub struct Writer {
    packets: SyncSender<Packet>,
    state: Arc<Mutex<CaptureState>>,
    /// Its other end is dropped when the thread ends.
    ended: Receiver<()>,
}

impl Writer {
    /// Begins. That it stops is said once, to `report`.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(
        file: CaptureFile,
        report: impl FnOnce(&CaptureState) + Send + 'static,
    ) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(CaptureState {
            path: file.path().to_owned(),
            bytes: file.length(),
            ..CaptureState::default()
        }));
        let (packets, received) = sync_channel(WAITING);
        let (alive, ended) = channel();
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || {
                write_all(file, &received, &shared, report);
                drop(alive);
            })?;
        Ok(Self {
            packets,
            state,
            ended,
        })
    }

    /// Has a packet written, or counts that there is no room for it.
    pub fn push(&self, packet: Packet) {
        if self.packets.try_send(packet).is_err() {
            lock(&self.state).not_captured += 1;
        }
    }

    /// How it stands.
    pub fn state(&self) -> CaptureState {
        lock(&self.state).clone()
    }

    /// Waits until all is written, but not for ever.
    pub fn end(self) {
        let Self { packets, ended, .. } = self;
        drop(packets);
        // What ends it is that the other end is gone.
        let _ = ended.recv_timeout(PATIENCE);
    }
}

/// Writes what comes until nothing can come any more. Behind the first packet that is not written, none is: a part of the flow would look like
/// all of it.
fn write_all(
    mut file: CaptureFile,
    packets: &Receiver<Packet>,
    state: &Mutex<CaptureState>,
    report: impl FnOnce(&CaptureState),
) {
    let stop = packets.iter().find_map(|packet| {
        let outcome = file.write(&packet);
        let mut state = lock(state);
        state.bytes = file.length();
        let stop = match outcome {
            Ok(Outcome::Written) => {
                state.packets += 1;
                return None;
            }
            Ok(Outcome::Full) => Stop::Full,
            Err(error) => Stop::Failed(format!("{error:#}")),
        };
        state.not_captured += 1;
        Some(stop)
    });
    if stop.is_none() {
        return;
    }
    let stopped = {
        let mut state = lock(state);
        state.stopped = stop;
        state.clone()
    };
    report(&stopped);
    for _ in packets {
        lock(state).not_captured += 1;
    }
}

fn lock(state: &Mutex<CaptureState>) -> MutexGuard<'_, CaptureState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt as _, symlink},
        path::Path,
    };

    use pcap_file::pcapng::{Block, PcapNgReader};
    use tempfile::tempdir;

    use super::*;
    use crate::capture::{SnapLength, comment::tests::packet, file::LEAST_SIZE};

    fn open(path: &Path) -> anyhow::Result<CaptureFile> {
        CaptureFile::open(path, LEAST_SIZE, SnapLength::Headers)
    }

    /// How many sections, interfaces and packets a file has, all of which can be read.
    fn blocks(path: &Path) -> [usize; 3] {
        let bytes = fs::read(path).expect("a file");
        let mut reader = PcapNgReader::new(&*bytes).expect("a section");
        let mut blocks = [1, 0, 0];
        while let Some(block) = reader.next_block() {
            match block.expect("a whole block") {
                Block::SectionHeader(_) => blocks[0] += 1,
                Block::InterfaceDescription(_) => blocks[1] += 1,
                Block::EnhancedPacket(_) => blocks[2] += 1,
                other => panic!("{other:?}"),
            }
        }
        blocks
    }

    #[test]
    fn a_full_file_is_said_once_and_what_comes_then_is_counted() {
        let directory = tempdir().expect("a directory");
        let path = directory.path().join("full.pcapng");
        let (reports, reported) = channel();
        let writer = Writer::start(open(&path).expect("a file"), move |state| {
            reports.send(state.clone()).expect("somebody listens");
        })
        .expect("a thread");
        for _ in 0..1_000 {
            writer.push(packet());
        }
        let stopped = reported.recv().expect("it is full");
        assert_eq!(stopped.stopped, Some(Stop::Full));
        let state = Arc::clone(&writer.state);
        writer.end();
        let state = lock(&state).clone();
        assert_eq!(state.packets + state.not_captured, 1_000);
        assert!(state.packets > 100 && state.not_captured > 0, "{state:?}");
        let length = fs::metadata(&path).expect("a file").len();
        assert!(state.bytes == length && length <= LEAST_SIZE, "{state:?}");
        assert_eq!(blocks(&path), [1, 1, state.packets as usize]);
        assert!(reported.recv().is_err(), "once");
    }

    #[test]
    fn a_file_that_is_there_is_continued_behind_its_last_whole_block() {
        let directory = tempdir().expect("a directory");
        let path = directory.path().join("again.pcapng");
        let write = || {
            open(&path)
                .expect("a file")
                .write(&packet())
                .expect("written")
        };
        assert_eq!(write(), Outcome::Written);
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let whole = fs::read(&path).expect("a file");
        let cut = &whole[..whole.len() - 5];
        fs::write(&path, [&whole, &cut[28..]].concat()).expect("written");
        assert_eq!(write(), Outcome::Written);
        // A section begins anew, with an interface of its own; of the packet that was cut off, its interface stays.
        assert_eq!(blocks(&path)[0], 2);
        assert_eq!(blocks(&path)[2], 2);
    }

    #[test]
    fn what_is_no_capture_of_ones_own_is_not_written() {
        let directory = tempdir().expect("a directory");
        let refused = |path: &Path| format!("{:#}", open(path).expect_err("refused"));
        let text = directory.path().join("notes.txt");
        fs::write(&text, "what I must not forget, in some words\n").expect("written");
        fs::set_permissions(&text, Permissions::from_mode(0o600)).expect("mine alone");
        assert!(refused(&text).contains("no capture of this machine's"));
        assert_eq!(fs::read(&text).expect("a file").len(), 38, "as it was");
        let link = directory.path().join("link.pcapng");
        symlink(directory.path().join("elsewhere"), &link).expect("a link");
        assert!(refused(&link).contains("no regular file"));
        let open_to_all = directory.path().join("all.pcapng");
        drop(open(&open_to_all).expect("a file"));
        fs::set_permissions(&open_to_all, Permissions::from_mode(0o644)).expect("all may read");
        assert!(refused(&open_to_all).contains("others own it or may open it"));
        let held = directory.path().join("held.pcapng");
        let _holds = open(&held).expect("a file");
        assert!(refused(&held).contains("another auditor writes it"));
        assert!(refused(&directory.path().join("no/directory")).contains("it cannot be made"));
    }
}
