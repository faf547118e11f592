use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{
    findings::{alert_state::AlertState, example, summary::Totals},
    history::{AuditId, AuditRecord, Batch, Now, Retention, Store},
};

/// A history that is written, and what is to be sent of it.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
    store: Store,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history.db");
        let retention = Retention {
            age: Duration::from_secs(90 * 86_400),
            size: 16 << 20,
        };
        Self {
            store: Store::open(&path, retention).expect("a store"),
            path,
            _folder: folder,
        }
    }

    fn write(&mut self, findings: impl IntoIterator<Item = FindingLine>) {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut batch = Batch::new(AuditRecord {
            id: AuditId {
                boot: "boot".to_owned(),
                started_monotonic_ns: 1,
            },
            host: Some("0123".to_owned()),
            labels: [("slot".to_owned(), "7".to_owned())].into(),
            version: "0.1.0".to_owned(),
            run: "a".to_owned(),
            started: begin.into(),
            heard: begin.into(),
            totals: Totals::default(),
            uncounted: Default::default(),
            ended: false,
        });
        findings.into_iter().for_each(|finding| batch.take(finding));
        let now = Now {
            wall: begin,
            since_boot: Duration::from_secs(1000),
            boot: "boot".to_owned(),
        };
        self.store.write(&batch, &now).expect("it is written");
    }

    fn outbox(&self) -> Outbox {
        Outbox::open(&self.path).expect("an outbox")
    }
}

fn line(number: u64, packets: u64, revision: u64) -> FindingLine {
    let line = FindingLine::from(&example::finding(number));
    FindingLine {
        uid: Some(format!("boot/{}", line.id)),
        packets,
        revision,
        ..line
    }
}

/// Revision, packets, what became of it, and what was sent before.
type Row = (u64, u64, Vec<Change>, Option<Vec<u8>>);

fn rows(behind: &[Behind]) -> Vec<Row> {
    let rows = behind.iter().map(|behind| {
        let (line, changes) = (&behind.finding, behind.changes.clone());
        (line.revision, line.packets, changes, behind.record.clone())
    });
    rows.collect()
}

/// Keeps this as what is sent of each.
fn keep(outbox: &mut Outbox, behind: &[Behind], record: &[u8]) {
    let records: Vec<_> = behind
        .iter()
        .map(|behind| (behind, record.to_vec()))
        .collect();
    outbox.keep(&records).expect("it is kept");
}

#[test]
fn what_is_acknowledged_is_behind_no_more_until_it_changes() {
    let mut file = File::new();
    file.write([line(1, 5, 1), line(2, 3, 1)]);
    let mut outbox = file.outbox();
    assert_eq!(outbox.count().expect("a number"), 2);
    let behind = outbox.next(10).expect("two");
    assert_eq!(
        rows(&behind),
        [
            (1, 5, vec![Change::Opened], None),
            (1, 3, vec![Change::Opened], None)
        ]
    );
    assert_eq!(
        behind[0].machine,
        outbox.machine().expect("it is read").expect("one")
    );
    assert_eq!(behind[0].machine.labels["slot"], "7");
    keep(&mut outbox, &behind, b"one");
    outbox.acknowledge(&behind).expect("it is written");
    assert_eq!(outbox.count().expect("a number"), 0);
    assert_eq!(outbox.next(10).expect("none"), []);

    // What became of it meanwhile is one record, of its newest revision; also over a restart.
    file.write([line(1, 8, 2)]);
    file.write([FindingLine {
        state: AlertState::Quiet,
        ..line(1, 9, 3)
    }]);
    let mut outbox = file.outbox();
    let behind = outbox.next(10).expect("one");
    assert_eq!(rows(&behind), [(3, 9, vec![Change::Quiet], None)]);
    keep(&mut outbox, &behind, b"two");
    outbox.acknowledge(&behind).expect("it is written");
    // What only grew has no name.
    file.write([line(2, 4, 2)]);
    assert_eq!(rows(&outbox.next(10).expect("one")), [(2, 4, vec![], None)]);
}

#[test]
fn what_was_sent_is_sent_again_as_it_was() {
    let mut file = File::new();
    file.write([line(1, 5, 1)]);
    let mut outbox = file.outbox();
    let behind = outbox.next(10).expect("one");
    keep(&mut outbox, &behind, b"one");
    drop(outbox);
    // A list has the counts of the moment with the same revision.
    file.write([line(1, 6, 1)]);
    let mut outbox = file.outbox();
    let again = outbox.next(10).expect("one");
    assert_eq!(
        rows(&again),
        [(1, 6, vec![Change::Opened], Some(b"one".to_vec()))]
    );

    // It goes on while the collector has not answered: what is acknowledged then is what was sent.
    file.write([line(1, 60, 2)]);
    outbox.acknowledge(&again).expect("it is written");
    let behind = outbox.next(10).expect("one");
    assert_eq!(rows(&behind), [(2, 60, vec![Change::Grew], None)]);
    // What was never acknowledged is new to the collector, whatever it became.
    keep(&mut outbox, &behind, b"two");
    file.write([line(1, 61, 3)]);
    assert_eq!(
        rows(&outbox.next(10).expect("one")),
        [(3, 61, vec![Change::Grew], None)]
    );
}

#[test]
fn the_first_come_first_and_at_most_so_many() {
    let mut file = File::new();
    file.write((1..=5).map(|number| line(number, number, 1)));
    let mut outbox = file.outbox();
    let mut packets = Vec::new();
    loop {
        let behind = outbox.next(2).expect("some");
        if behind.is_empty() {
            break;
        }
        keep(&mut outbox, &behind, b"");
        outbox.acknowledge(&behind).expect("it is written");
        packets.push(
            behind
                .iter()
                .map(|behind| behind.finding.packets)
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(packets, [vec![1, 2], vec![3, 4], vec![5]]);
}

#[test]
fn what_is_not_understood_holds_nothing_up() {
    let mut file = File::new();
    file.write([line(1, 5, 1)]);
    let connection = Connection::open(&file.path).expect("it opens");
    let strange = connection.execute("UPDATE finding SET line = '{}'", []);
    assert_eq!(strange.expect("a row"), 1);
    let mut outbox = file.outbox();
    assert_eq!(outbox.next(1).expect("none"), []);
    assert_eq!(outbox.count().expect("a number"), 0);
}

#[test]
fn a_history_of_the_first_version_is_brought_to_this_one() {
    let mut file = File::new();
    file.write([line(1, 5, 1)]);
    let connection = Connection::open(&file.path).expect("it opens");
    connection
        .execute_batch("DROP TABLE export; PRAGMA user_version = 1")
        .expect("it was so");
    drop(connection);
    let page = crate::history::History::open(&file.path);
    assert!(page.is_ok(), "it is read as it is: {page:?}");
    assert_eq!(file.outbox().count().expect("a number"), 1);
    let version = tables::open(&file.path).expect("it opens");
    let version = version.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));
    assert_eq!(version.expect("a number"), 2);
}

#[test]
fn where_there_is_no_history_there_is_nothing_and_none_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.db");
    assert!(matches!(Outbox::open(&path), Err(StoreError::Missing(_))));
    assert!(!path.exists());
}
