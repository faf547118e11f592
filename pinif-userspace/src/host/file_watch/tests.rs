//! Tests of what is noticed.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn each_link_on_the_way_decides_where_it_leads() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("it is there");
    let at = |name: &str| root.join(name);
    for name in ["v1", "v1/in", "other"] {
        fs::create_dir(at(name)).expect("a folder");
    }
    symlink("../v1/./in", at("other/second")).expect("a link");
    symlink(at("other/second"), at("first")).expect("a link");
    symlink("turns", at("turns")).expect("a link");
    let way = |name: &str| {
        let Way {
            decisive, passed, ..
        } = Way::to(&at(name)).expect("absolute");
        let below = |all: BTreeSet<PathBuf>| {
            let all = all.into_iter();
            let below = all.filter_map(|one| Some(one.strip_prefix(&root).ok()?.to_owned()));
            below.collect::<Vec<_>>()
        };
        (below(decisive), below(passed))
    };
    let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
    let all = paths(&["", "other", "v1", "v1/in"]);
    let deciding = paths(&["", "other", "v1/in"]);
    for name in ["first/file", "first/../in/../../first/file"] {
        assert_eq!(way(name), (deciding.clone(), all.clone()), "{name}");
    }
    // What is not there yet comes to be in the last that is.
    assert_eq!(way("v1/none/file"), (paths(&["v1"]), paths(&["", "v1"])));
    assert_eq!(way("turns/file"), (paths(&[""]), paths(&[""])));
    let open = Way::to(Path::new("/proc/self/fd/0")).expect("absolute");
    assert!(open.decisive.is_empty(), "{open:?}");
    let guards = || Way::to(&at("first/file")).expect("absolute").guards();
    let before = guards();
    fs::write(at("v1/in/file"), "").expect("it is ours");
    assert_eq!(guards(), before);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o770);
    fs::set_permissions(at("v1"), mode).expect("it is ours");
    assert_ne!(guards(), before);
}

#[tokio::test]
async fn what_is_read_or_not_watched_any_more_is_no_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["one", "other"] {
        fs::create_dir(at(name)).expect("a folder");
    }
    fs::write(at("one/file"), "").expect("a file");
    let (mut watch, mut changes) = Watch::new(Happening::Contents).expect("inotify");
    let mut happened = || changes.drain();
    let all = |names: &[&str]| names.iter().map(|name| at(name)).collect();
    watch
        .look_at_all(&all(&["one"]), false)
        .expect("it is there");
    fs::read(at("one/file")).expect("a file");
    assert!(!happened(), "it is read");
    fs::write(at("one/file"), "it").expect("a file");
    assert!(happened(), "it is written");
    watch
        .look_at_all(&all(&["other"]), false)
        .expect("it is there");
    fs::write(at("one/file"), "").expect("a file");
    assert!(!happened(), "nobody looks at it any more");
    assert!(watch.look_at_all(&all(&["none"]), false).is_err());
    watch
        .look_at_all(&all(&["other", "none"]), true)
        .expect("it need not be there");
    fs::write(at("other/file"), "").expect("a file");
    assert!(happened());
}

/// A writer that is faster than the reader would keep it for good.
#[tokio::test]
async fn one_read_is_made_for_each_time_that_something_has_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut watch, mut changes) = Watch::new(Happening::Contents).expect("inotify");
    let all = [folder.path().to_owned()].into();
    watch.look_at_all(&all, false).expect("it is there");
    // Each makes an event of 32 bytes or more: a read gives 4,096.
    for number in 0..300 {
        fs::write(folder.path().join(number.to_string()), "").expect("it is ours");
    }
    for time in ["first", "second"] {
        let next = timeout(Duration::from_secs(30), changes.next()).await;
        assert_eq!(next.expect("it is noticed"), Some(()), "{time}");
    }
    assert!(changes.drain(), "there is more");
    assert!(!changes.drain(), "that was all");
}
