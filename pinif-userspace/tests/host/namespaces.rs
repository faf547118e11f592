//! Namespaces, by whatever name.

use std::process::Command;

use pinif_userspace::host::{
    namespaces::Census,
    netns::{NetNs, NetNsError},
};

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
