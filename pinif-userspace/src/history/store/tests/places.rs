//! Where the history is to be, and is none: each said for what it is, and nothing is waited for.

use std::os::unix::fs::PermissionsExt as _;

use nix::{sys::stat::Mode, unistd::mkfifo};

use super::*;

fn refusal(path: &Path) -> String {
    let written = Store::open(path, RETENTION).expect_err("it is no history");
    assert!(!written.may_pass(), "{written}");
    written.to_string()
}

#[test]
fn what_is_no_file_is_not_opened() {
    let file = File::new();
    let folder = file.path.parent().expect("a folder");
    let fifo = folder.join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO");
    for (path, what) in [
        (&*fifo, "a FIFO"),
        (folder, "a folder"),
        (Path::new("/dev/null"), "a device"),
    ] {
        let error = format!(
            "{} is {what}, and no file; name another with --history",
            path.display()
        );
        assert_eq!(refusal(path), error);
        let read = History::open(path).expect_err("it is no history");
        assert_eq!(read.to_string(), error);
    }
}

#[test]
fn a_folder_that_is_not_there_is_said() {
    let file = File::new();
    let path = file.path.with_file_name("away").join("history.db");
    let error = format!(
        "the folder of the history {} is not there; make it, or name another file with --history",
        path.display()
    );
    assert_eq!(refusal(&path), error);
    let read = History::open(&path).expect_err("it is not there");
    assert!(matches!(read, StoreError::Missing(_)), "{read}");
}

/// Root may write whatever the modes say; not so in a file system that is read only, of which there is one in each system.
#[test]
fn what_may_not_be_written_is_said() {
    let path = Path::new("/sys/pinif-history.db");
    let error = refusal(path);
    let words = "the history /sys/pinif-history.db cannot be written (";
    assert!(error.starts_with(words), "{error}");
    assert!(
        error.contains("let this user write it and its folder"),
        "{error}"
    );
}

#[test]
fn it_is_for_its_user_and_for_its_group_to_read() {
    let file = File::new();
    let _store = file.open();
    let mode = fs::metadata(&file.path).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o7777, 0o640);
}

#[test]
fn two_do_not_keep_one() {
    let file = File::new();
    let store = file.open();
    let error = format!(
        "another process keeps the history {}; end that one, or name another file with --history",
        file.path.display()
    );
    assert_eq!(refusal(&file.path), error);
    drop(store);
    file.open();
}

#[test]
fn a_file_that_was_moved_away_or_replaced_is_not_in_place() {
    let file = File::new();
    let store = file.open();
    assert!(store.is_in_place());
    let away = file.path.with_extension("1");
    fs::rename(&file.path, &away).expect("it is ours");
    assert!(!store.is_in_place());
    fs::copy(&away, &file.path).expect("it is ours");
    assert!(!store.is_in_place());
    fs::rename(&away, &file.path).expect("it is ours");
    assert!(store.is_in_place());
}

#[test]
fn the_newest_are_the_last_page() {
    let file = File::new();
    let first_seen = |number: u64| format!("2023-11-14T22:13:2{number}.000000Z");
    let findings = (1..=5).map(|number| FindingLine {
        first_seen: first_seen(number),
        ..line(number, 1, 1)
    });
    let all = batch(audit(1, "a", 5), findings);
    file.open().write(&all, &begin()).expect("it is written");
    let newest = |limit| {
        let mut history = History::open(&file.path).expect("a history");
        let query = Query {
            limit,
            ..Query::default()
        };
        let page = history.newest(query).expect("it is read");
        let seen = page
            .findings
            .iter()
            .map(|past| past.finding.first_seen.clone());
        (page.total, seen.collect::<Vec<_>>())
    };
    assert_eq!(newest(2), (5, vec![first_seen(4), first_seen(5)]));
    assert_eq!(newest(5).1.len(), 5);
    assert_eq!(newest(9).1.len(), 5);
}
