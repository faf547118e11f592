//! What was kept is read, while it goes on to be written.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, Transaction, params};

use super::{
    line::{AuditLine, ClockLine, HistoryPage, PastFinding},
    store::state_named,
    tables::{self, Reading, StoreError},
    transition::{Change, Transition},
};
use crate::{
    findings::{
        line::FindingLine, paging::Paging, query::Query, summary::Totals, wall_time::WallTime,
    },
    host::file_watch::FileState,
};

/// How many audits, and how many settings of the clock, are given at most: the newest.
const MOST: u32 = 1000;

/// A history that is read.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    connection: Connection,
    reading: Reading,
    /// What the file was when it was opened.
    state: Option<FileState>,
}

impl History {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let state = FileState::of(path);
        let (connection, reading) = tables::open_to_read(path)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            reading,
            state,
        })
    }

    /// The last page of what is asked for: the newest findings, as many as a page has.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn newest(&mut self, query: Query) -> Result<HistoryPage, StoreError> {
        let first = self.page(&query)?;
        if first.next.is_none() {
            return Ok(first);
        }
        let from = first.total.saturating_sub(query.limit as u64);
        self.page(&Query { from, ..query })
    }

    /// What is asked for, all of it as it was at one moment; the oldest first.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn page(&mut self, query: &Query) -> Result<HistoryPage, StoreError> {
        let mut read = || {
            let all = self.connection.transaction()?;
            let since = query.since.map_or(i64::MIN, WallTime::micros);
            Ok(HistoryPage {
                audits: audits(&all, since)?,
                clock: clock(&all, since)?,
                ..findings(&all, query, since)?
            })
        };
        let page = read();
        // What is written while it is read without locks is any mixture of before and after.
        if self.reading == Reading::Alone
            && (tables::has_log(&self.path) || FileState::of(&self.path) != self.state)
        {
            return Err(StoreError::Written(self.path.clone()));
        }
        page.map_err(|error| StoreError::of(&self.path, error))
    }
}

/// The findings of a query, without the rest of the page. Those of kinds that this version does not know are left out.
fn findings(all: &Transaction<'_>, query: &Query, since: i64) -> rusqlite::Result<HistoryPage> {
    let mut statement = all.prepare(
        "SELECT whole.uid, whole.first, whole.last, whole.packets, whole.bytes, whole.audits, newest.line
         FROM (SELECT uid, min(first_seen) AS first, max(last_seen) AS last, sum(packets) AS packets, sum(bytes) AS bytes,
                      count(*) AS audits, min(number) AS oldest, max(number) AS number
               FROM finding WHERE part_of IS NULL GROUP BY uid HAVING max(last_seen) >= ?1) AS whole
         JOIN finding AS newest ON newest.number = whole.number
         ORDER BY whole.first, whole.oldest",
    )?;
    let mut rows = statement.query(params![since])?;
    let mut paging = Paging::new(query.from, query.limit);
    let mut findings = Vec::new();
    while let Some(row) = rows.next()? {
        let line: String = row.get(6)?;
        let Ok(finding) = serde_json::from_str::<FindingLine>(&line) else {
            continue;
        };
        if !query.takes_line(&finding) || !paging.takes(paging.total) {
            continue;
        }
        let finding = FindingLine {
            time: time(row, 1)?,
            first_seen: time(row, 1)?,
            last_seen: time(row, 2)?,
            packets: number(row, 3)?,
            bytes: number(row, 4)?,
            ..finding
        };
        findings.push(PastFinding {
            finding,
            audits: number(row, 5)?,
            transitions: transitions(all, &row.get::<_, String>(0)?)?,
        });
    }
    Ok(HistoryPage {
        total: paging.total,
        next: paging.next,
        findings,
        ..HistoryPage::default()
    })
}

fn transitions(all: &Transaction<'_>, uid: &str) -> rusqlite::Result<Vec<Transition>> {
    let mut statement = all.prepare(
        "SELECT transition.time, transition.change, transition.state, transition.packets, transition.bytes
         FROM transition JOIN finding ON finding.number = transition.finding
         WHERE finding.uid = ?1 AND finding.part_of IS NULL ORDER BY transition.number",
    )?;
    let mut rows = statement.query(params![uid])?;
    let mut transitions = Vec::new();
    while let Some(row) = rows.next()? {
        let (change, state): (String, String) = (row.get(1)?, row.get(2)?);
        let Some(change) = Change::named(&change) else {
            continue;
        };
        transitions.push(Transition {
            time: time(row, 0)?,
            change,
            state: state_named(&state),
            packets: number(row, 3)?,
            bytes: number(row, 4)?,
        });
    }
    Ok(transitions)
}

fn audits(all: &Transaction<'_>, since: i64) -> rusqlite::Result<Vec<AuditLine>> {
    let mut statement = all.prepare(
        "SELECT boot, host, labels, version, runs, started, first_heard, last_heard, ended, packets, bytes, dropped, uncounted,
                (SELECT count(*) FROM finding WHERE audit = audit.number AND part_of IS NULL)
         FROM (SELECT * FROM audit WHERE last_heard >= ?1 ORDER BY number DESC LIMIT ?2) AS audit ORDER BY number",
    )?;
    let audits = statement.query_map(params![since, MOST], |row| {
        let json = |at| row.get::<_, String>(at);
        Ok(AuditLine {
            boot: row.get(0)?,
            host: row.get(1)?,
            labels: serde_json::from_str(&json(2)?).unwrap_or_default(),
            version: row.get(3)?,
            runs: number(row, 4)?,
            started: time(row, 5)?,
            first_heard: time(row, 6)?,
            last_heard: time(row, 7)?,
            ended: row.get(8)?,
            totals: Totals {
                packets: number(row, 9)?,
                bytes: number(row, 10)?,
                dropped: number(row, 11)?,
            },
            uncounted: serde_json::from_str(&json(12)?).unwrap_or_default(),
            findings: number(row, 13)?,
        })
    })?;
    audits.collect()
}

fn clock(all: &Transaction<'_>, since: i64) -> rusqlite::Result<Vec<ClockLine>> {
    let mut statement = all.prepare(
        "SELECT time, by FROM (SELECT * FROM clock_set WHERE time >= ?1 ORDER BY number DESC LIMIT ?2) ORDER BY number",
    )?;
    let lines = statement.query_map(params![since, MOST], |row| {
        let by: i64 = row.get(1)?;
        Ok(ClockLine {
            time: time(row, 0)?,
            by_s: by as f64 / 1e6,
        })
    })?;
    lines.collect()
}

fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(WallTime::of_micros(row.get(at)?).to_string())
}

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get(at).map(i64::unsigned_abs)
}
