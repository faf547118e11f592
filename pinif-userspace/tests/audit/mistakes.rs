//! Mistakes that users of real programs reported, each as it was made.

use crate::bench::{
    Bench, CONTROL_PLANE_PINNED, Need, Report, SENDER, Sent, leak, risk, scenario, serve, together,
};
use pinif_lab::Route;

together! {
    mistakes:
        curl_falls_back_to_the_address_when_the_device_is_refused,
        a_bound_listener_binds_no_sender,
        a_reset_leaves_by_the_other_interface_when_its_own_is_down,
        a_reset_stays_at_home_when_its_address_has_gone,
        tcp_takes_no_notice_of_ip_unicast_if,
        udp_follows_ip_unicast_if_unpinned,
        a_default_route_over_the_midplane_takes_the_world_there;
}

const RULE: &str = "control-plane";

/// curl#686: where the device is refused, curl takes the interface's address instead, and says nothing. A sandbox that
/// forbids `SO_BINDTODEVICE` refuses it here.
fn curl_falls_back_to_the_address_when_the_device_is_refused() {
    scenario("9 curl-fallback", &[Need::Program("curl")], |bench| {
        let served = serve(&bench.chassis.outside, "203.0.113.9:7000");
        let auditor = bench.audit(&[]);
        let curl = bench.program(
            *SENDER,
            "refuse-bind -- curl --silent --interface fab0 http://203.0.113.9:7000/",
        );
        served.join().expect("a request");
        let report = auditor.stop();
        let packets = report.sent_by("eth1").packets;
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(packets)
            .by_program("curl", curl)
            .protocol("tcp")
            .destination("203.0.113.9:7000");
        report.expect().finding(escape).nothing_else();
    });
}

/// openwrt/packages#14403: the listener is bound to the device, and the socket that sends is not.
fn a_bound_listener_binds_no_sender() {
    scenario("13 listener-bound-alone", &[], |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let mut server =
            bench.sender("tcp --listen 10.0.0.1:7000 --bind-device fab0 --close first");
        server.wait_for("ready").go();
        bench
            .far_sender(&bench.chassis.peer, "tcp --to 10.0.0.1:7000 --close last")
            .finish();
        server.finish();
        let well = bench.send("udp --to 10.0.0.2:9 --count 400");
        let leaked = bench.send("udp --to 10.9.0.9:9 --count 600");
        let report = auditor.stop();
        let served = report.sent_by("fab0").packets - 400;
        report
            .expect()
            .contained("fab0", "fab0", served)
            .finding(
                risk("unpinned")
                    .rule(RULE)
                    .egress("fab0")
                    .packets(400)
                    .by(&well),
            )
            .finding(
                leak("policy-escape")
                    .rule(RULE)
                    .egress("eth1")
                    .packets(600)
                    .by(&leaked),
            )
            .nothing_else();
    });
}

/// A connection from fab0's address that is open when `change` happens, and closed then.
fn closed_after(bench: &Bench, close: &str, change: impl FnOnce()) -> (Sent, Report) {
    let mut far = bench.far_sender(
        &bench.chassis.peer,
        "tcp --listen 10.0.0.2:7000 --bytes 0 --close last",
    );
    far.wait_for("ready").go();
    let auditor = bench.audit(&[]);
    let mut sender = bench.sender(&format!(
        "tcp --bind 10.0.0.1 --to 10.0.0.2:7000 --bytes 0 --pause-connected --close {close}"
    ));
    sender.wait_for("connected");
    let before = bench.card().sent("fab0").expect("fab0").packets;
    assert_eq!(before, 2, "SYN, ACK");
    change();
    sender.go();
    let sent = sender.finish();
    drop(far);
    (sent, auditor.stop_unsettled())
}

/// ics-openvpn#346: what a connection still has to say when its interface has gone leaves by another, and shows the world
/// the inner address.
fn a_reset_leaves_by_the_other_interface_when_its_own_is_down() {
    scenario("9 reset-after-link-down", &[], |bench| {
        let (sent, report) = closed_after(bench, "reset", || {
            bench.card().set_down("fab0").expect("fab0 goes down");
        });
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(1)
            .by(&sent)
            .protocol("tcp")
            .bound_address("10.0.0.1")
            .cause("link fab0 is down");
        report
            .expect()
            .contained_unpinned("fab0", 2)
            .finding(escape)
            .nothing_else();
    });
}

/// The same where the address has been taken away: today's kernels send nothing from an address that is not theirs
/// (`ip_route_output_key_hash_rcu`).
fn a_reset_stays_at_home_when_its_address_has_gone() {
    scenario("9 reset-after-address-gone", &[], |bench| {
        let (_, report) = closed_after(bench, "reset", || {
            let address = "10.0.0.1/24".parse().expect("an address");
            bench
                .card()
                .delete_address("fab0", address)
                .expect("it has it");
        });
        report.expect().contained_unpinned("fab0", 2).nothing_else();
    });
}

/// `IP_UNICAST_IF` chooses the interface of datagrams, and TCP does not look at it.
fn tcp_takes_no_notice_of_ip_unicast_if() {
    scenario("12 unicast-if-tcp", &[], |bench| {
        let mut far = bench.far_sender(
            &bench.chassis.outside,
            "tcp --listen 10.9.0.9:7000 --close last",
        );
        far.wait_for("ready").go();
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let outside = &bench.chassis.outside;
        let answered = outside.sent("eth0").expect("eth0").packets;
        let sent = bench.send("tcp --unicast-if fab0 --to 10.9.0.9:7000");
        far.finish();
        let report = auditor.stop();
        let answered = outside.sent("eth0").expect("eth0").packets - answered;
        let packets = report.sent_by("eth1").packets;
        assert!(packets >= 5, "SYN, ACK, data, FIN, ACK\n{report}");
        let escape = leak("policy-escape")
            .rule(RULE)
            .egress("eth1")
            .packets(packets)
            .by(&sent)
            .destination("10.9.0.9:7000");
        let answer = leak("ingress-escape")
            .rule(RULE)
            .egress("eth1")
            .packets(answered)
            .source("10.9.0.9:7000");
        report.expect().finding(escape.with(answer)).nothing_else();
    });
}

fn udp_follows_ip_unicast_if_unpinned() {
    scenario("13 unicast-if-udp", &[], |bench| {
        bench
            .card()
            .add_neighbour(
                "fab0",
                "10.9.0.9".parse().expect("an address"),
                &[0x02, 0, 0, 0, 0, 0x77],
            )
            .expect("a neighbour");
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench.send("udp --unicast-if fab0 --to 10.9.0.9:9 --count 1000");
        let unpinned = risk("unpinned")
            .rule(RULE)
            .egress("fab0")
            .packets(1000)
            .by(&sent);
        auditor.stop().expect().finding(unpinned).nothing_else();
    });
}

/// sonic-mgmt#21392: a card learns a default route over the midplane, and what is meant for the world goes to its
/// neighbours in the chassis.
fn a_default_route_over_the_midplane_takes_the_world_there() {
    const POLICY: &str = r#"
[zone.midplane]
interfaces = ["fab*"]

[zone.front]
interfaces = ["eth*"]
contained = true

[[rule]]
name = "world"
destination = ["203.0.113.0/24", "2001:db8::/32"]
only_via = ["front"]
"#;
    scenario("12 default-route-over-midplane", &[], |bench| {
        let auditor = bench.audit_with(POLICY, &[]);
        let mut sender = bench.sender("udp --to 203.0.113.9:9 --count 1000 --pause-after 400");
        sender.wait_for("paused");
        let everything = "0.0.0.0/0".parse().expect("a prefix");
        let card = bench.card();
        card.delete_route(
            Route::new(everything, "eth1").via("192.0.2.2".parse().expect("an address")),
        )
        .expect("it was there");
        card.add_route(Route::new(everything, "fab0").via("10.0.0.2".parse().expect("an address")))
            .expect("a route");
        sender.go();
        let sent = sender.finish();
        let escape = leak("policy-escape")
            .rule("world")
            .egress("fab0")
            .packets(600)
            .by(&sent)
            .destination("203.0.113.9:9")
            .cause("route 0.0.0.0/0 via 10.0.0.2 dev fab0");
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 400)
            .finding(escape)
            .nothing_else();
    });
}
