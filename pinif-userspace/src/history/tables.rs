//! The tables of the file, and how it is opened.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::FileTypeExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use rustix::fs::{Access, AtFlags, CWD};

use crate::text::escape::visible_path;

/// Whose a file is, the version of its tables, and whether there is nothing in it yet.
type Described = (i32, i32, bool);

/// What says that a file of SQLite is a history: `PIHI` in the header's application id.
const APPLICATION: i32 = i32::from_be_bytes(*b"PIHI");
/// The version of the tables. It goes up with each change of them.
const VERSION: i32 = 2;
/// The oldest version that is known. A file of it is brought to this one where it is written.
const OLDEST: i32 = 1;
/// How long another process's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much the file beside it grows before its content is moved into the file (`-wal`), in pages of 4 KiB.
const LOG: u32 = 256;

const TABLES: &str = "
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    kept INTEGER NOT NULL, boot TEXT NOT NULL, since_boot INTEGER NOT NULL, wall INTEGER NOT NULL
) STRICT;
CREATE TABLE clock_set (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL, by INTEGER NOT NULL, kept INTEGER NOT NULL
) STRICT;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    boot TEXT NOT NULL, started_monotonic INTEGER NOT NULL,
    host TEXT, labels TEXT NOT NULL, version TEXT NOT NULL, run TEXT NOT NULL, runs INTEGER NOT NULL,
    started INTEGER NOT NULL, first_heard INTEGER NOT NULL, last_heard INTEGER NOT NULL, ended INTEGER NOT NULL,
    packets INTEGER NOT NULL, bytes INTEGER NOT NULL, dropped INTEGER NOT NULL, uncounted TEXT NOT NULL,
    kept INTEGER NOT NULL,
    UNIQUE (boot, started_monotonic)
) STRICT;
CREATE TABLE finding (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    audit INTEGER NOT NULL REFERENCES audit ON DELETE CASCADE,
    id TEXT NOT NULL, uid TEXT NOT NULL,
    first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
    packets INTEGER NOT NULL, bytes INTEGER NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL,
    recorded INTEGER NOT NULL, part_of TEXT, line TEXT NOT NULL,
    kept INTEGER NOT NULL,
    UNIQUE (audit, id)
) STRICT;
CREATE INDEX finding_by_uid ON finding (uid);
CREATE INDEX finding_by_kept ON finding (kept);
CREATE INDEX finding_by_last_seen ON finding (last_seen);
CREATE TABLE transition (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    finding INTEGER NOT NULL REFERENCES finding ON DELETE CASCADE,
    time INTEGER NOT NULL, change TEXT NOT NULL, state TEXT NOT NULL,
    packets INTEGER NOT NULL, bytes INTEGER NOT NULL,
    kept INTEGER NOT NULL
) STRICT;
CREATE INDEX transition_by_finding ON transition (finding);
CREATE INDEX transition_by_kept ON transition (kept);
";

/// What version 2 has besides: of each finding, which revision of it a collector has acknowledged, what it knew of it then (`known_`), and
/// what is being sent.
const EXPORT: &str = "
CREATE TABLE export (
    finding INTEGER PRIMARY KEY REFERENCES finding ON DELETE CASCADE,
    acknowledged INTEGER NOT NULL,
    known_state TEXT, known_recorded INTEGER, known_is_part INTEGER,
    revision INTEGER, state TEXT, recorded INTEGER, is_part INTEGER, record BLOB
) STRICT;
";

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("there is no history at {}; `pinif serve --history FILE` keeps one", visible_path(.0))]
    Missing(PathBuf),
    /// This user may not read it.
    #[error("the history {} may not be read; ask as root, or ask `pinif serve`: curl http://localhost:9759/v1/history", visible_path(.0))]
    Denied(PathBuf),
    /// It can be read only together with the file beside it, and nothing can be written there.
    #[error("not all of the history {} is in it: the rest is in its `-wal`, which is read where that folder may be written; copy both files into one of yours", visible_path(.0))]
    Apart(PathBuf),
    /// It was written while it was read, in a folder where that cannot be waited for.
    #[error("the history {} was written while it was read; ask again", visible_path(.0))]
    Written(PathBuf),
    /// It is no file.
    #[error("{} is {what}, and no file; name another with --history", visible_path(.path))]
    NoFile {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Its folder is not there.
    #[error("the folder of the history {} is not there; make it, or name another file with --history", visible_path(.0))]
    NoFolder(PathBuf),
    /// It may not be made or written.
    #[error("the history {} cannot be written ({error}); let this user write it and its folder, or name another file with --history", visible_path(.path))]
    Unwritable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// Another process keeps it.
    #[error("another process keeps the history {}; end that one, or name another file with --history", visible_path(.0))]
    Taken(PathBuf),
    /// It is something else.
    #[error("{} is no history of pinif's; name another file with --history", visible_path(.0))]
    Foreign(PathBuf),
    /// A newer pinif has made it.
    #[error(
        "the history {} was made by a newer pinif (version {found} of its tables; this pinif knows {VERSION}): use that one, or name another \
         file with --history", visible_path(.path)
    )]
    Newer {
        /// Where it is.
        path: PathBuf,
        /// The version of its tables.
        found: i32,
    },
    /// It is damaged.
    #[error("the history {} is damaged ({error}); move it away, and a new one is begun", visible_path(.path))]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// It cannot be read or written now.
    #[error("the history {}: {}", visible_path(.path), said(.error))]
    Failed {
        /// Where it is.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
}

impl StoreError {
    /// What an error of SQLite's means.
    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign(path),
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, error },
            Some(ErrorCode::PermissionDenied) => Self::Denied(path),
            _ => Self::Failed { path, error },
        }
    }

    /// Whether it may pass: what was to be written can be tried again.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Failed { error, .. } if !matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
        ))
    }

    /// Whether there is no room: on the disk, or in the file where it has its largest size.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Failed { error, .. } if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }
}

/// What is wrong, with what helps where that is known.
fn said(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "no space is left; free some on its disk".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds it".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Refuses whatever is no file, before it is opened: SQLite would wait for the other end of a FIFO.
///
/// It is not opened to look: a descriptor of this process's that is closed takes SQLite's locks with it (fcntl_locking(2)).
pub(super) fn is_file(path: &Path, found: &fs::Metadata) -> Result<(), StoreError> {
    let kind = found.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(StoreError::NoFile {
        path: path.to_owned(),
        what,
    })
}

/// Opens a history to write, and begins one where there is none.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => StoreError::Unwritable {
            path: path.to_owned(),
            error: error.to_string(),
        },
        _ => StoreError::of(path, error),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    match described(&connection).map_err(failed)? {
        (0, 0, true) => begin(&mut connection).map_err(failed)?,
        (APPLICATION, VERSION, _) => {}
        (APPLICATION, OLDEST..VERSION, _) => upgrade(&mut connection).map_err(failed)?,
        (APPLICATION, found, _) if found > VERSION => {
            return Err(StoreError::Newer {
                path: path.to_owned(),
                found,
            });
        }
        _ => return Err(StoreError::Foreign(path.to_owned())),
    }
    // What is written goes to a file beside it first, in one piece: a process that is killed, or a disk that is full, leaves all of a
    // transaction or nothing, and whoever reads sees the one before.
    let set = format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = {LOG}; \
         PRAGMA journal_size_limit = {}; PRAGMA foreign_keys = ON;",
        LOG * 4096
    );
    connection.execute_batch(&set).map_err(failed)?;
    Ok(connection)
}

/// How a history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// With SQLite's locks: whoever writes it is no matter.
    Shared,
    /// Without them, since nothing can be written beside it: nobody may write it meanwhile.
    Alone,
}

/// Opens a history to read.
///
/// SQLite makes files beside one that it reads (`-shm`). Where that cannot be, on a file system that is mounted to be read or in another user's
/// folder, it is read as one that nobody writes (`immutable`), if all of it is in the file.
pub(super) fn open_to_read(path: &Path) -> Result<(Connection, Reading), StoreError> {
    match fs::metadata(path) {
        Ok(found) => is_file(path, &found)?,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(StoreError::Denied(path.to_owned()));
        }
        Err(_) => return Err(StoreError::Missing(path.to_owned())),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let shared = Connection::open_with_flags(path, flags)
        .and_then(|connection| connection.busy_timeout(PATIENCE).map(|()| connection))
        .and_then(described_with);
    let (connection, description, reading) = match shared {
        Ok((connection, description)) => (connection, description, Reading::Shared),
        Err(error) if is_refused(&error) => {
            let (connection, description) = open_alone(path, flags)?;
            (connection, description, Reading::Alone)
        }
        Err(error) => return Err(StoreError::of(path, error)),
    };
    match description {
        // What is read is in all of them.
        (APPLICATION, OLDEST..=VERSION, _) => Ok((connection, reading)),
        (APPLICATION, found, _) if found > VERSION => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
        }),
        // It was made, and nothing was written yet.
        (0, 0, true) => Err(StoreError::Missing(path.to_owned())),
        _ => Err(StoreError::Foreign(path.to_owned())),
    }
}

/// Whether a file could not be opened, or none made beside it.
fn is_refused(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// Opens one beside which nothing can be written.
fn open_alone(path: &Path, flags: OpenFlags) -> Result<(Connection, Described), StoreError> {
    let access = rustix::fs::accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS);
    if access.is_err() {
        return Err(StoreError::Denied(path.to_owned()));
    }
    if has_log(path) {
        return Err(StoreError::Apart(path.to_owned()));
    }
    // A path as a URI has it (https://sqlite.org/uri.html).
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => {
                // A string takes all that is written.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri.push_str("?immutable=1");
    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        .and_then(described_with)
        .map_err(|error| match is_refused(&error) {
            true => StoreError::Denied(path.to_owned()),
            false => StoreError::of(path, error),
        })
}

/// Whether something of a history is not in the file itself, but in the one beside it. Who writes it writes there first.
pub(super) fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match fs::metadata(log) {
        Ok(found) => found.len() > 0,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn described_with(connection: Connection) -> rusqlite::Result<(Connection, Described)> {
    let description = described(&connection)?;
    Ok((connection, description))
}

/// What the header says: whose it is, the version of the tables, and whether there is nothing in it yet.
fn described(connection: &Connection) -> rusqlite::Result<Described> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((
        number("application_id")?,
        number("user_version")?,
        tables == 0,
    ))
}

/// Makes the tables, all or none of them.
fn begin(connection: &mut Connection) -> rusqlite::Result<()> {
    let all = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    // Another process may have been faster.
    if described(&all)?.2 {
        all.execute_batch(TABLES)?;
        all.execute_batch(EXPORT)?;
        all.pragma_update(None, "application_id", APPLICATION)?;
        all.pragma_update(None, "user_version", VERSION)?;
    }
    all.commit()
}

/// Makes what an older version does not have.
fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let all = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    // Another process may have been faster.
    if described(&all)?.1 < VERSION {
        all.execute_batch(EXPORT)?;
        all.pragma_update(None, "user_version", VERSION)?;
    }
    all.commit()
}
