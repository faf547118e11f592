//! What pinif knows of the host, against real namespaces, interfaces, routes and sockets.

use std::{
    fs,
    future::Future,
    net::{IpAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt,
};
use pinif_ebpf::key::{IfIndex, SocketCookie};
use pinif_userspace::host::{
    carriers::carriers,
    netns::{NetNs, NetNsError},
    network::{Change, Network, NetworkWatch},
    processes,
    routes::{Route, RouteError, RouteOracle, RouteProtocol, RouteQuery, RouteType},
    sockets,
};

/// A namespace of this test alone, gone with it.
struct Card(String);

impl Card {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "pinif-host-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        run(&["netns", "add", &name]);
        let card = Self(name);
        card.ip("link set lo up");
        card
    }

    /// `ip` inside the namespace.
    fn ip(&self, arguments: &str) {
        let mut all = vec!["-n", &self.0];
        all.extend(arguments.split_whitespace());
        run(&all);
    }

    fn netns(&self) -> NetNs {
        NetNs::named(&self.0).expect("the namespace")
    }

    fn network(&self) -> Network {
        Network::read(&self.netns()).expect("a network")
    }

    fn oracle(&self) -> RouteOracle {
        RouteOracle::open(&self.netns()).expect("an oracle")
    }

    fn index(&self, name: &str) -> IfIndex {
        self.network().links.by_name(name).expect(name).index
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// fab0 (10.0.0.1/24, 2001:db8::1/64) and eth1 (192.0.2.1/24, 2001:db8:1::1/64), up, each with its peer beside it.
fn card() -> Card {
    let card = Card::new();
    for (name, peer, v4, v6) in [
        ("fab0", "peer0", "10.0.0.1/24", "2001:db8::1/64"),
        ("eth1", "peer1", "192.0.2.1/24", "2001:db8:1::1/64"),
    ] {
        card.ip(&format!("link add {name} type veth peer name {peer}"));
        card.ip(&format!("addr add {v4} dev {name}"));
        card.ip(&format!("addr add {v6} dev {name} nodad"));
        card.ip(&format!("link set {peer} up"));
        card.ip(&format!("link set {name} up"));
    }
    card
}

fn run(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .expect("the ip tool");
    assert!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

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
        let Ok(change) = tokio::time::timeout(Duration::from_secs(20), watch.next()).await else {
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

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn namespaces_are_told_apart_and_entered() {
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
    let named = NetNs::all_named().expect("all");
    let ours: Vec<_> = named
        .iter()
        .filter(|netns| [&one.0, &other.0].contains(&&netns.name))
        .collect();
    assert_eq!(ours, [&first, &second]);
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

#[test]
fn links_and_who_carries_whom() {
    let card = card();
    card.ip("link add br0 type bridge");
    card.ip("link set fab0 master br0");
    card.ip("link add mv0 link br0 type macvlan mode bridge");
    card.ip("link add vx0 type vxlan id 7 dev eth1 dstport 4789 local 192.0.2.1");
    card.ip("link set peer1 down");
    let Network { links, addresses } = card.network();
    let index = |name: &str| links.by_name(name).expect(name).index;
    let link = |name: &str| links.by_name(name).expect(name);

    assert_eq!(links.len(), 8);
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
        ("mv0", "br0"),
        ("mv0", "fab0"),
        ("vx0", "eth1"),
    ];
    assert_eq!(
        carriers(&links),
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
        let is_new = |address: &pinif_userspace::host::addresses::LocalAddress| {
            address.address == ip("10.0.0.9")
        };
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
fn news_that_were_lost_are_told_and_made_good() {
    let card = card();
    block_on(async {
        let (mut network, mut watch) = watch(&card);
        // More news than the kernel keeps for a reader that does not read.
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
fn routes_are_the_kernels_own_answer() {
    let card = card();
    card.ip("route add default via 192.0.2.2 metric 50");
    card.ip("-6 route add default via 2001:db8:1::2");
    card.ip("route add unreachable 198.51.100.0/24");
    card.ip("route add prohibit 198.51.101.0/24");
    card.ip("route add blackhole 198.51.102.0/24");
    let links = card.network().links;
    let (fab0, eth1) = (card.index("fab0"), card.index("eth1"));
    let mut oracle = card.oracle();
    let mut described = |to: &str| {
        oracle
            .look_up(&RouteQuery::to(ip(to)))
            .expect(to)
            .describe(&links)
    };

    assert_eq!(
        described("10.9.9.9"),
        "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
    );
    assert_eq!(
        described("10.0.0.2"),
        "route 10.0.0.0/24 dev fab0 in table main"
    );
    assert_eq!(
        described("10.0.0.1"),
        "local route 10.0.0.1/32 dev fab0 in table local"
    );
    assert_eq!(
        described("2001:db8::2"),
        "route 2001:db8::/64 dev fab0 in table main"
    );
    assert_eq!(
        described("2001:db8:9::9"),
        "route ::/0 via 2001:db8:1::2 dev eth1 in table main"
    );
    assert_eq!(
        described("2001:db8::1"),
        "local route 2001:db8::1/128 dev fab0 in table local"
    );

    let route = oracle
        .look_up(&RouteQuery::to(ip("10.9.9.9")))
        .expect("a route");
    let expected = Route {
        prefix: "0.0.0.0/0".parse().expect("a prefix"),
        gateway: Some(ip("192.0.2.2")),
        output: Some(eth1),
        table: 254,
        preferred_source: None,
        protocol: RouteProtocol::Boot,
        kind: RouteType::Unicast,
        metric: 50,
    };
    assert_eq!(route, expected);
    let connected = oracle
        .look_up(&RouteQuery::to(ip("10.0.0.2")))
        .expect("a route");
    assert_eq!(
        (connected.output, connected.preferred_source),
        (Some(fab0), Some(ip("10.0.0.1")))
    );

    let mut refused = |to: &str| oracle.look_up(&RouteQuery::to(ip(to))).expect_err(to);
    assert!(matches!(
        refused("198.51.100.1"),
        RouteError::Unreachable(_)
    ));
    assert!(matches!(refused("198.51.101.1"), RouteError::Prohibited(_)));
    assert!(matches!(
        refused("198.51.102.1"),
        RouteError::Refused { .. }
    ));
    let through = |output, to: &str| RouteQuery {
        output: Some(output),
        ..RouteQuery::to(ip(to))
    };
    assert_eq!(
        oracle.look_up(&through(eth1, "10.9.9.9")).expect("a route"),
        expected
    );
    assert!(matches!(
        oracle.look_up(&through(fab0, "10.9.9.9")),
        Err(RouteError::OnLink(_))
    ));
    assert!(matches!(
        oracle.look_up(&through(fab0, "2001:db8:9::9")),
        Err(RouteError::Unreachable(_))
    ));
    assert!(matches!(
        oracle.look_up(&through(IfIndex(4_000), "10.9.9.9")),
        Err(RouteError::Refused { .. })
    ));

    card.ip("route del default");
    card.ip("-6 route del default");
    assert!(matches!(
        oracle.look_up(&RouteQuery::to(ip("10.9.9.9"))),
        Err(RouteError::Unreachable(_))
    ));
    assert!(matches!(
        oracle.look_up(&RouteQuery::to(ip("2001:db8:9::9"))),
        Err(RouteError::Unreachable(_))
    ));
}

#[test]
fn rules_choose_the_table_that_is_told() {
    let card = card();
    card.ip("route add default via 192.0.2.2");
    card.ip("route add default via 10.0.0.2 table 100");
    card.ip("-6 route add default via 2001:db8::2 table 100");
    card.ip("rule add fwmark 7 lookup 100");
    card.ip("-6 rule add fwmark 7 lookup 100");
    card.ip("rule add from 10.0.0.1 lookup 100");
    card.ip("rule add uidrange 4711-4711 lookup 100");
    card.ip("rule add ipproto udp dport 4789 lookup 100");
    let links = card.network().links;
    let mut oracle = card.oracle();
    let mut described =
        |query: RouteQuery| oracle.look_up(&query).expect("a route").describe(&links);

    let (outside, inside) = (
        "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        "route 0.0.0.0/0 via 10.0.0.2 dev fab0 in table 100",
    );
    let plain = RouteQuery::to(ip("10.9.9.9"));
    assert_eq!(described(plain.clone()), outside);
    assert_eq!(
        described(RouteQuery {
            mark: 7,
            ..plain.clone()
        }),
        inside
    );
    assert_eq!(
        described(RouteQuery {
            source: Some(ip("10.0.0.1")),
            ..plain.clone()
        }),
        inside
    );
    assert_eq!(
        described(RouteQuery {
            source: Some(ip("192.0.2.1")),
            ..plain.clone()
        }),
        outside
    );
    assert_eq!(
        described(RouteQuery {
            uid: Some(4711),
            ..plain.clone()
        }),
        inside
    );
    assert_eq!(
        described(RouteQuery {
            uid: Some(4712),
            ..plain.clone()
        }),
        outside
    );
    let datagram = RouteQuery {
        protocol: Some(17),
        destination_port: Some(4789),
        ..plain.clone()
    };
    assert_eq!(described(datagram.clone()), inside);
    assert_eq!(
        described(RouteQuery {
            destination_port: Some(4790),
            ..datagram
        }),
        outside
    );
    assert_eq!(
        described(RouteQuery {
            protocol: Some(132),
            ..plain
        }),
        outside
    );
    let marked = RouteQuery {
        mark: 7,
        ..RouteQuery::to(ip("2001:db8:9::9"))
    };
    assert_eq!(
        described(marked),
        "route ::/0 via 2001:db8::2 dev fab0 in table 100"
    );
    assert_eq!(
        described(RouteQuery::to(ip("10.0.0.1"))),
        "local route 10.0.0.1/32 dev fab0 in table local"
    );
}

#[test]
fn of_several_next_hops_the_flows_own_is_told() {
    let card = card();
    card.ip(
        "route add 203.0.113.0/24 nexthop via 192.0.2.2 dev eth1 nexthop via 10.0.0.2 dev fab0",
    );
    card.ip("-6 route add 2001:db8:7::/64 nexthop via 2001:db8:1::2 dev eth1 nexthop via 2001:db8::2 dev fab0");
    let mut oracle = card.oracle();
    let (fab0, eth1) = (card.index("fab0"), card.index("eth1"));
    let hops = [
        (ip("192.0.2.2"), eth1),
        (ip("10.0.0.2"), fab0),
        (ip("2001:db8:1::2"), eth1),
        (ip("2001:db8::2"), fab0),
    ];
    for (to, prefix) in [
        ("203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:7::9", "2001:db8:7::/64"),
    ] {
        let route = oracle.look_up(&RouteQuery::to(ip(to))).expect("a route");
        assert_eq!(route.prefix.to_string(), prefix);
        let hop = (
            route.gateway.expect("a gateway"),
            route.output.expect("an interface"),
        );
        assert!(hops.contains(&hop), "{hop:?}");
    }
}

/// `SO_COOKIE`, which nix does not know.
fn cookie(socket: &impl AsFd) -> SocketCookie {
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `length` bytes into the eight of `cookie`.
    let result = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "SO_COOKIE");
    SocketCookie(cookie)
}

fn inode(socket: &impl AsFd) -> u64 {
    nix::sys::stat::fstat(socket).expect("fstat").st_ino
}

#[test]
fn sockets_that_were_there_before_are_known_with_their_owner() {
    let card = card();
    let netns = card.netns();
    let (udp, listener) = netns
        .run(|| {
            let udp = UdpSocket::bind("10.0.0.1:4000").expect("a socket");
            setsockopt(&udp, sockopt::BindToDevice, &"fab0".into()).expect("SO_BINDTODEVICE");
            setsockopt(&udp, sockopt::Mark, &7).expect("SO_MARK");
            (udp, TcpListener::bind("[::]:4001").expect("a socket"))
        })
        .expect("run");
    let client = netns
        .run(|| TcpStream::connect("10.0.0.1:4001"))
        .expect("run")
        .expect("connected");
    let (server, _) = listener.accept().expect("accepted");
    let all = sockets::list(&netns).expect("sockets");
    assert_eq!(all.len(), 4, "{all:#?}");
    let find = |wanted: SocketCookie| {
        all.iter()
            .find(|socket| socket.cookie == wanted)
            .expect("the socket")
    };

    let pinned = find(cookie(&udp));
    assert_eq!(
        (pinned.inode, pinned.uid),
        (inode(&udp), nix::unistd::geteuid().as_raw())
    );
    assert_eq!(
        (pinned.protocol, pinned.raw, pinned.family),
        (17, false, libc::AF_INET as u8)
    );
    assert_eq!(
        (pinned.local, pinned.device),
        (
            "10.0.0.1:4000".parse().expect("an address"),
            Some(card.index("fab0"))
        )
    );
    assert_eq!((pinned.mark, pinned.remote.port()), (7, 0));
    let own = processes::describe(process::id())
        .and_then(|process| process.cgroup)
        .expect("a cgroup");
    assert_eq!(pinned.cgroup.and_then(processes::cgroup_path), Some(own));

    let (accepted, connected) = (find(cookie(&server)), find(cookie(&client)));
    assert_eq!(
        (accepted.local, accepted.remote),
        (connected.remote, connected.local)
    );
    assert_eq!(
        (accepted.local, accepted.family),
        (
            "10.0.0.1:4001".parse().expect("an address"),
            libc::AF_INET6 as u8
        )
    );
    assert_eq!(find(cookie(&listener)).device, None);

    for (socket, inode) in [
        (cookie(&udp), inode(&udp)),
        (cookie(&server), inode(&server)),
    ] {
        for protocol in [17, 6, 1] {
            assert_eq!(
                sockets::inode_of(&netns, socket, protocol).expect("an answer"),
                Some(inode)
            );
        }
    }
    assert_eq!(processes::holders(inode(&udp)), [process::id()]);
    assert_eq!(
        sockets::inode_of(&netns, SocketCookie(u64::MAX), 17).expect("an answer"),
        None
    );
    let own = NetNs::current().expect("current");
    assert_eq!(
        sockets::inode_of(&own, cookie(&udp), 17).expect("an answer"),
        None,
        "it is in another namespace"
    );
}

#[test]
fn packet_sockets_are_known() {
    let card = card();
    let netns = card.netns();
    assert_eq!(sockets::packets(&netns).expect("sockets"), []);
    let packet = netns
        .run(|| {
            let protocol = SockProtocol::EthAll;
            socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                protocol,
            )
            .expect("a socket")
        })
        .expect("run");
    let all = sockets::packets(&netns).expect("sockets");
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].cookie, all[0].inode, all[0].device),
        (cookie(&packet), inode(&packet), None)
    );
    assert_eq!(all[0].protocol, libc::ETH_P_ALL as u16);
    assert_eq!(
        sockets::inode_of(&netns, cookie(&packet), 255).expect("an answer"),
        Some(inode(&packet))
    );
}
