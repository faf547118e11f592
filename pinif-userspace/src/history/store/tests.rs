use std::{
    fs,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{
    findings::{example, query::Query, summary::Totals},
    history::{AuditId, History, HistoryPage},
};

const RETENTION: Retention = Retention {
    age: Duration::from_secs(90 * 86_400),
    size: 16 << 20,
};

/// So long after the history has begun.
fn after(time: Duration) -> Now {
    Now {
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + time,
        since_boot: Duration::from_secs(1000) + time,
        boot: "boot".to_owned(),
    }
}

fn begin() -> Now {
    after(Duration::ZERO)
}

fn audit(started: u64, run: &str, packets: u64) -> AuditRecord {
    AuditRecord {
        id: AuditId {
            boot: "boot".to_owned(),
            started_monotonic_ns: started,
        },
        host: None,
        labels: Default::default(),
        version: "0.1.0".to_owned(),
        run: run.to_owned(),
        started: begin().wall.into(),
        heard: begin().wall.into(),
        totals: Totals {
            packets,
            bytes: packets * 100,
            dropped: 0,
        },
        uncounted: Default::default(),
        ended: false,
    }
}

/// A finding with this number: its id and uid have it.
fn line(number: u64, packets: u64, revision: u64) -> FindingLine {
    let finding = example::finding(number);
    let line = FindingLine::from(&finding);
    FindingLine {
        uid: Some(format!("boot/{}", line.id)),
        first_seen: "2023-11-14T22:13:20.000000Z".to_owned(),
        last_seen: "2023-11-14T22:13:21.000000Z".to_owned(),
        packets,
        bytes: packets * 100,
        revision,
        ..line
    }
}

fn batch(audit: AuditRecord, findings: impl IntoIterator<Item = FindingLine>) -> Batch {
    let mut batch = Batch::new(audit);
    findings.into_iter().for_each(|finding| batch.take(finding));
    batch
}

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            path: folder.path().join("history.db"),
            _folder: folder,
        }
    }

    fn open(&self) -> Store {
        Store::open(&self.path, RETENTION).expect("a store")
    }

    fn page(&self) -> HistoryPage {
        let all = Query {
            limit: usize::MAX,
            ..Query::default()
        };
        let mut history = History::open(&self.path).expect("a history");
        history.page(&all).expect("a page")
    }
}

fn whole(path: &Path) -> String {
    let connection = Connection::open(path).expect("it opens");
    connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("an answer")
}

/// The packets of each finding, and in how many audits.
fn counts(page: &HistoryPage) -> Vec<(u64, u64)> {
    let findings = page.findings.iter();
    findings
        .map(|past| (past.finding.packets, past.audits))
        .collect()
}

#[test]
fn counts_that_go_on_are_one_audit_and_those_that_begin_anew_are_added() {
    let file = File::new();
    let mut store = file.open();
    let mut write = |batch: Batch| store.write(&batch, &begin()).expect("it is written");
    write(batch(audit(1, "a", 10), [line(1, 5, 1), line(2, 3, 1)]));
    // The same counts, in the next run of a persistent auditor; said twice.
    for _ in 0..2 {
        write(batch(audit(1, "b", 15), [line(1, 8, 4)]));
    }
    // Older lines change nothing, of whatever they are.
    write(batch(audit(1, "b", 15), [line(1, 5, 1), line(1, 7, 4)]));
    // Counts that begin anew.
    write(batch(audit(2, "c", 7), [line(1, 4, 9)]));
    drop(store);

    let page = file.page();
    assert_eq!(counts(&page), [(8 + 4, 2), (3, 1)]);
    assert_eq!((page.total, page.next), (2, None));
    let audits: Vec<_> = page
        .audits
        .iter()
        .map(|audit| (audit.runs, audit.totals.packets, audit.findings))
        .collect();
    assert_eq!(audits, [(2, 15, 2), (1, 7, 1)]);
    let changes: Vec<_> = page.findings[0]
        .transitions
        .iter()
        .map(|transition| (transition.change, transition.packets))
        .collect();
    assert_eq!(changes, [(Change::Opened, 5), (Change::Opened, 4)]);
    assert_eq!(whole(&file.path), "ok");
}

#[test]
fn a_page_is_of_what_is_asked_for() {
    let file = File::new();
    let mut store = file.open();
    let old = FindingLine {
        last_seen: "2023-11-01T00:00:00.000000Z".to_owned(),
        first_seen: "2023-11-01T00:00:00.000000Z".to_owned(),
        ..line(3, 1, 1)
    };
    let part = FindingLine {
        part_of: Some("000000000001".to_owned()),
        ..line(4, 9, 1)
    };
    let latent = FindingLine {
        uid: None,
        latent: Some(true),
        ..line(5, 0, 1)
    };
    let all = [line(1, 5, 1), line(2, 3, 1), old, part, latent];
    store
        .write(&batch(audit(1, "a", 1), all), &begin())
        .expect("it is written");
    let mut history = History::open(&file.path).expect("a history");
    let mut ids = |query: Query| {
        let page = history.page(&query).expect("a page");
        let ids = page.findings.iter().map(|past| past.finding.id.clone());
        (ids.collect::<Vec<_>>(), page.total, page.next)
    };
    let id = |number: u64| format!("{number:012x}");
    let all = || Query {
        limit: 9,
        ..Query::default()
    };
    assert_eq!(ids(all()), (vec![id(3), id(1), id(2)], 3, None));
    let since = Query {
        since: WallTime::read("2023-11-14T00:00:00Z"),
        ..all()
    };
    assert_eq!(ids(since), (vec![id(1), id(2)], 2, None));
    let first = Query { limit: 1, ..all() };
    assert_eq!(ids(first), (vec![id(3)], 3, Some(1)));
    let second = Query {
        from: 1,
        limit: 1,
        ..all()
    };
    assert_eq!(ids(second), (vec![id(1)], 3, Some(2)));
    let quiet = Query {
        states: vec![AlertState::Quiet],
        ..all()
    };
    assert_eq!(ids(quiet), (vec![], 0, None));
}

/// A process that is killed while it writes, or a machine that is switched off, leaves the beginning of what it wrote.
#[test]
fn whatever_of_a_write_is_there_the_store_is_whole_and_has_all_or_nothing_of_it() {
    let file = File::new();
    let log = file.path.with_extension("db-wal");
    let mut store = file.open();
    store
        .write(&batch(audit(1, "a", 1), [line(1, 5, 1)]), &begin())
        .expect("it is written");
    let before = fs::metadata(&log).expect("a log").len();
    let later = (1..=40).map(|number| line(number, 7, 2));
    store
        .write(&batch(audit(1, "a", 2), later), &begin())
        .expect("it is written");
    // While it is open: at its end SQLite moves the log into the file.
    let (whole_file, whole_log) = (
        fs::read(&file.path).expect("a file"),
        fs::read(&log).expect("a log"),
    );
    drop(store);
    let all: Vec<_> = (0..40).map(|_| (7, 1)).collect();
    let after = whole_log.len() as u64;
    assert!(after > before);
    let step = usize::try_from((after - before) / 60)
        .expect("a number")
        .max(1);
    let before = usize::try_from(before).expect("a number");
    let mut nothing = 0;
    for end in (before..whole_log.len()).step_by(step) {
        let torn = File::new();
        fs::write(&torn.path, &whole_file).expect("it is written");
        let log = torn.path.with_extension("db-wal");
        fs::write(&log, &whole_log[..end]).expect("it is written");
        let mut store = torn.open();
        assert_eq!(counts(&torn.page()), [(5, 1)], "{end} bytes");
        nothing += 1;
        // It goes on.
        store
            .write(&batch(audit(1, "a", 3), [line(1, 9, 3)]), &begin())
            .expect("it is written");
        assert_eq!(counts(&torn.page()), [(9, 1)], "{end} bytes");
        drop(store);
        assert_eq!(whole(&torn.path), "ok", "{end} bytes");
    }
    assert!(nothing >= 50, "{nothing}");
    let torn = File::new();
    fs::write(&torn.path, &whole_file).expect("it is written");
    fs::write(torn.path.with_extension("db-wal"), &whole_log).expect("it is written");
    drop(torn.open());
    assert_eq!(counts(&torn.page()), all);
}

#[test]
fn what_is_no_history_or_a_newer_one_is_left_as_it_is() {
    let file = File::new();
    drop(file.open());
    let set = |sql: &str| {
        let connection = Connection::open(&file.path).expect("it opens");
        connection.execute_batch(sql).expect("it is set");
    };
    set("PRAGMA user_version = 3");
    let error = Store::open(&file.path, RETENTION).expect_err("it is newer");
    let text = error.to_string();
    assert!(
        text.contains("was made by a newer pinif (version 3 of its tables; this pinif knows 2)"),
        "{text}"
    );
    assert!(!error.may_pass());
    let error = History::open(&file.path).expect_err("it is newer");
    assert_eq!(error.to_string(), text);
    set("PRAGMA user_version = 2; PRAGMA application_id = 7");
    let error = Store::open(&file.path, RETENTION).expect_err("it is another's");
    assert!(
        error.to_string().contains("is no history of pinif's"),
        "{error}"
    );

    let other = File::new();
    fs::write(
        &other.path,
        "a text of some length, which is no file of SQLite".repeat(99),
    )
    .expect("it is written");
    let error = Store::open(&other.path, RETENTION).expect_err("it is a text");
    assert!(
        error.to_string().contains("is no history of pinif's"),
        "{error}"
    );
    let none = other.path.with_file_name("none.db");
    let error = History::open(&none).expect_err("there is none");
    assert!(
        error.to_string().contains("there is no history at"),
        "{error}"
    );
    let away = other.path.with_file_name("away/history.db");
    let error = Store::open(&away, RETENTION).expect_err("there is no folder");
    assert!(!error.may_pass(), "{error}");
}

#[test]
fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = File::new();
    drop(file.open());
    let mode = fs::metadata(&file.path)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o007, 0);
}

mod alone;
mod moved;
mod places;
mod retained;
