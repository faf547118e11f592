//! Leaks of every kind and from every sender.

use std::net::UdpSocket;

use pinif_lab::Namespace;

use super::{CONTAINED, ENFORCE, LEAK, Outside, eperm, kept};
use crate::bench::{Auditor, Bench, CONTROL_PLANE, Need, leak, risk, scenario, together};

together! {
    without_a_policy:
        an_override_of_the_bound_device_is_dropped,
        an_ipv6_override_of_the_bound_device_is_dropped,
        threads_that_share_a_socket_are_counted_exactly,
        a_risk_leaves,
        a_copy_is_dropped_and_its_original_is_not,
        segments_of_udp_are_dropped_and_counted_each;
    under_a_policy:
        an_address_of_a_contained_zone_stays_inside,
        a_raw_socket_sends_nothing_outside,
        a_raw_ipv6_socket_sends_nothing_outside,
        a_ping_socket_sends_nothing_outside,
        an_ipv6_ping_socket_sends_nothing_outside,
        a_packet_socket_gets_an_error_for_each_frame;
}

const NOTHING: &[Need] = &[];
const TC: &[Need] = &[Need::Program("tc")];
const RULE: &str = "control-plane";

/// Five thousand that leak and a thousand that do not, at the same time.
fn held(bench: &Bench, arguments: &[&str]) {
    let outside = Outside::of(bench);
    let auditor = bench.audit(arguments);
    assert!(auditor.ready().enforce);
    let leaking = bench.sender(&format!("{LEAK} --count 5000"));
    let contained = bench.sender(&format!("{CONTAINED} --count 1000"));
    let (escaped, contained) = (leaking.finish(), contained.finish());
    assert_eq!((escaped.sent, contained.sent), (0, 1000));
    assert_eq!(escaped.refused, eperm(5000));
    let report = auditor.stop();
    outside.got_nothing();
    assert_eq!(report.sent_by("eth1").packets, 0, "{report}");
    assert_eq!(report.summary.dropped, 5000, "{report}");
    report
        .expect()
        .finding(
            kept()
                .packets(5000)
                .by(&escaped)
                .cause("IP_PKTINFO override"),
        )
        .contained("fab0", "fab0", 1000)
        .total(1000)
        .nothing_else();
}

fn an_override_of_the_bound_device_is_dropped() {
    scenario("enforce pktinfo", NOTHING, |bench| held(bench, ENFORCE));
}

#[test]
fn filters_drop_as_well() {
    scenario("enforce pktinfo-clsact", TC, |bench| {
        held(bench, &["--enforce", "--attach", "clsact"]);
        let left = bench.ask("tc", "filter show dev eth1 egress");
        assert!(!left.contains("pinif"), "{left}");
    });
}

fn an_ipv6_override_of_the_bound_device_is_dropped() {
    scenario("enforce scope-v6", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let escaped =
            bench.send("udp --bind-device fab0 --scope eth1 --to [fe80::2]:9 --count 2000");
        bench.send("udp --bind-device fab0 --to [fd00::2]:9 --count 1000");
        let report = auditor.stop();
        outside.got_nothing();
        report
            .expect()
            .finding(kept().packets(2000).by(&escaped))
            .contained("fab0", "fab0", 1000)
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn nothing_is_dropped_unless_it_is_asked_for() {
    scenario("enforce not", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(&[]);
        assert!(!auditor.ready().enforce);
        let escaped = bench.send(&format!("{LEAK} --count 1000"));
        let report = auditor.stop();
        assert_eq!(outside.got(), 1000, "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape.packets(1000).by(&escaped))
            .nothing_else();
    });
}

fn threads_that_share_a_socket_are_counted_exactly() {
    scenario("enforce threads", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let escaped = bench.send(
            "storm --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --threads 4 --count 5000 --sharing one",
        );
        assert_eq!((escaped.sent, &escaped.refused), (0, &eperm(20_000)));
        let report = auditor.stop();
        outside.got_nothing();
        report
            .expect()
            .finding(kept().packets(20_000).by(&escaped))
            .nothing_else();
    });
}

fn an_address_of_a_contained_zone_stays_inside() {
    scenario("enforce address", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let escaped = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 2000");
        let report = auditor.stop();
        outside.got_nothing();
        let escape = leak("address-escape").egress("eth1").dropped();
        report
            .expect()
            .finding(escape.packets(2000).by(&escaped))
            .nothing_else();
    });
}

fn a_risk_leaves() {
    scenario("enforce risk", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let sent = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 1000");
        let report = auditor.stop();
        assert_eq!(outside.got(), 1000, "{report}");
        let escape = risk("address-escape").egress("eth1");
        report
            .expect()
            .finding(escape.packets(1000).by(&sent))
            .nothing_else();
    });
}

fn a_copy_is_dropped_and_its_original_is_not() {
    scenario("enforce mirror", TC, |bench| {
        bench.run("tc", "qdisc add dev fab0 clsact");
        bench.run(
            "tc",
            "filter add dev fab0 egress protocol ip u32 match u32 0 0 action mirred egress mirror dev eth1",
        );
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let sent = bench.send(&format!("{CONTAINED} --count 1000"));
        let report = auditor.stop();
        outside.got_nothing();
        assert_eq!(report.sent_by("fab0").packets, 1000, "{report}");
        let copy = leak("copy-escape").bound("fab0").egress("eth1").dropped();
        report
            .expect()
            .contained("fab0", "fab0", 1000)
            .finding(copy.packets(1000).by(&sent))
            .nothing_else();
    });
}

/// Two thousand of a socket that is bound to the outside, which gets an error for so many: ping sockets of IPv6 get none, whatever
/// became of the packet (`ping_v6_sendmsg`).
fn sends_nothing_outside(name: &str, sender: &str, protocol: &'static str, errors: u64) {
    scenario(name, NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let sent = bench.send(&format!("{sender} --bind-device eth1 --count 2000"));
        let refused = sent.refused.get("EPERM").copied().unwrap_or(0);
        assert_eq!((sent.sent, refused), (2000 - errors, errors), "{sent:?}");
        let report = auditor.stop();
        outside.got_nothing();
        let escape = leak("policy-escape")
            .rule(RULE)
            .bound("eth1")
            .egress("eth1");
        report
            .expect()
            .finding(escape.dropped().packets(2000).by(&sent).protocol(protocol))
            .nothing_else();
    });
}

fn a_raw_socket_sends_nothing_outside() {
    sends_nothing_outside("enforce raw", "raw --to 10.0.0.2", "253", 2000);
}

fn a_raw_ipv6_socket_sends_nothing_outside() {
    sends_nothing_outside("enforce raw-v6", "raw --to fd00::2", "253", 2000);
}

fn a_ping_socket_sends_nothing_outside() {
    sends_nothing_outside("enforce ping", "ping --to 10.0.0.2", "icmp", 2000);
}

fn an_ipv6_ping_socket_sends_nothing_outside() {
    sends_nothing_outside("enforce ping-v6", "ping --to fd00::2", "icmpv6", 0);
}

fn a_packet_socket_gets_an_error_for_each_frame() {
    scenario("enforce packet", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let sent =
            bench.send("packet --device eth1 --from 192.0.2.1:4000 --to 10.0.0.2:9 --count 2000");
        // `packet_snd` gives back what the device said (`net_xmit_errno`).
        assert_eq!((sent.sent, sent.refused["ENOBUFS"]), (0, 2000));
        let report = auditor.stop();
        outside.got_nothing();
        let escape = leak("policy-escape").rule(RULE).egress("eth1").dropped();
        report
            .expect()
            .finding(escape.packets(2000).by(&sent).cause("packet socket"))
            .nothing_else();
    });
}

/// Waits until a finding says that so many were dropped: where no process's end shows that all were sent.
fn wait_until_dropped(auditor: &mut Auditor<'_>, packets: u64) {
    auditor.wait_for_finding_that("all were dropped", |finding| {
        finding.dropped && finding.packets == packets
    });
}

#[test]
fn forwarded_traffic_is_dropped() {
    for (name, to) in [
        ("enforce forwarded", "10.9.0.9:9"),
        ("enforce forwarded-v6", "[fd00:9::9]:9"),
    ] {
        scenario(name, NOTHING, |bench| {
            let card = bench.card();
            for link in ["fab0", "eth1"] {
                card.set_multicast(link, false).expect("the link");
            }
            for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                card.set_sysctl(setting, "1").expect("IP is there");
            }
            let outside = Outside::of(bench);
            let mut auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
            let peer = &bench.chassis.peer;
            bench
                .far_sender(peer, &format!("udp --to {to} --count 2000"))
                .finish();
            wait_until_dropped(&mut auditor, 2000);
            let report = auditor.stop();
            outside.got_nothing();
            let escape = leak("policy-escape").rule(RULE).egress("eth1").dropped();
            report
                .expect()
                .finding(escape.packets(2000).protocol("udp").cause("forwarded"))
                .nothing_else();
        });
    }
}

/// Gives the peer an address that the card reaches by its default route only.
fn far_host(bench: &Bench) -> &Namespace {
    let peer = &bench.chassis.peer;
    let address = "203.0.113.77/32".parse().expect("an address");
    peer.add_address("lo", address).expect("a loopback");
    // The card answers as often as it is asked.
    bench
        .card()
        .set_sysctl("ipv4/icmp_ratelimit", "0")
        .expect("ICMP is there");
    peer
}

#[test]
fn what_the_kernel_answers_by_itself_is_dropped() {
    scenario("enforce reply", NOTHING, |bench| {
        let peer = far_host(bench);
        let outside = Outside::of(bench);
        let mut auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let socket = peer
            .run(|| UdpSocket::bind("203.0.113.77:4000"))
            .expect("the peer")
            .expect("a free port");
        for _ in 0..10 {
            socket.send_to(b"?", "10.0.0.1:7000").expect("a route");
        }
        wait_until_dropped(&mut auditor, 10);
        let report = auditor.stop();
        outside.got_nothing();
        let escape = leak("address-escape").egress("eth1").dropped();
        report
            .expect()
            .finding(
                escape
                    .packets(10)
                    .protocol("icmp")
                    .cause("the kernel's own reply"),
            )
            .nothing_else();
    });
}

fn segments_of_udp_are_dropped_and_counted_each() {
    scenario("enforce gso-udp", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let escaped = bench.send(&format!("{LEAK} --count 200 --size 12000 --gso 1200"));
        let report = auditor.stop();
        outside.got_nothing();
        report
            .expect()
            .finding(kept().packets(2000).by(&escaped))
            .nothing_else();
    });
}
