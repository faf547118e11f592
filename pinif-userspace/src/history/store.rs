//! The file as it is written: a batch in transactions, each of which is there as a whole or not at all.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{
    clock::{Clock, Now},
    held::{self, Held, Log},
    record::{AuditRecord, Batch},
    retain::{self, Retention},
    tables::{self, StoreError},
    transition::{Change, Recorded, changes},
};
use crate::findings::{alert_state::AlertState, line::FindingLine, wall_time::WallTime};

/// How many findings are written in one transaction: that others need not wait for long, and that what is oldest can be removed meanwhile.
const AT_ONCE: usize = 256;

/// A history that is written.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    // Before the file, whose end takes SQLite's locks with it.
    connection: Connection,
    file: Held,
    log: Log,
    retention: Retention,
    /// How many findings were removed when it was opened, and are not counted yet.
    removed: u64,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// By how many microseconds the wall clock was set since the last time, where it was.
    pub clock_set: Option<i64>,
    /// How many findings were removed, since they were too old or there was no room.
    pub removed: u64,
}

impl Store {
    /// Opens the file, and makes it where it is not there: for its user, and for its group to read.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    pub fn open(path: &Path, retention: Retention) -> Result<Self, StoreError> {
        Self::begin(path, held::hold(path)?, retention)
    }

    /// Leaves a file that was moved away or replaced, with all that was written to it, and opens what is there now in its place.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    pub fn reopen(self) -> Result<Self, StoreError> {
        let Self {
            path,
            connection,
            file,
            retention,
            log,
            removed: _,
        } = self;
        settle(&connection);
        // It does not move its log into a file that was moved, and leaves it there for another.
        drop((connection, file));
        let file = held::hold(&path)?;
        log.remove();
        Self::begin(&path, file, retention)
    }

    fn begin(path: &Path, file: Held, retention: Retention) -> Result<Self, StoreError> {
        let mut connection = tables::open(path)?;
        let removed = retain::limit(&mut connection, retention);
        let removed = removed.map_err(|error| StoreError::of(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            file,
            log: Log::beside(path),
            retention,
            removed,
        })
    }

    /// Moves what was written into the file itself, so that whoever moves or copies only that has all of it. Where somebody reads so long
    /// that it cannot be, the next time does.
    pub fn settle(&self) {
        settle(&self.connection);
    }

    /// Whether the file is still the one that was opened. Somebody may have moved it away, or put another in its place: what is written to
    /// it then, nobody would find.
    pub fn is_in_place(&self) -> bool {
        self.file.is_at(&self.path)
    }

    /// Writes what is new of an audit, and removes what is too old. What a failure keeps from being written may be written again: it is
    /// the same then.
    ///
    /// # Errors
    ///
    /// Why it cannot be written. What was there stays as it was.
    pub fn write(&mut self, batch: &Batch, now: &Now) -> Result<Written, StoreError> {
        let mut written = Written {
            removed: std::mem::take(&mut self.removed),
            ..Written::default()
        };
        let findings: Vec<&FindingLine> = batch.findings.values().collect();
        let mut parts: Vec<&[&FindingLine]> = findings.chunks(AT_ONCE).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for part in parts {
            let one = match self.write_part(&batch.audit, part, now) {
                Err(error) if error.is_full() && self.make_room()? > 0 => {
                    self.write_part(&batch.audit, part, now)
                }
                outcome => outcome,
            }?;
            written.clock_set = written.clock_set.or(one.clock_set);
            written.removed += one.removed;
            let room = retain::by_size(&mut self.connection, self.retention);
            written.removed += room.map_err(|error| StoreError::of(&self.path, error))?;
        }
        Ok(written)
    }

    fn write_part(
        &mut self,
        audit: &AuditRecord,
        findings: &[&FindingLine],
        now: &Now,
    ) -> Result<Written, StoreError> {
        let retention = self.retention;
        let mut write = || {
            let all = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (kept, clock_set) = advance(&all, now, retention)?;
            let audit = put_audit(&all, audit, kept)?;
            for finding in findings {
                put_finding(&all, audit, finding, now, kept)?;
            }
            let removed = retain::by_age(&all, retention, kept)?;
            all.commit()?;
            Ok(Written { clock_set, removed })
        };
        write().map_err(|error| StoreError::of(&self.path, error))
    }

    /// Removes the oldest, where the file has its largest size. Nothing, where it is the disk that is full.
    fn make_room(&mut self) -> Result<u64, StoreError> {
        let room = retain::where_full(&mut self.connection, self.retention);
        room.map_err(|error| StoreError::of(&self.path, error))
    }
}

fn settle(connection: &Connection) {
    // What fails here is in the log, and in no danger.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

/// Advances the history's clock.
fn advance(
    all: &Transaction<'_>,
    now: &Now,
    retention: Retention,
) -> rusqlite::Result<(i64, Option<i64>)> {
    let known = all
        .query_row(
            "SELECT kept, boot, since_boot, wall FROM clock",
            [],
            |row| {
                Ok(Clock {
                    kept: row.get(0)?,
                    boot: row.get(1)?,
                    since_boot: row.get(2)?,
                    wall: row.get(3)?,
                })
            },
        )
        .optional()?;
    let mut clock = known.unwrap_or_else(|| Clock::new(now));
    let set = clock.advance(now, retention.over_a_reboot());
    let Clock {
        kept,
        boot,
        since_boot,
        wall,
    } = &clock;
    all.execute(
        "INSERT OR REPLACE INTO clock VALUES (1, ?1, ?2, ?3, ?4)",
        params![kept, boot, since_boot, wall],
    )?;
    if let Some(by) = set {
        all.execute(
            "INSERT INTO clock_set (time, by, kept) VALUES (?1, ?2, ?3)",
            params![wall, by, kept],
        )?;
    }
    Ok((clock.kept, set))
}

/// The audit's row, by its number: its totals never go back within its run.
fn put_audit(all: &Transaction<'_>, audit: &AuditRecord, kept: i64) -> rusqlite::Result<i64> {
    let json = |value: &_| serde_json::to_string(value).unwrap_or_default();
    let labels = serde_json::to_string(&audit.labels).unwrap_or_default();
    all.query_row(
        "INSERT INTO audit (boot, started_monotonic, host, labels, version, run, runs, started, first_heard, last_heard, ended,
                            packets, bytes, dropped, uncounted, kept)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (boot, started_monotonic) DO UPDATE SET
             labels = excluded.labels, version = excluded.version,
             runs = runs + (run != excluded.run), run = excluded.run,
             last_heard = excluded.last_heard, ended = excluded.ended,
             packets = excluded.packets, bytes = excluded.bytes, dropped = excluded.dropped, uncounted = excluded.uncounted,
             kept = excluded.kept
         RETURNING number",
        params![
            audit.id.boot,
            number(audit.id.started_monotonic_ns),
            audit.host,
            labels,
            audit.version,
            audit.run,
            audit.started.micros(),
            audit.heard.micros(),
            audit.ended,
            number(audit.totals.packets),
            number(audit.totals.bytes),
            number(audit.totals.dropped),
            json(&audit.uncounted),
            kept,
        ],
        |row| row.get(0),
    )
}

/// A finding's row, and what became of it. An older line than the one that is there changes nothing.
fn put_finding(
    all: &Transaction<'_>,
    audit: i64,
    line: &FindingLine,
    now: &Now,
    kept: i64,
) -> rusqlite::Result<()> {
    let known = all
        .prepare(
            "SELECT revision, state, recorded, part_of IS NOT NULL, packets FROM finding WHERE audit = ?1 AND id = ?2",
        )?
        .query_row(params![audit, line.id], |row| {
            let state: String = row.get(1)?;
            let recorded = Recorded {
                state: state_named(&state),
                packets: row.get::<_, i64>(2)?.unsigned_abs(),
                is_part: row.get(3)?,
            };
            Ok((row.get::<_, i64>(0)?, recorded, row.get::<_, i64>(4)?))
        })
        .optional()?;
    let revision = number(line.revision);
    // Of one revision, more packets are the newer ones: a list has the counts of the moment.
    let is_old = known.is_some_and(|(known, _, packets)| {
        revision < known || revision == known && number(line.packets) < packets
    });
    if is_old {
        return Ok(());
    }
    let recorded = known.map(|(_, recorded, _)| recorded);
    let changes = changes(recorded, line);
    let after = Recorded::after(line, &changes, recorded);
    let row: i64 = all
        .prepare(
            "INSERT INTO finding (audit, id, uid, first_seen, last_seen, packets, bytes, revision, state, recorded, part_of, line, kept)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (audit, id) DO UPDATE SET
                 last_seen = excluded.last_seen, packets = excluded.packets, bytes = excluded.bytes,
                 revision = excluded.revision, state = excluded.state, recorded = excluded.recorded,
                 part_of = excluded.part_of, line = excluded.line, kept = excluded.kept
             RETURNING number",
        )?
        .query_row(
            params![
                audit,
                line.id,
                line.uid.as_deref().unwrap_or_default(),
                moment(&line.first_seen),
                moment(&line.last_seen),
                number(line.packets),
                number(line.bytes),
                revision,
                line.state.name(),
                number(after.packets),
                line.part_of,
                serde_json::to_string(line).unwrap_or_default(),
                kept,
            ],
            |row| row.get(0),
        )?;
    for change in changes {
        let time = match change {
            Change::Opened => moment(&line.first_seen),
            Change::Grew | Change::Reopened => moment(&line.last_seen),
            // These are about no packet.
            Change::Quiet | Change::Accepted | Change::Joined => WallTime::from(now.wall).micros(),
        };
        all.execute(
            "INSERT INTO transition (finding, time, change, state, packets, bytes, kept) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                row,
                time,
                change.name(),
                line.state.name(),
                number(line.packets),
                number(line.bytes),
                kept
            ],
        )?;
        retain::transitions(all, row)?;
    }
    Ok(())
}

/// SQLite has no greater numbers, and nothing that happens is so large.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn moment(text: &str) -> i64 {
    WallTime::read(text).map_or(0, WallTime::micros)
}

/// What a newer pinif may call otherwise is open.
pub(super) fn state_named(name: &str) -> AlertState {
    AlertState::named(name).unwrap_or_default()
}

#[cfg(test)]
mod tests;
