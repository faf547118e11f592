//! The file is moved, copied or replaced while it is written.

use super::*;

/// As many findings, in a file.
fn kept(file: &File, number: u64, packets: u64) -> Store {
    let mut store = file.open();
    let findings = (0..number).map(|id| line(id, packets, 1));
    store
        .write(&batch(audit(packets, "a", packets), findings), &begin())
        .expect("it is written");
    store
}

fn goes_on(store: Store, file: &File) -> Store {
    assert!(!store.is_in_place());
    let mut store = store.reopen().expect("a store");
    assert!(store.is_in_place());
    store
        .write(&batch(audit(1, "a", 2), [line(999, 2, 2)]), &begin())
        .expect("it is written");
    store.settle();
    assert_eq!(whole(&file.path), "ok");
    store
}

#[test]
fn a_copy_of_the_file_alone_has_all_that_was_written() {
    let (file, copy) = (File::new(), File::new());
    let store = kept(&file, 3, 5);
    store.settle();
    fs::copy(&file.path, &copy.path).expect("it is copied");
    assert_eq!(counts(&copy.page()), [(5, 1); 3]);
    assert_eq!(whole(&copy.path), "ok");
}

#[test]
fn a_file_that_was_moved_has_all_that_was_written_to_it() {
    let (file, moved) = (File::new(), File::new());
    // Be it before or after it was moved into the file.
    for settled in [false, true] {
        let store = kept(&file, 3, 5);
        if settled {
            store.settle();
        }
        fs::rename(&file.path, &moved.path).expect("it is moved");
        let store = goes_on(store, &file);
        assert_eq!(counts(&file.page()), [(2, 1)]);
        assert_eq!(counts(&moved.page()), [(5, 1); 3]);
        assert_eq!(whole(&moved.path), "ok");
        drop(store);
        fs::remove_file(&file.path).expect("it is removed");
    }
}

#[test]
fn a_file_that_takes_the_place_of_another_stays_whole() {
    let (file, other) = (File::new(), File::new());
    for read in [false, true] {
        drop(kept(&other, 505, 7));
        let store = kept(&file, 3, 5);
        // Somebody reads for so long that the log cannot be emptied.
        let mut reader = Connection::open(&file.path).expect("it opens");
        let reading = read.then(|| {
            let all = reader.transaction().expect("a transaction");
            let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            let found = all.query_row("SELECT count(*) FROM finding", [], count);
            assert_eq!(found.expect("a number"), 3);
            all
        });
        fs::rename(&other.path, &file.path).expect("it is moved");
        let store = goes_on(store, &file);
        let mut all = counts(&file.page());
        all.sort_unstable();
        let mut right = vec![(7, 1); 505];
        right.insert(0, (2, 1));
        assert_eq!(all, right);
        drop((reading, store));
        drop(reader);
        fs::remove_file(&file.path).expect("it is removed");
    }
}

/// What somebody has put there with a log of its own is not without it.
#[test]
fn the_log_of_a_file_that_takes_the_place_of_another_is_its_own() {
    let (file, other) = (File::new(), File::new());
    let store = kept(&file, 3, 5);
    // As a process that was killed leaves it.
    let wrote = kept(&other, 9, 7);
    for end in ["-wal", ""] {
        let of = |file: &File| {
            let mut path = file.path.clone().into_os_string();
            path.push(end);
            path
        };
        let put = other.path.with_extension("put");
        fs::copy(of(&other), &put).expect("it is copied");
        fs::rename(&put, of(&file)).expect("it is moved");
    }
    drop(wrote);
    drop(goes_on(store, &file));
    let mut all = counts(&file.page());
    all.sort_unstable();
    let mut right = vec![(7, 1); 9];
    right.insert(0, (2, 1));
    assert_eq!(all, right);
}
