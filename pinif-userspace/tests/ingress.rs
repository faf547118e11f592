//! What arrives. Case 20 of KERNEL.md: a packet for a contained address that comes from the outside.

mod bench;

use std::fs;
use std::path::Path;

use aya::programs::{SchedClassifier, TcAttachType};
use bench::{
    Auditor, Bench, CONTROL_PLANE, Finding, Need, Sender, Sent, Told, leak, risk, scenario,
    wait_until,
};
use pinif_userspace::lab::{Device, LinkKind, Namespace, Route};

const NOTHING: &[Need] = &[];

/// Traffic of the backplane on the front port.
fn escape() -> Finding {
    leak("ingress-escape").egress("eth1")
}

/// A socket of the card that takes what comes, and sends nothing.
fn taker(bench: &Bench, intent: &str) -> Sender {
    let to = if intent.contains('[') {
        "[fd00::2]:9"
    } else {
        "10.0.0.2:9"
    };
    let mut taker = bench.sender(&format!("--wait-stdin udp {intent} --to {to} --count 0"));
    taker.wait_for("ready");
    taker
}

fn end(mut taker: Sender) -> Sent {
    taker.go();
    taker.finish()
}

/// Sends to the card from elsewhere, and waits until it has got all of it.
fn send(bench: &Bench, from: &Namespace, arguments: &str, packets: u64) -> Sent {
    let before = bench.received();
    let sent = bench.far_sender(from, arguments).finish();
    bench.wait_until_received(before, packets);
    sent
}

fn port(sent: &Sent) -> &str {
    let local = sent.local.as_deref().expect("an address");
    local.rsplit(':').next().expect("a port")
}

/// How many programs see what arrives at each of the card's links.
fn watched(bench: &Bench) -> [usize; 3] {
    ["lo", "fab0", "eth1"].map(|link| {
        let programs = bench
            .card()
            .run(|| SchedClassifier::query_tcx(link, TcAttachType::Ingress));
        programs.expect("the card").expect("a link").1.len()
    })
}

/// 1000 datagrams from the outside, for the backplane's address, to a socket that is bound to it but to no device.
fn udp(name: &str, to: &'static str, from: &str, arguments: &[&str]) {
    scenario(name, NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, arguments);
        let taker = taker(bench, &format!("--bind {to}"));
        let to_it = format!("udp --to {to} --count 1000");
        let sent = send(bench, &bench.chassis.outside, &to_it, 1000);
        let taker = end(taker);
        let report = auditor.stop();
        let escaped = escape()
            .packets(1000)
            .by(&taker)
            .protocol("udp")
            .source(&format!("{from}:{}", port(&sent)))
            .destination(to)
            .cause("weak host model");
        report.expect().arrived(escaped).nothing_else();
        let [told] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        // 32 bytes of payload, UDP, IP and Ethernet.
        let header = if to.starts_with('[') { 40 } else { 20 };
        assert_eq!(told.bytes, 1000 * (32 + 8 + header + 14), "{report}");
        assert_eq!(
            (told.direction.as_str(), told.rule.as_deref()),
            ("in", None)
        );
        assert!(
            told.explanation.contains("bound to no device, takes it"),
            "{report}"
        );
    });
}

#[test]
fn a_contained_address_is_reached_from_the_outside() {
    udp("20 udp", "10.0.0.1:5000", "192.0.2.2", &[]);
}

#[test]
fn a_contained_ipv6_address_is_reached_from_the_outside() {
    udp("20 udp-v6", "[fd00::1]:5000", "[2001:db8::2]", &[]);
}

#[test]
fn a_filter_of_clsact_sees_the_same_arrive() {
    udp(
        "20 udp-clsact",
        "10.0.0.1:5000",
        "192.0.2.2",
        &["--attach", "clsact"],
    );
}

#[test]
fn a_contained_listener_is_reached_from_the_outside() {
    tcp("20 tcp", "10.0.0.1:7000", "first", "last");
}

#[test]
fn a_contained_ipv6_listener_is_reached_from_the_outside() {
    tcp("20 tcp-v6", "[fd00::1]:7000", "last", "first");
}

/// A connection from the outside, and its last segments, which a time-wait socket takes where the card closes first.
fn tcp(name: &str, to: &'static str, close: &str, far_close: &str) {
    scenario(name, NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let outside = &bench.chassis.outside;
        let (before, arrived) = (
            outside.sent("eth0").expect("eth0").packets,
            bench.received(),
        );
        let mut server = bench.sender(&format!("tcp --listen {to} --close {close}"));
        server.wait_for("ready").go();
        bench
            .far_sender(
                outside,
                &format!("tcp --to {to} --close {far_close} --bytes 100"),
            )
            .finish();
        let served = server.finish();
        bench.settle();
        let packets = outside.sent("eth0").expect("eth0").packets - before;
        bench.wait_until_received(arrived, packets);
        let report = auditor.stop();
        // The answers leave by the front port, with the backplane's address.
        let left = report.sent_by("eth1").packets;
        let answered: Vec<_> = report
            .findings
            .iter()
            .filter(|told| told.kind == "address-escape")
            .collect();
        assert_eq!(answered.iter().map(|told| told.packets).sum::<u64>(), left);
        let mut expected = report.expect();
        for told in answered {
            let cookie = told.socket_cookie.expect("the connection's");
            let of_listener = Sent {
                cookie,
                ..served.clone()
            };
            let answer = leak("address-escape").egress("eth1").packets(told.packets);
            expected = expected.finding(answer.by(&of_listener));
        }
        let told = report
            .findings
            .iter()
            .find(|told| told.kind == "ingress-escape")
            .expect("what arrived");
        let taker = Sent {
            cookie: told.socket_cookie.expect("the listener's"),
            ..served
        };
        let escaped = escape().packets(packets).protocol("tcp").destination(to);
        expected.arrived(escaped.by(&taker)).nothing_else();
    });
}

#[test]
fn an_echo_request_for_a_contained_address_comes_from_the_outside() {
    scenario("20 icmp", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let outside = &bench.chassis.outside;
        send(bench, outside, "ping --to 10.0.0.1 --count 500", 500);
        send(bench, outside, "ping --to fd00::1 --count 500", 500);
        bench.wait_until_sent("eth1", 1000);
        // The kernel takes them, and answers.
        let asked = |to| escape().packets(500).destination(to);
        let report = auditor.stop();
        let answers: Vec<_> = report
            .findings
            .iter()
            .filter(|told| told.kind == "address-escape")
            .collect();
        let answered = answers.iter().map(|told| told.packets).sum::<u64>();
        assert_eq!(answered, 1000, "{report}");
        let mut expected = report.expect();
        for told in answers {
            let answer = leak("address-escape").egress("eth1").packets(told.packets);
            expected = expected.finding(answer.source(&told.source));
        }
        expected
            .arrived(asked("10.0.0.1").protocol("icmp"))
            .arrived(asked("fd00::1").protocol("icmpv6"))
            .nothing_else();
    });
}

/// A few datagrams to where no socket takes them: the kernel says so, by the way that they came.
fn untaken(name: &str, intent: Option<&str>) {
    scenario(name, NOTHING, |bench| {
        for limit in ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"] {
            bench.card().set_sysctl(limit, "0").expect("a limit");
        }
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = intent.map(|intent| taker(bench, intent));
        let to_it = "udp --to 10.0.0.1:5000 --count 10";
        send(bench, &bench.chassis.outside, to_it, 10);
        bench.wait_until_sent("eth1", 10);
        drop(taker);
        let knocked = risk("ingress-escape").egress("eth1").packets(10);
        let answered = leak("address-escape").egress("eth1").packets(10);
        let report = auditor.stop();
        report
            .expect()
            .arrived(knocked.protocol("udp").destination("10.0.0.1:5000"))
            .finding(answered.protocol("icmp").cause("the kernel's own reply"))
            .nothing_else();
        let told = |told: &&Told| told.kind == "ingress-escape";
        let told = report.findings.iter().find(told).expect("it was found");
        assert!(told.explanation.contains("No socket takes it"), "{report}");
    });
}

#[test]
fn what_nobody_listens_for_is_a_risk() {
    untaken("20 no-socket", None);
}

#[test]
fn a_socket_that_is_pinned_to_the_backplane_does_not_hear_the_outside() {
    untaken("20 pinned", Some("--bind 10.0.0.1:5000 --bind-device fab0"));
}

#[test]
fn a_socket_that_is_pinned_to_the_front_port_hears_the_backplanes_address() {
    scenario("20 pinned-outside", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 0.0.0.0:5000 --bind-device eth1");
        let to_it = "udp --to 10.0.0.1:5000 --count 1000";
        send(bench, &bench.chassis.outside, to_it, 1000);
        let escaped = escape().bound("eth1").packets(1000).by(&end(taker));
        auditor.stop().expect().arrived(escaped).nothing_else();
    });
}

#[test]
fn what_a_rule_keeps_inside_is_delivered_from_the_outside() {
    scenario("20 rule", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 0.0.0.0:5000");
        let to_it = "udp --bind 10.0.0.2 --to 192.0.2.1:5000 --count 600";
        let sent = send(bench, &bench.chassis.outside, to_it, 600);
        // Of the world, no rule says anything.
        let to_it = "udp --bind 203.0.113.9 --to 192.0.2.1:5000 --count 400";
        send(bench, &bench.chassis.outside, to_it, 400);
        let escaped = escape()
            .rule("control-plane")
            .packets(600)
            .by(&end(taker))
            .source(&format!("10.0.0.2:{}", port(&sent)))
            .cause("rp_filter is off on eth1");
        auditor.stop().expect().arrived(escaped).nothing_else();
    });
}

#[test]
fn what_a_rule_keeps_inside_and_nobody_takes_is_no_finding() {
    scenario("20 rule-no-socket", NOTHING, |bench| {
        bench
            .card()
            .set_sysctl("ipv4/icmp_ratelimit", "0")
            .expect("a limit");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let to_it = "udp --bind 10.0.0.2 --to 192.0.2.1:5000 --count 10";
        send(bench, &bench.chassis.outside, to_it, 10);
        bench.wait_until_sent("fab0", 10);
        // The answers are the kernel's, from the front port's address.
        let answered = risk("address-escape").egress("fab0").packets(10);
        auditor.stop().expect().finding(answered).nothing_else();
    });
}

#[test]
fn an_error_from_a_router_that_has_a_kept_address_is_no_finding() {
    scenario("20 icmp-error", NOTHING, |bench| {
        bench
            .chassis
            .outside
            .set_sysctl("ipv4/icmp_ratelimit", "0")
            .expect("a limit");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        // Nobody has port 10: the outside says so, by the address that was asked.
        let before = bench.received();
        let sent = bench.send("udp --bind-device eth1 --to 203.0.113.9:10 --count 10");
        bench.wait_until_received(before, 10);
        assert_eq!(sent.sent, 10);
        auditor
            .stop()
            .expect()
            .contained("eth1", "eth1", 10)
            .nothing_else();
    });
}

#[test]
fn rules_look_at_the_cgroup_of_the_socket_that_takes_it() {
    scenario("20 rule-cgroup", NOTHING, |bench| {
        let policy = format!(
            "[zone.backplane]\ninterfaces = [\"fab*\"]\n\n[[rule]]\nname = \"daemons\"\ncgroup = \"{}\"\nonly_via = \
             [\"backplane\"]\n",
            bench.cgroup()
        );
        let auditor = bench.audit_with(&policy, &[]);
        let daemon = taker(bench, "--bind 0.0.0.0:5000");
        let mut other = bench.far_sender(
            bench.card(),
            "--wait-stdin udp --bind 0.0.0.0:5001 --to 10.0.0.2:9 --count 0",
        );
        other.wait_for("ready");
        let outside = &bench.chassis.outside;
        send(bench, outside, "udp --to 192.0.2.1:5000 --count 600", 600);
        send(bench, outside, "udp --to 192.0.2.1:5001 --count 400", 400);
        let escaped = escape().rule("daemons").packets(600).by(&end(daemon));
        auditor.stop().expect().arrived(escaped).nothing_else();
    });
}

#[test]
fn the_wire_is_counted_in_segments() {
    scenario("20 gso", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 10.0.0.1:5000");
        let to_it = "udp --to 10.0.0.1:5000 --gso 1000 --size 9500 --count 100";
        send(bench, &bench.chassis.outside, to_it, 100);
        let escaped = escape().packets(1000).by(&end(taker));
        let report = auditor.stop();
        report.expect().arrived(escaped).nothing_else();
        assert_eq!(report.findings[0].bytes, 100 * (9500 + 10 * 42), "{report}");
    });
}

#[test]
fn fragments_are_counted() {
    scenario("20 fragments", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 10.0.0.1:5000");
        let to_it = "udp --to 10.0.0.1:5000 --size 4000 --count 100";
        send(bench, &bench.chassis.outside, to_it, 300);
        // The first has the ports; the others have none, and nobody knows yet who takes them.
        auditor
            .stop()
            .expect()
            .arrived(escape().packets(100).by(&end(taker)))
            .arrived(escape().packets(200).destination("10.0.0.1"))
            .nothing_else();
    });
}

#[test]
fn what_arrives_within_is_contained() {
    scenario("20 contained", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let takers = [
            taker(bench, "--bind [::]:5000"),
            taker(bench, "--bind 0.0.0.0:5001"),
        ];
        let (peer, outside) = (&bench.chassis.peer, &bench.chassis.outside);
        for (from, to) in [
            (peer, "10.0.0.1:5001"),
            (peer, "[fd00::1]:5000"),
            // What the peer sends by the backplane may be for the front port's address.
            (peer, "192.0.2.1:5001"),
            (outside, "192.0.2.1:5001"),
            (outside, "[2001:db8::1]:5000"),
        ] {
            send(bench, from, &format!("udp --to {to} --count 200"), 200);
        }
        drop(takers);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn an_address_on_several_interfaces_belongs_to_none() {
    scenario("20 vip", NOTHING, |bench| {
        for link in ["fab0", "eth1"] {
            let vip = "10.0.0.100/32".parse().expect("an address");
            bench.card().add_address(link, vip).expect("a link");
        }
        let router_id = "10.255.0.1/32".parse().expect("an address");
        bench.card().add_address("lo", router_id).expect("lo");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 0.0.0.0:5000");
        for to in ["10.0.0.100:5000", "10.255.0.1:5000"] {
            let to_it = format!("udp --to {to} --count 500");
            send(bench, &bench.chassis.outside, &to_it, 500);
        }
        drop(taker);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn another_interface_of_the_zone_is_within() {
    scenario("20 same-zone", NOTHING, |bench| {
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        plug(card, "fab1", peer, "10.0.1.1/24", "10.0.1.2/24");
        let there = Route::new("10.0.0.1/32".parse().expect("a prefix"), "fab1");
        let gateway = "10.0.1.1".parse().expect("an address");
        peer.add_route(there.via(gateway)).expect("a route");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 10.0.0.1:5000");
        let before = card.sent("fab1").expect("fab1");
        send(bench, peer, "udp --to 10.0.0.1:5000 --count 1000", 1000);
        assert_eq!(before, card.sent("fab1").expect("fab1"));
        drop(taker);
        auditor.stop().expect().nothing_else();
    });
}

/// One more wire between the card and another namespace, with the same name at both ends.
fn plug(card: &Namespace, link: &str, far: &Namespace, here: &str, there: &str) {
    card.veth(link, far, link, 0x21).expect("a wire");
    for (namespace, address) in [(card, here), (far, there)] {
        namespace.set_up(link).expect("a link");
        let address = address.parse().expect("an address");
        namespace.add_address(link, address).expect("a link");
    }
    for (namespace, other, address) in [(card, far, there), (far, card, here)] {
        let address: ipnet::IpNet = address.parse().expect("an address");
        let mac = other.mac(link).expect("a link");
        namespace
            .add_neighbour(link, address.addr(), &mac)
            .expect("a link");
    }
    for namespace in [card, far] {
        namespace.wait_until_operational(link).expect("a link");
    }
}

#[test]
fn an_interface_that_comes_later_is_watched_too() {
    scenario("20 hotplug", NOTHING, |bench| {
        let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let (card, outside) = (bench.card(), &bench.chassis.outside);
        plug(card, "eth2", outside, "198.51.100.1/24", "198.51.100.2/24");
        auditor.wait_for_note("eth2 is audited from now on");
        let there = Route::new("10.0.0.1/32".parse().expect("a prefix"), "eth2");
        let gateway = "198.51.100.1".parse().expect("an address");
        outside.add_route(there.via(gateway)).expect("a route");
        let taker = taker(bench, "--bind 10.0.0.1:5000");
        send(bench, outside, "udp --to 10.0.0.1:5000 --count 1000", 1000);
        let escaped = leak("ingress-escape").egress("eth2").packets(1000);
        auditor
            .stop()
            .expect()
            .arrived(escaped.by(&end(taker)))
            .nothing_else();
    });
}

#[test]
fn a_bridge_takes_what_its_port_lets_in() {
    scenario("20 bridge", &[Need::Link(LinkKind::Bridge)], |bench| {
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        // The backplane is a bridge, of which no port has a name of the zone's.
        card.add_device(Device::new(LinkKind::Bridge, "fabbr"))
            .expect("a bridge");
        card.veth("port", peer, "port", 0x21).expect("a wire");
        card.enslave("port", "fabbr").expect("a port");
        for (namespace, link) in [(card, "port"), (card, "fabbr"), (peer, "port")] {
            namespace.set_up(link).expect("a link");
        }
        card.set_arp("fabbr", false).expect("a bridge");
        card.set_multicast("fabbr", false).expect("a bridge");
        for (namespace, link, address) in [
            (card, "fabbr", "10.0.7.1/24"),
            (peer, "port", "10.0.7.2/24"),
        ] {
            let address = address.parse().expect("an address");
            namespace.add_address(link, address).expect("a link");
            namespace.wait_until_operational(link).expect("a link");
        }
        let mac = card.mac("fabbr").expect("a bridge");
        for address in ["10.0.7.1", "10.0.0.1"] {
            let address = address.parse().expect("an address");
            peer.add_neighbour("port", address, &mac).expect("a link");
        }
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 0.0.0.0:5000");
        send(bench, peer, "udp --to 10.0.7.1:5000 --count 500", 500);
        drop(taker);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn groups_belong_to_no_interface() {
    scenario("20 groups", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 0.0.0.0:5000");
        let outside = &bench.chassis.outside;
        // So that a broadcast has the MAC address of one; all neighbours are named.
        outside.set_arp("eth0", true).expect("a link");
        for to in ["224.0.0.1:5000", "255.255.255.255:5000", "192.0.2.255:5000"] {
            let to_it = format!(
                "udp --bind 10.0.0.2 --multicast-if eth0 --broadcast --to {to} --count 100 --pktinfo eth0"
            );
            send(bench, outside, &to_it, 100);
        }
        drop(taker);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn without_a_policy_nobody_looks_at_what_arrives() {
    scenario("20 no-policy", &[Need::Tcx], |bench| {
        let auditor = bench.audit(&[]);
        assert_eq!(watched(bench), [0, 0, 0]);
        let taker = taker(bench, "--bind 10.0.0.1:5000");
        let to_it = "udp --to 10.0.0.1:5000 --count 100";
        send(bench, &bench.chassis.outside, to_it, 100);
        drop(taker);
        auditor.stop().expect().nothing_else();
    });
}

/// Starts an auditor whose policy is in this file.
fn audit<'a>(bench: &'a Bench, file: &Path) -> Auditor<'a> {
    let file = file.to_str().expect("UTF-8");
    bench.audit(&["--policy", file])
}

#[test]
fn what_arrives_is_watched_for_as_long_as_a_policy_asks_for_it() {
    scenario("20 reload", &[Need::Tcx], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.toml");
        let replace = |text: &str| {
            let new = folder.path().join("new");
            fs::write(&new, text).expect("it is ours");
            fs::rename(new, &file).expect("it is ours");
        };
        let harmless = "[zone.front]\ninterfaces = [\"eth*\"]\n";
        replace(harmless);
        let mut auditor = audit(bench, &file);
        assert_eq!(watched(bench), [0, 0, 0]);
        let taker = taker(bench, "--bind 10.0.0.1:5000");
        let knock = |count: u64| {
            let to_it = format!("udp --to 10.0.0.1:5000 --count {count}");
            send(bench, &bench.chassis.outside, &to_it, count);
        };
        knock(400);
        replace(CONTROL_PLANE);
        auditor.wait_for_note("a new policy is in force: 2 zones, 1 rule");
        assert_eq!(watched(bench), [0, 0, 1]);
        knock(600);
        replace(&harmless.replace("front", "faceplate"));
        auditor.wait_for_note("a new policy is in force: 1 zone, 0 rules");
        knock(100);
        let escaped = escape().packets(600).by(&end(taker));
        wait_until("nothing is watched", || watched(bench) == [0, 0, 0]);
        auditor.stop().expect().arrived(escaped).nothing_else();
    });
}

#[test]
fn a_filter_that_a_killed_auditor_left_is_removed() {
    let needs = &[Need::Program("tc")];
    scenario("20 clsact-killed", needs, |bench| {
        let ours = || {
            ["lo", "fab0", "eth1"].map(|link| {
                let filters = bench.ask("tc", &format!("filter show dev {link} ingress"));
                filters.matches("pinif_ingress direct-action").count()
            })
        };
        let clsact = &["--attach", "clsact"];
        bench.audit_with(CONTROL_PLANE, clsact).kill();
        assert_eq!(ours(), [0, 0, 1], "a filter outlives its auditor");
        // This one watches nothing that arrives, and removes it all the same.
        bench.audit(clsact).stop().expect().nothing_else();
        assert_eq!(ours(), [0, 0, 0]);
        let auditor = bench.audit_with(CONTROL_PLANE, clsact);
        assert_eq!(ours(), [0, 0, 1]);
        auditor.stop().expect().nothing_else();
        assert_eq!(ours(), [0, 0, 0]);
    });
}

#[test]
fn a_vlan_of_the_zone_arrives_by_its_trunk() {
    scenario("20 vlan", &[Need::Link(LinkKind::Vlan)], |bench| {
        let (card, outside) = (bench.card(), &bench.chassis.outside);
        for (namespace, trunk) in [(card, "eth1"), (outside, "eth0")] {
            namespace
                .add_device(Device::new(LinkKind::Vlan, "fabv").over(trunk).id(100))
                .expect("a VLAN");
            namespace.set_arp("fabv", false).expect("a VLAN");
            namespace.set_multicast("fabv", false).expect("a VLAN");
            namespace.set_up("fabv").expect("a VLAN");
        }
        for (namespace, address, other, far) in [
            (card, "10.0.8.1/24", "10.0.8.2", outside),
            (outside, "10.0.8.2/24", "10.0.8.1", card),
        ] {
            let address = address.parse().expect("an address");
            namespace.add_address("fabv", address).expect("a VLAN");
            namespace.wait_until_operational("fabv").expect("a VLAN");
            let mac = far.mac("fabv").expect("a VLAN");
            let other = other.parse().expect("an address");
            namespace
                .add_neighbour("fabv", other, &mac)
                .expect("a VLAN");
        }
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 0.0.0.0:5000");
        // Tagged, it is the zone's; and the zone's address of another link is reached within the zone.
        send(bench, outside, "udp --to 10.0.8.1:5000 --count 1000", 1000);
        drop(taker);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn an_address_in_a_vrf_is_not_reached_from_outside_it() {
    scenario("20 vrf", &[Need::Link(LinkKind::Vrf)], |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Vrf, "blue").id(10))
            .expect("a VRF");
        card.set_up("blue").expect("a VRF");
        card.enslave("fab0", "blue").expect("a port");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let taker = taker(bench, "--bind 0.0.0.0:5000");
        let to_it = "udp --to 10.0.0.1:5000 --count 10";
        send(bench, &bench.chassis.outside, to_it, 10);
        drop(taker);
        auditor.stop().expect().nothing_else();
    });
}
