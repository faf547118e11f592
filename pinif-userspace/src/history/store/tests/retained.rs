//! How long and how much is kept, and what a clock that is set does to it.

use std::{fs, time::Duration};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn what_nothing_new_was_heard_of_is_removed_when_it_is_too_old() {
    let file = File::new();
    let mut store = file.open();
    let mut write = |batch: Batch, now: &Now| store.write(&batch, now).expect("it is written");
    write(
        batch(audit(1, "a", 1), [line(1, 1, 1), line(2, 1, 1)]),
        &begin(),
    );
    let later = write(batch(audit(1, "a", 2), [line(2, 2, 2)]), &after(60 * DAY));
    assert_eq!(later.removed, 0);
    let last = write(batch(audit(2, "b", 3), []), &after(91 * DAY));
    assert_eq!(last.removed, 1);
    assert_eq!(counts(&file.page()), [(2, 1)]);
    let last = write(batch(audit(2, "b", 3), []), &after(151 * DAY));
    assert_eq!(last.removed, 1);
    let page = file.page();
    assert_eq!((page.findings.len(), page.audits.len()), (0, 1));
}

#[test]
fn a_clock_that_is_set_by_years_removes_nothing_and_is_kept() {
    let file = File::new();
    let mut store = file.open();
    let first = batch(audit(1, "a", 1), [line(1, 1, 1)]);
    store.write(&first, &begin()).expect("it is written");
    let jumped = Now {
        wall: begin().wall + 20_000 * DAY,
        ..after(Duration::from_secs(1))
    };
    let again = batch(audit(1, "a", 2), [line(2, 1, 1)]);
    let written = store.write(&again, &jumped).expect("it is written");
    let by = 20_000 * 86_400 - 1;
    assert_eq!(
        written,
        Written {
            clock_set: Some(by * 1_000_000),
            removed: 0
        }
    );
    let back = store
        .write(&again, &after(Duration::from_secs(2)))
        .expect("it is written");
    assert_eq!(
        back.clock_set,
        Some(-by * 1_000_000 + 1_000_000 - 1_000_000)
    );
    // A reboot with a clock that is far in the future.
    let reboot = Now {
        boot: "another".to_owned(),
        since_boot: Duration::from_secs(9),
        ..jumped
    };
    let rebooted = store.write(&again, &reboot).expect("it is written");
    assert_eq!(rebooted, Written::default());
    let page = file.page();
    assert_eq!(counts(&page), [(1, 1), (1, 1)]);
    let set: Vec<_> = page.clock.iter().map(|set| set.by_s).collect();
    assert_eq!(set, [by as f64, -by as f64]);
    drop(store);
    assert_eq!(whole(&file.path), "ok");
}

#[test]
fn the_file_stays_below_its_size_and_keeps_what_is_newest() {
    let file = File::new();
    let retention = Retention {
        size: Retention::SMALLEST,
        ..RETENTION
    };
    let mut store = Store::open(&file.path, retention).expect("a store");
    let mut removed = 0;
    for number in 0..40 {
        let findings = (0..100).map(|one| line(number * 100 + one, 1, 1));
        let now = after(Duration::from_secs(number));
        let written = store.write(&batch(audit(1, "a", number), findings), &now);
        removed += written.expect("it is written").removed;
        let size = fs::metadata(&file.path).expect("a file").len();
        assert!(size <= retention.size, "{size}");
    }
    assert!(removed > 0);
    let page = file.page();
    assert_eq!(page.total + removed, 4000);
    let newest = page.findings.last().map(|past| past.finding.id.clone());
    assert_eq!(newest, Some(format!("{:012x}", 3999)));
    let oldest = page.findings.first().map(|past| past.finding.id.clone());
    assert_eq!(
        oldest,
        Some(format!("{removed:012x}")),
        "the oldest were removed"
    );
    drop(store);
    assert_eq!(whole(&file.path), "ok");
}

#[test]
fn a_file_that_is_too_large_from_now_on_becomes_smaller() {
    let file = File::new();
    let mut store = file.open();
    let findings = (0..3000).map(|number| line(number, 1, 1));
    let written = store.write(&batch(audit(1, "a", 1), findings), &begin());
    assert_eq!(written.expect("it is written").removed, 0);
    drop(store);
    let size = || fs::metadata(&file.path).expect("a file").len();
    assert!(size() > Retention::SMALLEST, "{}", size());
    let retention = Retention {
        size: Retention::SMALLEST,
        ..RETENTION
    };
    drop(Store::open(&file.path, retention).expect("a store"));
    assert!(size() <= Retention::SMALLEST, "{}", size());
    let page = file.page();
    assert!(page.total > 500 && page.total < 3000, "{}", page.total);
    assert_eq!(whole(&file.path), "ok");
}

#[test]
fn what_is_removed_when_it_is_opened_is_counted() {
    let file = File::new();
    let mut store = file.open();
    let all = 4_000;
    let findings = (0..all).map(|number| line(number, 1, 1));
    let first = batch(audit(1, "a", 1), findings);
    store.write(&first, &begin()).expect("it is written");
    drop(store);
    let smaller = Retention {
        size: Retention::SMALLEST,
        ..RETENTION
    };
    let mut store = Store::open(&file.path, smaller).expect("a store");
    let left = file.page().total;
    assert!(left < all, "{left}");
    let next = batch(audit(1, "a", 2), []);
    let written = store.write(&next, &begin()).expect("it is written");
    assert_eq!(written.removed, all - left);
    let again = store.write(&next, &begin()).expect("it is written");
    assert_eq!(again.removed, 0);
}
