//! Namespaces, by whatever name.

use std::{
    io::{self, Read as _},
    panic,
    process::{Child, Command, Stdio},
    thread,
};

use nix::mount::{MsFlags, mount, umount};
use pinif_userspace::host::{
    namespaces::{Census, Enter},
    netns::{NetNs, NetNsError},
};
use tempfile::NamedTempFile;

use crate::card::Card;

#[test]
fn namespaces_are_distinguished_and_entered() {
    let (one, other) = (Card::new(), Card::new());
    let (first, second) = (one.netns(), other.netns());
    let own = NetNs::current().expect("current");
    let mut cookies = [first.cookie, second.cookie, own.cookie];
    cookies.sort_unstable();
    assert!(
        cookies.windows(2).all(|pair| pair[0] != pair[1]),
        "{cookies:?}"
    );
    assert_eq!(
        (first.name.as_str(), second.name.as_str()),
        (one.0.as_str(), other.0.as_str())
    );

    let by_path = NetNs::named(&format!("/run/netns/{}", one.0)).expect("by path");
    assert_eq!((&by_path, &by_path.name), (&first, &one.0));
    let inside = first
        .run(|| NetNs::current().map(|netns| (netns.name, netns.cookie)))
        .expect("run")
        .expect("current");
    assert_eq!(inside, (one.0.clone(), first.cookie));
    assert_eq!(
        NetNs::current().expect("current").cookie,
        own.cookie,
        "the caller stays where it is"
    );
    let caller = thread::current().id();
    let visited = second.visit(|| {
        let netns = NetNs::current().expect("current");
        (netns.cookie, thread::current().id())
    });
    assert_eq!(visited.expect("a visit"), (second.cookie, caller));
    let broken = panic::catch_unwind(|| second.visit(|| panic!("inside")));
    assert!(broken.is_err());
    assert_eq!(
        NetNs::current().expect("current").cookie,
        own.cookie,
        "the caller is back"
    );

    // Other tests' namespaces come and go at the same time.
    let census = Census::take(&[]).expect("a census");
    let mut ours: Vec<_> = census
        .inodes()
        .filter(|inode| [&one.0, &other.0].contains(&&census.name(*inode)))
        .map(|inode| census.open(inode).expect("no error").expect("it is there"))
        .collect();
    ours.sort_by_key(|netns| netns.name.clone());
    assert_eq!(ours, [first.clone(), second.clone()]);
    let error = NetNs::named(&format!("{}-not", one.0)).expect_err("unknown");
    let NetNsError::Unknown { known, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        known.contains(&one.0) && error.to_string().contains("ip netns list"),
        "{error}"
    );

    let refused = io::Error::from(io::ErrorKind::PermissionDenied);
    let name = one.0.clone();
    let error = anyhow::Error::from(NetNsError::Denied {
        name,
        source: refused,
    });
    let all = format!("{error:#}");
    assert_eq!(all.matches("permission denied").count(), 1, "{all}");

    drop(one);
    assert_eq!(first.run(|| 7).expect("it lives as long as it is held"), 7);
    assert!(matches!(
        NetNs::named(&first.name),
        Err(NetNsError::Unknown { .. })
    ));
}

#[test]
fn a_process_names_its_namespace() {
    let card = Card::new();
    let netns = card.netns();
    let mut child = netns
        .run(|| Command::new("sleep").arg("60").spawn())
        .expect("run")
        .expect("sleep");
    let by_process = NetNs::named(&child.id().to_string());
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert_eq!(by_process.expect("by process"), netns);
}

/// A child that has made a network namespace for itself, and ends with this.
struct Alone(Child);

impl Alone {
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec sleep 60"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1)");
        let mut in_it = [0];
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut in_it).expect("it is in it");
        Self(child)
    }

    fn netns(&self) -> NetNs {
        NetNs::named(&self.0.id().to_string()).expect("it is there")
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a line of a shell says that stands where this test does.
fn said(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

/// Whatever leads to a namespace, and whether a command has an option for it or not, it works in that one.
#[test]
fn a_command_works_in_the_namespace_that_it_is_for() {
    let (card, alone) = (Card::new(), Alone::new());
    let own = NetNs::current().expect("current");
    let works = |enter: &Enter, netns: &NetNs| {
        let look = "readlink /proc/self/ns/net";
        let line = enter.line(look).expect("something leads there");
        assert_eq!(said(&line), format!("net:[{}]", netns.inode), "{line}");
        let look = "ip -br address";
        let line = enter.line(look).expect("the same");
        let there = netns.run(|| said(look)).expect("it is there");
        assert_eq!(said(&line), there, "{line}");
    };
    let named = Enter::of(&card.netns());
    assert_eq!(named, Enter::Named(card.0.as_str().into()));
    works(&named, &card.netns());

    let process = Enter::of(&alone.netns());
    assert_eq!(process, Enter::Process(alone.0.id()));
    works(&process, &alone.netns());

    let file = NamedTempFile::with_prefix("net space").expect("a file");
    let path = file.path().to_str().expect("text");
    let namespace = format!("/proc/{}/ns/net", alone.0.id());
    let none: Option<&str> = None;
    mount(Some(namespace.as_str()), path, none, MsFlags::MS_BIND, none).expect("mounted");
    let mounted = Enter::of(&alone.netns());
    assert_eq!(mounted, Enter::Mounted(path.into()));
    works(&mounted, &alone.netns());
    umount(path).expect("it is mounted");
    assert!(!mounted.leads_to(alone.netns().inode));

    let inode = alone.netns().inode;
    drop(alone);
    assert!(!process.leads_to(inode));
    works(&Enter::of(&own), &own);
}
