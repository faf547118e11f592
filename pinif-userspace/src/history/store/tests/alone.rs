//! A history in a folder that its reader may not write: SQLite can make none of its files there.

use std::os::unix::fs::PermissionsExt as _;

use pinif_lab::socket::as_user;

use super::*;

const NOBODY: u32 = 65534;

/// A history of one finding that nobody writes, and that another user may only read.
fn read_only() -> File {
    let file = File::new();
    let all = batch(audit(1, "a", 5), [line(1, 5, 1)]);
    file.open().write(&all, &begin()).expect("it is written");
    let mode = |path: &Path, mode| {
        let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
        set.expect("it is ours");
    };
    mode(&file.path, 0o444);
    mode(file._folder.path(), 0o555);
    file
}

fn refusal(file: &File) -> String {
    let refused = as_user(NOBODY, || History::open(&file.path).expect_err("refused"));
    refused.to_string()
}

#[test]
fn all_of_it_is_read_and_nothing_is_left_there() {
    let file = read_only();
    let page = as_user(NOBODY, || file.page());
    assert_eq!(counts(&page), [(5, 1)]);
    let there = fs::read_dir(file._folder.path()).expect("a folder");
    assert_eq!(there.count(), 1);
}

#[test]
fn what_is_written_while_it_is_read_is_not_taken_for_one_state() {
    let file = read_only();
    let mut history = as_user(NOBODY, || History::open(&file.path).expect("a history"));
    let all = batch(audit(1, "a", 9), [line(1, 9, 2)]);
    file.open().write(&all, &begin()).expect("it is written");
    let page = as_user(NOBODY, || history.page(&Query::default()));
    let error = format!(
        "the history {} was written while it was read; ask again",
        file.path.display()
    );
    assert_eq!(page.expect_err("it changed").to_string(), error);
    let page = as_user(NOBODY, || file.page());
    assert_eq!(counts(&page), [(9, 1)]);
}

#[test]
fn one_that_is_not_all_in_the_file_is_refused_and_why() {
    let file = read_only();
    let mut log = file.path.clone().into_os_string();
    log.push("-wal");
    fs::write(&log, "of a copy of both").expect("it is ours");
    let refused = refusal(&file);
    assert!(refused.contains("copy both files"), "{refused}");
    fs::remove_file(&log).expect("it is there");
    let none = fs::Permissions::from_mode(0o000);
    fs::set_permissions(&file.path, none).expect("it is ours");
    let refused = refusal(&file);
    assert!(
        refused.contains("may not be read; ask as root"),
        "{refused}"
    );
}
