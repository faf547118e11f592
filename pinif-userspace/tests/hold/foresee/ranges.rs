//! Networks that midplanes have, and routes with several next hops.

use std::net::UdpSocket;

use serde_json::{Value, json};

use super::{brief, connected, lines, pinif};
use crate::bench::scenario;
use crate::sockets::midplane;

/// What is foreseen of a socket on this port.
fn of_port(lines: &[Value], port: &str) -> Vec<Value> {
    let is = |line: &&Value| {
        line["source"]
            .as_str()
            .is_some_and(|source| source.ends_with(port))
    };
    lines.iter().filter(is).cloned().collect()
}

#[test]
fn a_midplane_s_part_of_127_and_169_254_is_copied() {
    scenario("foresee midplane", &[], |bench| {
        let card = bench.card();
        midplane(bench);
        // Where the midplane fails, the card's other link has a way there.
        bench.run("ip", "route add 127.1.0.0/16 via 192.0.2.2 dev eth1");
        bench.run("ip", "route add 169.254.0.0/16 via 192.0.2.2 dev eth1");
        card.set_sysctl("ipv4/conf/eth1/route_localnet", "1")
            .expect("a setting");
        let first = connected(card, "0.0.0.0:7001", "127.1.0.2:9");
        let second = connected(card, "0.0.0.0:7002", "169.254.7.2:9");
        let open = card.run(|| UdpSocket::bind("0.0.0.0:7003").expect("a socket"));
        let open = open.expect("the card");
        let output = pinif(bench, &["--down", "fab0", "--format", "json"]);
        let lines = lines(&output);
        let summary = lines.last().expect("a summary");
        assert_eq!(summary["uncopied"], json!([]), "{output:?}");
        for (port, source) in [(":7001", "127.1.0.1:7001"), (":7002", "169.254.7.1:7002")] {
            let [finding] = &of_port(&lines, port)[..] else {
                panic!("{port}: {lines:?}")
            };
            let [is, kind, _, _, egress] = brief(finding);
            assert_eq!([is, kind, egress], [source, "address-escape", "eth1"]);
        }
        // Of a socket that is not connected, one destination is named.
        let [finding] = &of_port(&lines, ":7003")[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(finding["egress_interface"], "eth1", "{finding}");

        card.set_down("fab0").expect("down");
        for socket in [&first, &second] {
            let (sent, outside) = bench.outside_while(|| socket.send(b"x"));
            assert_eq!((sent.expect("it is sent"), outside), (1, 1));
        }
        let (sent, outside) = bench.outside_while(|| open.send_to(b"x", "127.1.0.2:9"));
        assert_eq!((sent.expect("it is sent"), outside), (1, 1));
    });
}

#[test]
fn the_gravest_of_several_next_hops_is_foreseen() {
    scenario("foresee multipath", &[], |bench| {
        let card = bench.card();
        bench.run(
            "ip",
            "-6 route add 2001:db8:7::/64 via fd00::2 dev fab0 metric 10",
        );
        bench.run(
            "ip",
            "-6 route add 2001:db8:7::/64 metric 20 nexthop via fd00::2 dev fab0 nexthop via 2001:db8::2 dev eth1",
        );
        let sockets: Vec<_> = (1..=8)
            .map(|number| connected(card, &format!("[fd00::1]:700{number}"), "[2001:db8:7::9]:9"))
            .collect();
        let gone = "2001:db8:7::/64 dev fab0 metric 10";
        let output = pinif(bench, &["--route-del", gone, "--format", "json"]);
        let lines = lines(&output);
        // Some flows would take eth1, and only a flow shows which: by the kernel's answers alone, it would be some of these.
        assert_eq!(lines.len(), sockets.len() + 1, "{lines:?}");
        for finding in &lines[..sockets.len()] {
            let expected = ["address-escape", "none", "[2001:db8:7::9]:9", "eth1"];
            assert_eq!(brief(finding)[1..], expected);
        }
    });
}
