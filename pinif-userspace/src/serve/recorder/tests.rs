use super::{writer::MOST, *};
use crate::{
    findings::{example, summary::Totals, wall_time::WallTime},
    history::AuditId,
};

fn batch(started: u64, findings: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::new(AuditRecord {
        id: AuditId {
            boot: "boot".to_owned(),
            started_monotonic_ns: started,
        },
        host: None,
        labels: Default::default(),
        version: String::new(),
        run: String::new(),
        started: WallTime::of_micros(0),
        heard: WallTime::of_micros(0),
        totals: Totals::default(),
        uncounted: Default::default(),
        ended: false,
    });
    let line = FindingLine::from(&example::finding(0));
    for number in findings {
        let id = format!("{number:012x}");
        batch.take(FindingLine {
            uid: Some(format!("boot/{id}")),
            id,
            ..line.clone()
        });
    }
    batch
}

/// Where nothing waits, and nobody writes.
fn shared() -> Arc<Shared> {
    Arc::new(Shared::new(Path::new(""), String::new()))
}

#[test]
fn what_waits_of_two_runs_of_an_audit_is_kept_apart() {
    let recorder = Recorder {
        shared: shared(),
        thread: Mutex::new(None),
    };
    let run = |run: &str| AuditRecord {
        run: run.to_owned(),
        ..batch(1, 0..0).audit
    };
    let finding = || FindingLine {
        uid: Some("boot/0".to_owned()),
        ..FindingLine::from(&example::finding(0))
    };
    recorder.audit(run("first"));
    recorder.finding(&run("first"), finding(), false);
    recorder.audit(run("second"));
    recorder.finding(&run("second"), finding(), false);
    let state = recorder.shared.lock();
    let waiting = state.waiting.iter();
    let waiting: Vec<_> = waiting
        .map(|batch| (&*batch.audit.run, batch.findings.len()))
        .collect();
    assert_eq!(waiting, [("first", 1), ("second", 1)]);
}

#[test]
fn what_waits_is_bounded_and_the_earliest_is_lost() {
    let writer = Writer {
        shared: shared(),
        retention: Retention {
            age: Duration::ZERO,
            size: 0,
        },
        reporter: Arc::new(Reporter::standard()),
        store: None,
    };
    let waiting = || {
        let state = writer.shared.lock();
        let sizes = state.waiting.iter().map(|batch| batch.findings.len());
        (sizes.collect::<Vec<_>>(), state.standing.lost)
    };
    let most = MOST as u64;
    // What could not be written comes before what has come since, and below it where it is of the same audit.
    writer.shared.lock().waiting = [batch(2, 0..10)].into();
    writer.put_back([batch(1, 0..7), batch(2, 5..20)].into());
    assert_eq!(waiting(), (vec![7, 20], 0));
    writer.put_back([batch(3, 0..most - 26)].into());
    assert_eq!(waiting(), (vec![7, 20], most - 26));
    // At the end, nobody waits for a disk.
    writer.shared.lock().ends = true;
    let batches = std::mem::take(&mut writer.shared.lock().waiting);
    writer.put_back(batches);
    assert_eq!(waiting(), (vec![], most - 26 + 27));
}
