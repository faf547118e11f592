//! Interfaces, addresses, and the netlink events of them.

use std::{fs, future::Future, process::Command, time::Duration};

use futures::FutureExt as _;
use pinif_ebpf::key::IfIndex;
use pinif_lab::FALLBACK_TUNNELS;
use pinif_userspace::host::{
    addresses::LocalAddress,
    lower_devices::lower_devices,
    network::{Change, Network, NetworkWatch},
    qdisc_watch::QdiscWatch,
};

use crate::card::{Card, card, ip, run};

fn block_on<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

fn watch(card: &Card) -> (Network, NetworkWatch) {
    NetworkWatch::open(&card.netns(), &tokio::runtime::Handle::current()).expect("a watch")
}

/// Learns of changes until one is as wanted.
async fn until(
    network: &mut Network,
    watch: &mut NetworkWatch,
    wanted: impl Fn(&Change) -> bool,
) -> Change {
    let mut seen = Vec::new();
    loop {
        let Ok(change) =
            tokio::time::timeout(pinif_lab::patience(Duration::from_secs(20)), watch.next()).await
        else {
            panic!("it did not come; what came is {seen:#?}");
        };
        network.apply(&change);
        if wanted(&change) {
            return change;
        }
        seen.push(change);
    }
}

/// Learns of changes until what was learnt is what there is.
async fn settle(card: &Card, network: &mut Network, watch: &mut NetworkWatch) {
    while *network != card.network() {
        until(network, watch, |_| true).await;
    }
}

/// The network once it is as wanted: the kernel works operational states out at its leisure (`linkwatch_event`).
fn network_when(card: &Card, wanted: impl Fn(&Network) -> bool) -> Network {
    block_on(async {
        let (mut network, mut watch) = watch(card);
        while !wanted(&network) {
            until(&mut network, &mut watch, |_| true).await;
        }
        network
    })
}

#[test]
fn links_and_their_lower_devices() {
    let card = card();
    card.ip("link add br0 type bridge");
    card.ip("link set fab0 master br0");
    card.ip("link add mv0 link br0 type macvlan mode bridge");
    card.ip("link add vx0 type vxlan id 7 dev eth1 dstport 4789 local 192.0.2.1");
    card.ip("link set peer1 down");
    let running = |network: &Network, name: &str| {
        network.links.by_name(name).is_some_and(|link| link.running)
    };
    let Network { links, addresses } = network_when(&card, |network| {
        running(network, "fab0") && !running(network, "eth1")
    });
    let index = |name: &str| links.by_name(name).expect(name).index;
    let link = |name: &str| links.by_name(name).expect(name);

    let made = links
        .iter()
        .filter(|link| !FALLBACK_TUNNELS.contains(&&*link.name));
    assert_eq!(made.count(), 8);
    assert_eq!(link("lo").kind, None);
    assert!(link("lo").loopback && link("lo").index == IfIndex::LOOPBACK && !link("fab0").loopback);
    let kinds =
        ["fab0", "br0", "mv0", "vx0"].map(|name| link(name).kind.as_deref().expect("a kind"));
    assert_eq!(kinds, ["veth", "bridge", "macvlan", "vxlan"]);
    assert_eq!(link("fab0").controller, Some(index("br0")));
    assert_eq!(
        link("fab0").lower,
        None,
        "the other end of a veth is not below it"
    );
    assert_eq!(
        (link("mv0").lower, link("vx0").lower),
        (Some(index("br0")), Some(index("eth1")))
    );
    assert!(link("fab0").up && link("fab0").running);
    assert!(link("eth1").up && !link("eth1").running, "its peer is down");
    assert!(!link("peer1").up && !link("mv0").up);
    assert_eq!((link("fab0").mtu, link("vx0").mtu), (1500, 1450));

    let expected = [
        ("br0", "fab0"),
        // The peer of fab0, which is a port of br0.
        ("peer0", "br0"),
        ("peer0", "fab0"),
        ("mv0", "br0"),
        ("mv0", "fab0"),
        ("vx0", "eth1"),
    ];
    assert_eq!(
        lower_devices(&links),
        expected
            .map(|(upper, lower)| (index(upper), index(lower)))
            .into()
    );

    assert_eq!(
        addresses.sole_owner(ip("10.0.0.1"), &links),
        Some(index("fab0"))
    );
    assert_eq!(
        addresses.sole_owner(ip("2001:db8:1::1"), &links),
        Some(index("eth1"))
    );
    assert_eq!(addresses.sole_owner(ip("127.0.0.1"), &links), None);
    assert_eq!(addresses.sole_owner(ip("::1"), &links), None);
    card.ip("addr add 10.0.0.1/32 dev eth1");
    card.ip("addr add 198.51.100.1/32 dev lo");
    let Network { links, addresses } = card.network();
    assert_eq!(
        addresses.sole_owner(ip("10.0.0.1"), &links),
        None,
        "two have it"
    );
    assert_eq!(
        addresses.sole_owner(ip("198.51.100.1"), &links),
        None,
        "a router-id"
    );
}

#[test]
fn a_macvlan_that_moved_away_has_nothing_below_it() {
    let (card, container) = (card(), Card::new());
    card.ip("link add mv0 link fab0 type macvlan mode bridge");
    let lower = |card: &Card| card.network().links.by_name("mv0").expect("mv0").lower;
    assert_eq!(lower(&card), Some(card.index("fab0")));
    card.ip(&format!("link set mv0 netns {}", container.0));
    assert_eq!(
        lower(&container),
        None,
        "what is below is in another namespace"
    );
}

#[test]
fn changes_come_as_they_happen() {
    let card = card();
    let elsewhere = Card::new();
    block_on(async {
        let (mut network, mut watch) = watch(&card);
        let (fab0, eth1) = (card.index("fab0"), card.index("eth1"));
        assert_eq!(network.links.get(fab0).map(|link| link.up), Some(true));

        card.ip("link set fab0 down");
        until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::Link(link) if link.index == fab0 && !link.up),
        )
        .await;
        card.ip("addr add 10.0.0.9/24 dev fab0");
        let is_new = |address: &LocalAddress| address.address == ip("10.0.0.9");
        let change = until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::Address(new) if is_new(new)),
        )
        .await;
        let Change::Address(address) = change else {
            panic!("{change:?}")
        };
        assert_eq!((address.index, address.prefix_len), (fab0, 24));
        card.ip("addr del 10.0.0.9/24 dev fab0");
        until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::AddressGone(gone) if is_new(gone)),
        )
        .await;

        card.ip("link add br0 type bridge");
        card.ip("link set fab0 master br0");
        until(&mut network, &mut watch, |change| {
            matches!(change, Change::Link(link) if link.index == fab0 && link.controller.is_some())
        })
        .await;
        card.ip("link set fab0 nomaster");
        until(&mut network, &mut watch, |change| {
            matches!(change, Change::Link(link) if link.index == fab0 && link.controller.is_none())
        })
        .await;
        assert_eq!(
            network
                .links
                .get(fab0)
                .and_then(|link| link.kind.as_deref()),
            Some("veth")
        );
        card.ip("link del br0");
        until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::LinkGone(_, name) if name == "br0"),
        )
        .await;

        card.ip("link set fab0 name back0");
        until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::Link(link) if link.name == "back0"),
        )
        .await;
        assert_eq!(network.links.by_name("fab0"), None);
        card.ip("link set back0 name fab0");
        card.ip(&format!("link set fab0 netns {}", elsewhere.0));
        until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::LinkGone(index, _) if *index == fab0),
        )
        .await;
        card.ip("route add 203.0.113.0/24 via 192.0.2.2");
        until(&mut network, &mut watch, |change| *change == Change::Routes).await;
        card.ip("-6 rule add fwmark 7 lookup 100");
        until(&mut network, &mut watch, |change| *change == Change::Routes).await;

        card.ip("link del eth1");
        until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::LinkGone(index, _) if *index == eth1),
        )
        .await;
        until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::LinkGone(_, name) if name == "peer1"),
        )
        .await;
        assert_eq!(network, card.network(), "what was learnt is what there is");
        network = watch.dump().await.expect("a dump");
        settle(&card, &mut network, &mut watch).await;
    });
}

#[test]
fn events_that_were_lost_are_reported_and_read_again() {
    let card = card();
    block_on(async {
        let (mut network, mut watch) = watch(&card);
        // More events than the kernel keeps for a reader that does not read.
        let batch = std::env::temp_dir().join(format!("{}.batch", card.0));
        let toggle = "addr add 10.9.0.1/32 dev fab0\naddr del 10.9.0.1/32 dev fab0\n";
        fs::write(&batch, toggle.repeat(8000) + "link del eth1\n").expect("a file");
        run(&["-n", &card.0, "-batch", batch.to_str().expect("a path")]);
        fs::remove_file(&batch).expect("a file");
        until(&mut network, &mut watch, |change| *change == Change::Lost).await;
        network = watch.dump().await.expect("a dump");
        settle(&card, &mut network, &mut watch).await;
        card.ip("link set fab0 down");
        let fab0 = card.index("fab0");
        until(
            &mut network,
            &mut watch,
            |change| matches!(change, Change::Link(link) if link.index == fab0 && !link.up),
        )
        .await;
        settle(&card, &mut network, &mut watch).await;
    });
}

#[test]
fn what_is_changed_at_a_qdisc_is_reported_and_nothing_else() {
    let card = card();
    block_on(async {
        let runtime = tokio::runtime::Handle::current();
        let mut watch = QdiscWatch::open(&card.netns(), &runtime).expect("a watch");
        for change in [
            "qdisc add dev eth1 clsact",
            "filter add dev eth1 egress pref 7 protocol ip u32 match u32 0 0",
            "filter del dev eth1 egress pref 7 protocol ip",
            "filter add dev eth1 egress pref 7 protocol ip u32 match u32 0 0",
            "filter del dev eth1 egress",
            "qdisc del dev eth1 clsact",
        ] {
            card.ip("link set eth1 mtu 1400");
            // The runtime looks what there is to be read.
            tokio::task::yield_now().await;
            assert!(watch.next().now_or_never().is_none(), "{change}");
            let mut tc = Command::new("tc");
            tc.args(["-n", &card.0]).args(change.split_whitespace());
            assert!(tc.status().expect("the tc tool").success(), "{change}");
            let patience = pinif_lab::patience(Duration::from_secs(20));
            let reported = tokio::time::timeout(patience, watch.next()).await;
            assert!(reported.is_ok(), "{change}");
        }
    });
}
