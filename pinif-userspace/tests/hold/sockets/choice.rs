//! What chooses a socket's interface besides a unicast route: options, its source address, several next hops; and midplanes that have
//! a part of 127.0.0.0/8 or 169.254.0.0/16.

use std::io;
use std::mem::size_of;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use serde_json::{Value, json};

use super::{line_of, udp};
use crate::bench::{Bench, scenario};

/// Sets an option of four bytes.
fn set(socket: &UdpSocket, level: libc::c_int, name: libc::c_int, value: u32) {
    let value = &raw const value;
    let length = size_of::<u32>() as libc::socklen_t;
    // SAFETY: the value is there for the call, with the length that is given.
    let outcome =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.cast(), length) };
    assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
}

/// linux/in.h, linux/in6.h.
const IP_UNICAST_IF: libc::c_int = 50;
const IPV6_UNICAST_IF: libc::c_int = 76;

/// How a socket stands, where it leaves, and why.
fn stands(bench: &Bench, port: &str) -> [Value; 3] {
    let line = line_of(bench, port);
    ["risk", "leaves_by", "why"].map(|key| line[key].clone())
}

/// A scenario whose packet really leaves there: by eth1 or not.
fn leaves_outside(bench: &Bench, socket: &UdpSocket, to: Option<&str>) -> u64 {
    let send = || match to {
        Some(to) => socket.send_to(b"x", to),
        None => socket.send(b"x"),
    };
    let (sent, outside) = bench.outside_while(send);
    assert_eq!(sent.expect("it is sent"), 1);
    outside
}

#[test]
fn an_option_that_names_an_interface_is_read() {
    scenario("sockets options", &[], |bench| {
        let card = bench.card();
        let fab0 = card.index("fab0").expect("fab0").0;
        let eth1 = card.index("eth1").expect("eth1").0;
        let named = udp(card, "0.0.0.0:7001", None, None);
        set(&named, libc::IPPROTO_IP, IP_UNICAST_IF, fab0.to_be());
        let connected = udp(card, "0.0.0.0:7002", None, None);
        set(&connected, libc::IPPROTO_IP, IP_UNICAST_IF, fab0.to_be());
        connected.connect("10.0.0.2:9").expect("a route");
        let astride = udp(card, "10.0.0.1:7003", None, None);
        set(&astride, libc::IPPROTO_IP, IP_UNICAST_IF, eth1.to_be());
        let v6 = udp(card, "[::]:7004", None, None);
        set(&v6, libc::IPPROTO_IPV6, IPV6_UNICAST_IF, fab0.to_be());
        let group = udp(card, "[::]:7005", None, None);
        set(&group, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, eth1);
        group.connect("[ff05::7]:9").expect("a route");
        for (port, stand) in [
            (
                ":7001",
                [
                    "unpinned",
                    "fab0",
                    "nothing binds it; IP_UNICAST_IF names fab0",
                ],
            ),
            (
                ":7002",
                [
                    "unpinned",
                    "fab0",
                    "nothing binds it; IP_UNICAST_IF names fab0",
                ],
            ),
            (
                ":7003",
                [
                    "misrouted",
                    "eth1",
                    "10.0.0.1 is fab0's; IP_UNICAST_IF names eth1",
                ],
            ),
            (
                ":7004",
                [
                    "unpinned",
                    "fab0",
                    "nothing binds it; IPV6_UNICAST_IF names fab0",
                ],
            ),
            (
                ":7005",
                [
                    "unpinned",
                    "eth1",
                    "nothing binds it; IPV6_MULTICAST_IF names eth1",
                ],
            ),
        ] {
            assert_eq!(stands(bench, port), stand.map(Value::from), "{port}");
        }
        // What it says is so: of the world, which the default route leads to by eth1, nothing leaves there.
        assert_eq!(leaves_outside(bench, &connected, None), 0);
        assert_eq!(leaves_outside(bench, &astride, Some("10.0.0.2:9")), 1);
        card.set_down("fab0").expect("down");
        let stuck = json!("fab0, which IP_UNICAST_IF names, is down");
        assert_eq!(stands(bench, ":7001")[2], stuck);
    });
}

#[test]
fn groups_and_broadcasts_are_not_stuck() {
    scenario("sockets groups", &[], |bench| {
        let card = bench.card();
        let by_source = udp(card, "10.0.0.1:7001", None, Some("239.7.7.7:9"));
        let routed = udp(card, "0.0.0.0:7002", None, Some("239.7.7.7:9"));
        let all = udp(card, "10.0.0.1:7003", None, None);
        all.set_broadcast(true).expect("an option");
        all.connect("255.255.255.255:9").expect("a way");
        let link = udp(card, "0.0.0.0:7004", None, None);
        link.set_broadcast(true).expect("an option");
        link.connect("10.0.0.255:9").expect("a way");
        let source =
            "nothing binds it; its source address 10.0.0.1 chooses fab0, whatever the routes say";
        for (port, risk, leaves, why) in [
            (":7001", "unpinned", "fab0", source),
            (":7003", "unpinned", "fab0", source),
            (":7004", "unpinned", "fab0", "nothing binds it; "),
            // connect() gave it eth1's address.
            (
                ":7002",
                "unpinned",
                "eth1",
                "nothing binds it; its source address 192.0.2.1 chooses eth1",
            ),
        ] {
            let stand = stands(bench, port);
            assert_eq!(stand[..2], [json!(risk), json!(leaves)], "{port} {stand:?}");
            assert!(
                stand[2].as_str().is_some_and(|text| text.starts_with(why)),
                "{port} {stand:?}"
            );
        }
        for (socket, outside) in [(&by_source, 0), (&all, 0), (&link, 0), (&routed, 1)] {
            assert_eq!(leaves_outside(bench, socket, None), outside, "{socket:?}");
        }
    });
}

#[test]
fn a_midplane_has_a_part_of_127_or_169_254() {
    scenario("sockets midplane", &[], |bench| {
        let card = bench.card();
        midplane(bench);
        let midplane = udp(card, "127.1.0.1:7001", None, Some("127.1.0.2:9"));
        let open = udp(card, "127.1.0.1:7002", None, None);
        let link = udp(card, "169.254.7.1:7003", None, Some("169.254.7.2:9"));
        let _own = udp(card, "127.0.0.1:7004", None, None);
        let route = "nothing binds it; route 127.1.0.0/24 dev fab0 src 127.1.0.1 in table main";
        for (port, stand) in [
            (":7001", [json!("unpinned"), json!("fab0"), json!(route)]),
            (
                ":7003",
                [
                    json!("unpinned"),
                    json!("fab0"),
                    json!(
                        "nothing binds it; route 169.254.7.0/24 dev fab0 src 169.254.7.1 in table main"
                    ),
                ],
            ),
            (
                ":7004",
                [json!("internal"), json!("lo"), json!("127.0.0.1 is lo's")],
            ),
        ] {
            assert_eq!(stands(bench, port), stand, "{port}");
        }
        // Nothing of it can leave by the default route: eth1 has no `route_localnet` (`__mkroute_output`).
        assert_eq!(line_of(bench, ":7002")["risk"], "unpinned");
        for socket in [&midplane, &link] {
            assert_eq!(leaves_outside(bench, socket, None), 0);
        }
        assert_eq!(leaves_outside(bench, &open, Some("127.1.0.2:9")), 0);
    });
}

/// Gives fab0 parts of both ranges, which lo gives up: 127.0.0.0/8 is the host's own as long as lo has all of it.
pub fn midplane(bench: &Bench) {
    let card = bench.card();
    let prefix = |text: &str| text.parse().expect("a prefix");
    card.set_sysctl("ipv4/conf/fab0/route_localnet", "1")
        .expect("a setting");
    card.delete_address("lo", prefix("127.0.0.1/8"))
        .expect("it is there");
    card.add_address("lo", prefix("127.0.0.1/32"))
        .expect("an address");
    card.add_address("fab0", prefix("127.1.0.1/24"))
        .expect("an address");
    card.add_address("fab0", prefix("169.254.7.1/24"))
        .expect("an address");
    let peer = [0x02, 0, 0, 0, 0, 0x02];
    for address in ["127.1.0.2", "169.254.7.2"] {
        card.add_neighbour("fab0", address.parse().expect("an address"), &peer)
            .expect("a neighbour");
    }
}

#[test]
fn each_flow_of_ipv6_takes_any_of_several_next_hops() {
    scenario("sockets multipath", &[], |bench| {
        let card = bench.card();
        bench.run(
            "ip",
            "-6 route add 2001:db8:7::/64 nexthop via 2001:db8::2 dev eth1 nexthop via fd00::2 dev fab0",
        );
        bench.run(
            "ip",
            "route add 198.51.100.0/24 nexthop via 192.0.2.2 dev eth1 nexthop via 10.0.0.2 dev fab0",
        );
        let _any = udp(card, "[::]:7001", None, Some("[2001:db8:7::9]:9"));
        let _own = udp(card, "[fd00::1]:7002", None, Some("[2001:db8:7::9]:9"));
        let v4 = udp(card, "0.0.0.0:7003", None, Some("198.51.100.9:9"));
        let line = |port| {
            let lines = super::lines(bench);
            let is = |line: &&Value| {
                line["local"]
                    .as_str()
                    .is_some_and(|local| local.ends_with(port))
            };
            lines.iter().find(is).cloned().expect("it is listed")
        };
        // Its source address is that of the hop which connect() took: perhaps the other's.
        let any = line(":7001");
        assert_eq!(any["leaves_by"], Value::Null, "{any}");
        let own = line(":7002");
        assert_eq!(own["risk"], "misrouted", "{own}");
        for line in [&any, &own] {
            let mut hops = line["leaves_by_any_of"].as_array().expect("a list").clone();
            hops.sort_by_key(ToString::to_string);
            assert_eq!(hops, [json!("eth1"), json!("fab0")], "{line}");
        }
        // Of an IPv4 flow, the kernel's answer is where it goes.
        let hop = line(":7003");
        let outside = leaves_outside(bench, &v4, None);
        let expected = if outside == 1 { "eth1" } else { "fab0" };
        assert_eq!(hop["leaves_by"], expected, "{hop}");
    });
}
