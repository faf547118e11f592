//! `pinif sockets`: what every socket of a namespace is bound to, and where it would leave.

mod choice;
pub use choice::midplane;
mod shown;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};

use pinif_lab::{Device, LinkKind, Namespace, Rule};
use pinif_userspace::schema;
use serde_json::{Value, json};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::bench::{Bench, Events, Need, SENDER, scenario, valid, wait_until};

fn pinif(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command
        .args(["sockets", "--netns", bench.card().name()])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// What is reported of the card's sockets but the peers of the chassis.
fn lines(bench: &Bench) -> Vec<Value> {
    let output = pinif(bench, &["--format", "json"]).output().expect("pinif");
    assert!(
        matches!(output.status.code(), Some(0 | 2 | 3)),
        "{output:?}"
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .map(|line| valid(line, schema::sockets))
        // A kernel that lists no raw sockets says so in another line.
        .filter(|line| line["type"] == "socket")
        .collect()
}

/// What the tests look at, by the port or protocol that identifies the socket.
fn line_of(bench: &Bench, of: &str) -> Value {
    let all = lines(bench);
    let found = all.iter().find(|line| {
        let local = line["local"].as_str().unwrap_or_default();
        local.ends_with(of) || line["protocol"] == of
    });
    let line = found.unwrap_or_else(|| panic!("no {of} in {all:?}"));
    let keys = [
        "risk",
        "severity",
        "bound_device",
        "leaves_by",
        "default_interface",
        "why",
    ];
    keys.iter()
        .map(|key| ((*key).to_owned(), line[*key].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn udp(card: &Namespace, local: &str, device: Option<&str>, remote: Option<&str>) -> UdpSocket {
    card.run(|| {
        let socket = UdpSocket::bind(local).expect("a socket");
        SockRef::from(&socket)
            .bind_device(device.map(str::as_bytes))
            .expect("a device");
        if let Some(remote) = remote {
            socket.connect(remote).expect("a route");
        }
        socket
    })
    .expect("the card is there")
}

#[test]
fn each_socket_is_listed_with_where_it_would_leave() {
    scenario("sockets risks", &[], |bench| {
        let card = bench.card();
        let default = "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main";
        let cases = [
            ("10.0.0.1:7001", None, Some("203.0.113.9:9"), "misrouted", Some("risk"), Some("eth1"), None, format!("10.0.0.1 is fab0's; {default}")),
            ("192.0.2.1:7002", None, Some("203.0.113.9:9"), "default-route", Some("risk"), Some("eth1"), None, format!("nothing binds it; {default}")),
            ("0.0.0.0:7003", None, None, "default-route", Some("risk"), None, Some("eth1"), "nothing binds it; what has no route of its own leaves via eth1".to_owned()),
            ("10.0.0.1:7004", None, None, "default-route", Some("risk"), None, Some("eth1"), "nothing binds it; 10.0.0.1 is fab0's, and what has no route of its own leaves via eth1".to_owned()),
            ("10.0.0.1:7005", None, Some("10.0.0.2:9"), "unpinned", Some("note"), Some("fab0"), None, "nothing binds it; route 10.0.0.0/24 dev fab0 src 10.0.0.1 in table main".to_owned()),
            ("192.0.2.1:7006", Some("fab0"), None, "crossed", Some("note"), Some("fab0"), None, "192.0.2.1 is eth1's, and it is bound to fab0".to_owned()),
            ("10.0.0.1:7007", Some("fab0"), Some("10.9.0.9:9"), "pinned", None, Some("fab0"), None, "it is bound to fab0".to_owned()),
            ("127.0.0.1:7008", None, None, "internal", None, Some("lo"), None, "127.0.0.1 is lo's".to_owned()),
            ("10.0.0.1:7009", None, Some("192.0.2.1:9"), "internal", None, Some("lo"), None, "its peer is this host".to_owned()),
            ("[fd00::1]:7010", None, Some("[2001:db8:f::9]:9"), "misrouted", Some("risk"), Some("eth1"), None, "fd00::1 is fab0's; route ::/0 via 2001:db8::2 dev eth1 in table main".to_owned()),
            ("[::]:7011", None, None, "default-route", Some("risk"), None, Some("eth1"), "nothing binds it; what has no route of its own leaves via eth1".to_owned()),
        ];
        let _open: Vec<_> = cases
            .iter()
            .map(|(local, device, remote, ..)| udp(card, local, *device, *remote))
            .collect();
        for (local, device, _, risk, severity, leaves, default, why) in &cases {
            let port = &local[local.rfind(':').expect("a port")..];
            let expected = json!({
                "risk": risk, "severity": severity, "bound_device": device, "leaves_by": leaves,
                "default_interface": default, "why": why,
            });
            assert_eq!(line_of(bench, port), expected, "{local}");
        }
        let order: Vec<_> = lines(bench)
            .iter()
            .map(|line| line["risk"].as_str().expect("text").to_owned())
            .collect();
        let expected = [
            "misrouted",
            "misrouted",
            "default-route",
            "default-route",
            "default-route",
            "default-route",
            "unpinned",
            "crossed",
            "pinned",
            "internal",
            "internal",
        ];
        assert_eq!(order, expected);
    });
}

#[test]
fn the_owner_of_a_socket_is_listed() {
    scenario("sockets owner", &[], |bench| {
        let mut sender = bench.sender("--wait-stdin raw --bind-device fab0 --to 10.0.0.2");
        sender.wait_for("ready");
        let line = lines(bench)
            .into_iter()
            .find(|line| line["protocol"] == "raw 253");
        if let Some(line) = line {
            let process = &line["processes"][0];
            assert_eq!(
                (&process["comm"], &process["exe"]),
                (&json!("pinif-sender"), &json!(*SENDER))
            );
            assert_eq!(process["cgroup"], json!(bench.cgroup()));
            assert_eq!(line["local"], "0.0.0.0");
        }
        let _open = udp(bench.card(), "0.0.0.0:7001", None, None);
        let line = lines(bench)
            .into_iter()
            .find(|line| line["local"] == "0.0.0.0:7001")
            .expect("a socket");
        assert_eq!(line["processes"][0]["pid"], json!(std::process::id()));
        assert_eq!(line["uid"], json!(0));
    });
}

#[test]
fn listeners_packet_sockets_and_marks_are_listed() {
    scenario("sockets kinds", &[], |bench| {
        let card = bench.card();
        let _listener = card
            .run(|| TcpListener::bind("10.0.0.1:7001"))
            .expect("the card")
            .expect("a listener");
        let line = lines(bench)
            .into_iter()
            .find(|line| line["local"] == "10.0.0.1:7001")
            .expect("it is listed");
        assert_eq!(
            (&line["state"], &line["protocol"]),
            (&json!("listen"), &json!("tcp"))
        );

        let _packet =
            card.run(|| Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0))));
        let _packet = _packet.expect("the card").expect("a packet socket");
        assert_eq!(line_of(bench, "packet")["risk"], "unpinned");

        card.add_rule(Rule { mark: 7, table: 77 }).expect("a rule");
        let inside = pinif_lab::Route::new("10.9.0.0/16".parse().expect("a prefix"), "fab0");
        card.add_route(inside.table(77)).expect("a route");
        let marked = card.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:7002").expect("a socket");
            SockRef::from(&socket).set_mark(7).expect("a mark");
            socket.connect("10.9.0.9:9").expect("a route");
            socket
        });
        let _marked = marked.expect("the card is there");
        let line = line_of(bench, ":7002");
        assert_eq!(
            (&line["risk"], &line["leaves_by"]),
            (&json!("unpinned"), &json!("fab0"))
        );
        let why = line["why"].as_str().expect("text");
        assert!(why.contains("(fwmark 0x7) sent it to table 77"), "{why}");
    });
}

#[test]
fn a_socket_whose_device_is_down_or_gone_or_without_carrier_is_stuck() {
    scenario("sockets stuck", &[Need::Program("ip")], |bench| {
        let card = bench.card();
        let _open = udp(card, "0.0.0.0:7001", Some("fab0"), None);
        assert_eq!(line_of(bench, ":7001")["risk"], "pinned");
        let events = Events::of_links([card]);
        bench.chassis.peer.set_down("fab0").expect("it is there");
        wait_until("fab0 has no carrier", &events, || {
            bench.ask("ip", "link show fab0").contains("NO-CARRIER")
        });
        let line = line_of(bench, ":7001");
        assert_eq!(
            (&line["risk"], &line["why"]),
            (
                &json!("stuck"),
                &json!("fab0, which it is bound to, has no carrier")
            )
        );
        card.set_down("fab0").expect("down");
        let line = line_of(bench, ":7001");
        assert_eq!(line["risk"], "stuck");
        assert_eq!(line["why"], "fab0, which it is bound to, is down");
        card.delete_link("fab0").expect("it is there");
        assert_eq!(
            line_of(bench, ":7001")["why"],
            "the device that it is bound to is gone"
        );
    });
}

/// By which nothing leaves the host, whatever is sent; its own addresses are reached all the same.
#[test]
fn a_socket_whose_device_leads_nowhere_is_stuck() {
    scenario(
        "sockets nowhere",
        &[Need::Link(LinkKind::Bridge)],
        |bench| {
            let card = bench.card();
            let bridge = Device::new(LinkKind::Bridge, "br0");
            card.add_device(bridge).expect("a bridge");
            card.set_up("br0").expect("it is there");
            card.add_address("br0", "10.9.9.1/24".parse().expect("an address"))
                .expect("it is there");
            let _open = udp(card, "0.0.0.0:7001", Some("br0"), None);
            let _own = udp(card, "0.0.0.0:7002", Some("br0"), Some("10.9.9.1:9"));
            let _lo = udp(card, "0.0.0.0:7003", Some("lo"), None);
            let line = line_of(bench, ":7001");
            assert_eq!(
                (&line["risk"], &line["leaves_by"]),
                (&json!("stuck"), &Value::Null)
            );
            assert_eq!(
                line["why"],
                "br0, which it is bound to, leads nowhere: it is a bridge without ports"
            );
            assert_eq!(line_of(bench, ":7002")["risk"], "internal");
            assert_eq!(line_of(bench, ":7003")["why"], "it is bound to lo");
            card.enslave("fab0", "br0").expect("a port");
            assert_eq!(line_of(bench, ":7001")["risk"], "pinned");
        },
    );
}

/// The peer is known, the other address is nobody's, and nobody has asked for the third.
#[test]
fn a_socket_whose_neighbour_does_not_answer_is_stuck() {
    scenario("sockets silent", &[Need::Program("ip")], |bench| {
        let card = bench.card();
        // This forgets the neighbours that have names for good.
        bench.run("ip", "link set fab0 arp on");
        let mac = bench.chassis.peer.mac("fab0").expect("it is there");
        let peer = "10.0.0.2".parse().expect("an address");
        card.add_neighbour("fab0", peer, &mac).expect("a neighbour");
        let answered = udp(card, "0.0.0.0:7001", Some("fab0"), Some("10.0.0.2:9"));
        let silent = udp(card, "0.0.0.0:7002", Some("fab0"), Some("10.0.0.77:9"));
        let _unasked = udp(card, "0.0.0.0:7003", Some("fab0"), Some("10.0.0.78:9"));
        let unbound = udp(card, "0.0.0.0:7004", None, Some("10.0.0.77:9"));
        for socket in [&answered, &silent, &unbound] {
            socket
                .send(b"x")
                .expect("it waits for the neighbour at most");
        }
        let line = line_of(bench, ":7002");
        assert_eq!(
            (&line["risk"], &line["leaves_by"]),
            (&json!("stuck"), &json!("fab0"))
        );
        let why = line["why"].as_str().expect("a text");
        assert!(
            ["INCOMPLETE", "FAILED"]
                .iter()
                .any(|state| why == format!("10.0.0.77 does not answer on fab0 ({state})")),
            "{why}"
        );
        assert_eq!(line_of(bench, ":7001")["risk"], "pinned");
        assert_eq!(line_of(bench, ":7003")["risk"], "pinned");
        assert_eq!(line_of(bench, ":7004")["risk"], "unpinned");
    });
}

#[test]
fn people_get_a_table() {
    scenario("sockets table", &[], |bench| {
        let card = bench.card();
        let _pinned = udp(card, "10.0.0.1:7001", Some("fab0"), None);
        let _misrouted = udp(card, "10.0.0.1:7002", None, Some("203.0.113.9:9"));
        let output = pinif(bench, &[]).output().expect("pinif");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let words: Vec<Vec<_>> = text
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|word| !word.is_empty())
                    .collect()
            })
            .collect();
        let name = std::fs::read_to_string("/proc/self/comm").expect("a name");
        let own = format!("{} (pid {})", name.trim(), std::process::id());
        assert_eq!(
            words,
            [
                vec!["risk", "bound to", "leaves via", "process", "socket", "why"],
                vec![
                    "misrouted",
                    "·",
                    "eth1",
                    &own,
                    "UDP 10.0.0.1:7002 → 203.0.113.9:9",
                    "10.0.0.1 is fab0's; route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
                ],
                vec![
                    "pinned",
                    "fab0",
                    "fab0",
                    &own,
                    "UDP 10.0.0.1:7001",
                    "it is bound to fab0"
                ],
                vec!["2 sockets: 1 misrouted, 1 pinned"],
                vec![
                    "Next: `pinif explain address-escape` says how such a socket comes about, and how to fix it."
                ],
            ]
        );
    });
}

#[test]
fn what_changes_is_listed_as_it_happens() {
    scenario("sockets watch", &[], |bench| {
        let card = bench.card();
        let _open = udp(card, "10.0.0.1:7001", None, Some("10.0.0.2:9"));
        // Longer than the test may last: only an event of the network can make it look again.
        let mut child = pinif(bench, &["--watch=3600", "--format", "json"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("pinif");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut next = || -> BTreeMap<String, Value> {
            let line = lines.next().expect("a line").expect("text");
            let Value::Object(line) = valid(&line, schema::sockets) else {
                panic!("no object: {line}");
            };
            line.into_iter().collect()
        };
        assert_eq!(next()["leaves_by"], "fab0");
        card.set_down("fab0").expect("down");
        let changed = loop {
            let line = next();
            if line["leaves_by"] == "eth1" {
                break line;
            }
        };
        assert_eq!(
            (&changed["risk"], &changed["severity"]),
            (&json!("misrouted"), &json!("risk"))
        );
        let cookie = changed["socket_cookie"].clone();
        drop(_open);
        card.set_up("fab0").expect("up");
        let gone = loop {
            let line = next();
            if line["type"] == "gone" {
                break line;
            }
        };
        assert_eq!(gone["socket_cookie"], cookie);
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it runs");
        assert_eq!(child.wait().expect("a child").code(), Some(0));
    });
}
