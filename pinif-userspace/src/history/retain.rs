//! How long what is kept stays, and how large the file becomes.

use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::clock::micros;

/// How many transitions of a finding are kept: the newest.
const TRANSITIONS: u32 = 100;
/// How many audits without a finding are kept, and how often a clock was set: the newest.
const OTHERS: u32 = 1000;
/// At which part of the largest size the oldest are removed, and down to which, in percent: what is written between two looks has room.
const FULL: u64 = 90;
const ROOM: u64 = 75;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long: what was last written to longer ago is removed.
    pub age: Duration,
    /// How large the file becomes at most, in bytes.
    pub size: u64,
}

impl Retention {
    /// The smallest size that has room for what is written at once.
    pub const SMALLEST: u64 = 4 << 20;

    /// By how much a reboot makes what is kept older at most: half of the age, so that a clock that is wrong removes no more than half.
    pub(super) fn over_a_reboot(self) -> Duration {
        self.age / 2
    }
}

/// Makes a file smaller that was larger before than it may be now, and has SQLite refuse to make it larger. Returns how many findings were
/// removed.
pub(super) fn limit(connection: &mut Connection, retention: Retention) -> rusqlite::Result<u64> {
    let removed = by_size(connection, retention)?;
    let size = pragma(connection, "page_count")? * page_size(connection)?;
    if size > retention.size {
        connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
    }
    let pages = retention.size / page_size(connection)?;
    let pages = i64::try_from(pages).unwrap_or(i64::MAX);
    // It answers with the limit, which is never below what there is.
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    Ok(removed)
}

/// Removes what is too old by the history's clock. Returns how many findings.
pub(super) fn by_age(
    all: &Transaction<'_>,
    retention: Retention,
    kept: i64,
) -> rusqlite::Result<u64> {
    let oldest = kept.saturating_sub(micros(retention.age));
    all.execute("DELETE FROM transition WHERE kept < ?1", params![oldest])?;
    let removed = all.execute("DELETE FROM finding WHERE kept < ?1", params![oldest])?;
    all.execute(
        "DELETE FROM audit WHERE kept < ?1 AND NOT EXISTS (SELECT 1 FROM finding WHERE audit = audit.number)",
        params![oldest],
    )?;
    all.execute("DELETE FROM clock_set WHERE kept < ?1", params![oldest])?;
    Ok(removed as u64)
}

/// Keeps the newest transitions of a finding.
pub(super) fn transitions(all: &Transaction<'_>, finding: i64) -> rusqlite::Result<()> {
    all.execute(
        "DELETE FROM transition WHERE finding = ?1 AND number NOT IN
             (SELECT number FROM transition WHERE finding = ?1 ORDER BY number DESC LIMIT ?2)",
        params![finding, TRANSITIONS],
    )
    .map(drop)
}

/// Removes the oldest findings where the file is nearly as large as it may be. Returns how many.
pub(super) fn by_size(connection: &mut Connection, retention: Retention) -> rusqlite::Result<u64> {
    if used(connection)? * 100 < retention.size * FULL {
        return Ok(0);
    }
    shrink(connection, retention)
}

/// The same where a write has failed for want of room. Nothing, where the file is not as large as it may be: it is the disk's want then.
pub(super) fn where_full(
    connection: &mut Connection,
    retention: Retention,
) -> rusqlite::Result<u64> {
    let pages: u64 = pragma(connection, "page_count")?;
    if pages * page_size(connection)? * 100 < retention.size * FULL {
        return Ok(0);
    }
    shrink(connection, retention)
}

fn shrink(connection: &mut Connection, retention: Retention) -> rusqlite::Result<u64> {
    let mut removed = 0;
    loop {
        let all = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let of_findings = all.execute(
            "DELETE FROM finding WHERE number IN
                 (SELECT number FROM finding ORDER BY kept, number LIMIT max(1, (SELECT count(*) / 16 FROM finding)))",
            [],
        )?;
        all.execute(
            "DELETE FROM audit WHERE number NOT IN (SELECT audit FROM finding)
                 AND number NOT IN (SELECT number FROM audit ORDER BY kept DESC, number DESC LIMIT ?1)",
            params![OTHERS],
        )?;
        all.execute(
            "DELETE FROM clock_set WHERE number NOT IN (SELECT number FROM clock_set ORDER BY number DESC LIMIT ?1)",
            params![OTHERS],
        )?;
        all.commit()?;
        removed += of_findings as u64;
        if of_findings == 0 || used(connection)? * 100 < retention.size * ROOM {
            return Ok(removed);
        }
    }
}

/// How much of the file has something in it, in bytes. What was removed leaves room in it, and the file stays as long as it is.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages: u64 = pragma(connection, "page_count")?;
    let free: u64 = pragma(connection, "freelist_count")?;
    Ok(pages.saturating_sub(free) * page_size(connection)?)
}

fn page_size(connection: &Connection) -> rusqlite::Result<u64> {
    pragma(connection, "page_size").map(|size| size.max(1))
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let number: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
    Ok(number.unsigned_abs())
}
