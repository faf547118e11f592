//! What somebody else does not know yet: of each finding, which revision was acknowledged.
//!
//! What is to be sent is no queue: it is the set of findings whose acknowledged revision is behind the one that is kept. So it has no
//! bound of its own, and what became of a finding while nobody could be reached is one record.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use super::{
    store::{number, state_named},
    tables::{self, StoreError},
    transition::{Change, Recorded, changes},
};
use crate::findings::line::FindingLine;

/// What is to be sent of a history. Whoever writes the history may go on to.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    connection: Connection,
}

/// Whose findings they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The machine's id, where it has one.
    pub host: Option<String>,
    /// What it is called besides.
    pub labels: BTreeMap<String, String>,
    /// The auditor's version.
    pub version: String,
}

/// A finding whose acknowledged revision is behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Behind {
    /// Its row.
    pub(super) number: i64,
    /// Its audit's row: findings of one audit are of one machine.
    pub audit: i64,
    /// Whose it is.
    pub machine: Machine,
    /// The finding.
    pub finding: FindingLine,
    /// What became of it since the revision that was acknowledged; nothing where it has only grown.
    pub changes: Vec<Change>,
    /// What is recorded of it with this revision.
    pub(super) after: Recorded,
    /// What was sent of this revision before, where it was: it is sent again as it is.
    pub record: Option<Vec<u8>>,
}

/// The rows of findings that this version does not understand, and their revisions.
type Strange = Vec<(i64, i64)>;

impl Outbox {
    /// Opens the history's file.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened, or that there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            connection: tables::open(path)?,
        })
    }

    /// How many findings are behind.
    ///
    /// # Errors
    ///
    /// Why they cannot be read.
    pub fn count(&self) -> Result<u64, StoreError> {
        let count: rusqlite::Result<i64> = self.connection.query_row(
            "SELECT count(*) FROM finding LEFT JOIN export ON export.finding = finding.number
             WHERE finding.revision > coalesce(export.acknowledged, -1)",
            [],
            |row| row.get(0),
        );
        count.map(i64::unsigned_abs).map_err(self.failed())
    }

    /// The first findings that are behind, at most so many.
    ///
    /// # Errors
    ///
    /// Why they cannot be read.
    pub fn next(&mut self, most: u32) -> Result<Vec<Behind>, StoreError> {
        loop {
            let (behind, strange) = self.read(most).map_err(self.failed())?;
            if strange.is_empty() || !behind.is_empty() {
                return Ok(behind);
            }
            // What this version does not understand, it can send to nobody.
            self.pass(&strange).map_err(self.failed())?;
        }
    }

    /// Keeps what is sent now of findings, before it is: whoever sends it again, be it after a restart, sends the same.
    ///
    /// # Errors
    ///
    /// Why it cannot be written. Nothing was, then.
    pub fn keep(&mut self, records: &[(&Behind, Vec<u8>)]) -> Result<(), StoreError> {
        let mut keep = || {
            let all = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (behind, record) in records {
                all.prepare(
                    "INSERT INTO export (finding, acknowledged, revision, state, recorded, is_part, record)
                     VALUES (?1, -1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (finding) DO UPDATE SET
                         revision = excluded.revision, state = excluded.state, recorded = excluded.recorded,
                         is_part = excluded.is_part, record = excluded.record",
                )?
                .execute(params![
                    behind.number,
                    number(behind.finding.revision),
                    behind.after.state.name(),
                    number(behind.after.packets),
                    behind.after.is_part,
                    record,
                ])?;
            }
            all.commit()
        };
        keep().map_err(self.failed())
    }

    /// Notes that what was kept of these findings is acknowledged.
    ///
    /// # Errors
    ///
    /// Why it cannot be written. They are sent once more, then.
    pub fn acknowledge(&mut self, taken: &[Behind]) -> Result<(), StoreError> {
        let mut acknowledge = || {
            let all = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for behind in taken {
                all.prepare(
                    "UPDATE export SET acknowledged = revision, known_state = state, known_recorded = recorded,
                         known_is_part = is_part, record = NULL
                     WHERE finding = ?1 AND revision = ?2",
                )?
                .execute(params![behind.number, number(behind.finding.revision)])?;
            }
            all.commit()
        };
        acknowledge().map_err(self.failed())
    }

    /// The machine of the audit that was heard last.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn machine(&self) -> Result<Option<Machine>, StoreError> {
        let machine = self.connection.query_row(
            "SELECT host, labels, version FROM audit ORDER BY last_heard DESC, number DESC LIMIT 1",
            [],
            |row| machine(row, 0),
        );
        machine.optional().map_err(self.failed())
    }

    /// The findings, and the rows and revisions of those that are not understood.
    fn read(&self, most: u32) -> rusqlite::Result<(Vec<Behind>, Strange)> {
        let mut statement = self.connection.prepare(
            "SELECT audit.host, audit.labels, audit.version, finding.number, finding.audit, finding.revision, finding.line,
                    export.acknowledged, export.known_state, export.known_recorded, export.known_is_part,
                    CASE WHEN export.revision = finding.revision THEN export.record END
             FROM finding JOIN audit ON audit.number = finding.audit LEFT JOIN export ON export.finding = finding.number
             WHERE finding.revision > coalesce(export.acknowledged, -1) ORDER BY finding.number LIMIT ?1",
        )?;
        let mut rows = statement.query(params![most])?;
        let (mut all, mut strange) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let number = row.get(3)?;
            let line: String = row.get(6)?;
            let Ok(finding) = serde_json::from_str::<FindingLine>(&line) else {
                strange.push((number, row.get(5)?));
                continue;
            };
            let known = known(row)?;
            let changes = changes(known, &finding);
            all.push(Behind {
                number,
                audit: row.get(4)?,
                machine: machine(row, 0)?,
                after: Recorded::after(&finding, &changes, known),
                changes,
                finding,
                record: row.get(11)?,
            });
        }
        Ok((all, strange))
    }

    fn pass(&mut self, strange: &[(i64, i64)]) -> rusqlite::Result<()> {
        let all = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (number, revision) in strange {
            all.execute(
                "INSERT INTO export (finding, acknowledged) VALUES (?1, ?2)
                 ON CONFLICT (finding) DO UPDATE SET acknowledged = excluded.acknowledged",
                params![number, revision],
            )?;
        }
        all.commit()
    }

    fn failed(&self) -> impl FnOnce(rusqlite::Error) -> StoreError + use<> {
        let path = self.path.clone();
        move |error| StoreError::of(&path, error)
    }
}

#[cfg(test)]
impl Behind {
    /// A finding of nobody, that became so.
    pub fn example(finding: FindingLine, changes: &[Change]) -> Self {
        Self {
            number: 0,
            audit: 0,
            machine: Machine::default(),
            after: Recorded::after(&finding, changes, None),
            changes: changes.to_vec(),
            finding,
            record: None,
        }
    }
}

/// What was acknowledged last of a finding.
fn known(row: &Row<'_>) -> rusqlite::Result<Option<Recorded>> {
    let state: Option<String> = row.get(8)?;
    let Some(state) = state else { return Ok(None) };
    Ok(Some(Recorded {
        state: state_named(&state),
        packets: row.get::<_, i64>(9)?.unsigned_abs(),
        is_part: row.get(10)?,
    }))
}

fn machine(row: &Row<'_>, at: usize) -> rusqlite::Result<Machine> {
    let labels: String = row.get(at + 1)?;
    Ok(Machine {
        host: row.get(at)?,
        labels: serde_json::from_str(&labels).unwrap_or_default(),
        version: row.get(at + 2)?,
    })
}

#[cfg(test)]
mod tests;
