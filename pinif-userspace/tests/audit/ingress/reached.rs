//! A contained address is reached from the outside.

use pinif_ebpf::verdict::Severity;
use pinif_userspace::findings::finding::PacketDirection;

use super::{NOTHING, end, escape, port, receiver, send};
use crate::bench::{CONTROL_PLANE, Sent, leak, risk, scenario, together};

together! {
    reached:
        a_contained_address_is_reached_from_the_outside,
        a_contained_ipv6_address_is_reached_from_the_outside,
        a_filter_of_clsact_sees_the_same_arrive,
        a_contained_listener_is_reached_from_the_outside,
        a_contained_ipv6_listener_is_reached_from_the_outside,
        an_echo_request_for_a_contained_address_comes_from_the_outside,
        what_nobody_listens_for_is_a_risk,
        a_socket_that_is_pinned_to_the_backplane_does_not_hear_the_outside,
        a_socket_that_is_pinned_to_the_front_port_hears_the_backplanes_address,
        what_was_counted_where_it_left_finds_its_receiver,
        the_wire_is_counted_in_segments,
        fragments_are_counted;
}

/// 1000 datagrams from the outside, for the backplane's address, to a socket that is bound to it but to no device.
fn udp(name: &str, to: &'static str, from: &str, arguments: &[&str]) {
    scenario(name, NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, arguments);
        let receiver = receiver(bench, &format!("--bind {to}"));
        let to_it = format!("udp --to {to} --count 1000");
        let sent = send(bench, &bench.chassis.outside, &to_it, 1000);
        let receiver = end(receiver);
        let report = auditor.stop();
        let escaped = escape()
            .packets(1000)
            .by(&receiver)
            .protocol("udp")
            .source(&format!("{from}:{}", port(&sent)))
            .destination(to)
            .cause("weak host model");
        report.expect().arrived(escaped).nothing_else();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        // 32 bytes of payload, UDP, IP and Ethernet.
        let header = if to.starts_with('[') { 40 } else { 20 };
        assert_eq!(finding.bytes, 1000 * (32 + 8 + header + 14), "{report}");
        assert_eq!(
            (finding.direction, finding.rule.as_deref()),
            (PacketDirection::In, None)
        );
        assert!(
            finding
                .explanation
                .contains("bound to no device, receives it"),
            "{report}"
        );
    });
}

fn a_contained_address_is_reached_from_the_outside() {
    udp("20 udp", "10.0.0.1:5000", "192.0.2.2", &[]);
}

fn a_contained_ipv6_address_is_reached_from_the_outside() {
    udp("20 udp-v6", "[fd00::1]:5000", "[2001:db8::2]", &[]);
}

fn a_filter_of_clsact_sees_the_same_arrive() {
    udp(
        "20 udp-clsact",
        "10.0.0.1:5000",
        "192.0.2.2",
        &["--attach", "clsact"],
    );
}

fn a_contained_listener_is_reached_from_the_outside() {
    tcp("20 tcp", "10.0.0.1:7000", "first", "last");
}

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
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        let related = finding.related.iter();
        let answered: Vec<u64> = related.map(|one| one.packets).collect();
        assert_eq!(answered.iter().sum::<u64>(), left, "{report}");
        let receiver = Sent {
            cookie: finding.socket_cookie.expect("the listener's"),
            ..served
        };
        let mut escaped = escape().packets(packets).protocol("tcp").destination(to);
        for packets in answered {
            let answer = leak("address-escape").egress("eth1").packets(packets);
            escaped = escaped.with(answer.source(to).protocol("tcp"));
        }
        report
            .expect()
            .arrived(escaped.by(&receiver))
            .nothing_else();
    });
}

fn an_echo_request_for_a_contained_address_comes_from_the_outside() {
    scenario("20 icmp", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let outside = &bench.chassis.outside;
        for to in ["10.0.0.1", "fd00::1"] {
            // The first answer makes the card resolve its neighbour: until then, more than a hundred would not wait for it
            // (`neigh_parms.queue_len_bytes`).
            let before = bench.card().sent("eth1").expect("eth1").packets;
            send(bench, outside, &format!("ping --to {to} --count 1"), 1);
            bench.wait_until_sent("eth1", before + 1);
            send(bench, outside, &format!("ping --to {to} --count 499"), 499);
        }
        bench.wait_until_sent("eth1", 1000);
        // The kernel takes them, and answers.
        let asked = |to, protocol| {
            let answer = leak("address-escape").egress("eth1").packets(500);
            let answer = answer.source(to).protocol(protocol);
            let asked = escape().packets(500).destination(to).protocol(protocol);
            asked.with(answer)
        };
        auditor
            .stop()
            .expect()
            .arrived(asked("10.0.0.1", "icmp"))
            .arrived(asked("fd00::1", "icmpv6"))
            .nothing_else();
    });
}

/// A few datagrams that no socket receives: the kernel answers so, via the interface that they came in by.
fn unreceived(name: &str, intent: Option<&str>) {
    scenario(name, NOTHING, |bench| {
        for limit in ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"] {
            bench.card().set_sysctl(limit, "0").expect("a limit");
        }
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = intent.map(|intent| receiver(bench, intent));
        let to_it = "udp --to 10.0.0.1:5000 --count 10";
        send(bench, &bench.chassis.outside, to_it, 10);
        bench.wait_until_sent("eth1", 10);
        drop(receiver);
        let arrived_at_none = risk("ingress-escape")
            .egress("eth1")
            .packets(10)
            .protocol("udp")
            .destination("10.0.0.1:5000");
        let answered = leak("address-escape")
            .egress("eth1")
            .packets(10)
            .protocol("icmp")
            .cause("the kernel's own reply");
        auditor
            .stop()
            .expect()
            .finding(answered.with(arrived_at_none))
            .nothing_else();
    });
}

fn what_nobody_listens_for_is_a_risk() {
    unreceived("20 no-socket", None);
}

fn a_socket_that_is_pinned_to_the_backplane_does_not_hear_the_outside() {
    unreceived("20 pinned", Some("--bind 10.0.0.1:5000 --bind-device fab0"));
}

fn a_socket_that_is_pinned_to_the_front_port_hears_the_backplanes_address() {
    scenario("20 pinned-outside", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 0.0.0.0:5000 --bind-device eth1");
        let to_it = "udp --to 10.0.0.1:5000 --count 1000";
        send(bench, &bench.chassis.outside, to_it, 1000);
        let escaped = escape().bound("eth1").packets(1000).by(&end(receiver));
        auditor.stop().expect().arrived(escaped).nothing_else();
    });
}

/// What was counted in another namespace arrives with the mark of that, which older kernels take for the IP layer's flags when they look for
/// its socket. Each auditor has other marks: half of them mean nothing there.
fn what_was_counted_where_it_left_finds_its_receiver() {
    scenario("20 marked", NOTHING, |bench| {
        for _ in 0..4 {
            let policy = "[zone.backplane]\ninterfaces = [\"fab*\"]\ncontained = true\n";
            let outside = &bench.chassis.outside;
            let auditor = bench.audit_with(policy, &["--netns", outside.name()]);
            let receiver = receiver(bench, "--bind 10.0.0.1:5000");
            send(bench, outside, "udp --to 10.0.0.1:5000 --count 10", 10);
            let receiver = end(receiver);
            let report = auditor.stop();
            let [finding] = &report.findings[..] else {
                panic!("one finding\n{report}");
            };
            let place = (&*finding.netns, &*finding.egress_interface);
            assert_eq!(place, (bench.card().name(), "eth1"), "{report}");
            assert_eq!(
                (finding.kind.name(), finding.severity, finding.packets),
                ("ingress-escape", Severity::Leak, 10),
                "{report}"
            );
            let process = finding.process.as_ref().and_then(|process| process.pid);
            assert_eq!(process, Some(receiver.pid), "{report}");
        }
    });
}

fn the_wire_is_counted_in_segments() {
    scenario("20 gso", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 10.0.0.1:5000");
        let to_it = "udp --to 10.0.0.1:5000 --gso 1000 --size 9500 --count 100";
        send(bench, &bench.chassis.outside, to_it, 100);
        let escaped = escape().packets(1000).by(&end(receiver));
        let report = auditor.stop();
        report.expect().arrived(escaped).nothing_else();
        assert_eq!(report.findings[0].bytes, 100 * (9500 + 10 * 42), "{report}");
    });
}

fn fragments_are_counted() {
    scenario("20 fragments", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 10.0.0.1:5000");
        let to_it = "udp --to 10.0.0.1:5000 --size 4000 --count 100";
        send(bench, &bench.chassis.outside, to_it, 300);
        // The first has the ports; the others have none, and it is not known which socket receives them.
        auditor
            .stop()
            .expect()
            .arrived(escape().packets(100).by(&end(receiver)))
            .arrived(escape().packets(200).destination("10.0.0.1"))
            .nothing_else();
    });
}
