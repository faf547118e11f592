//! Leaks that need no policy. Cases 9, 10 and 14 of docs/developers/scenarios.md.

use crate::bench::{
    Bench, CONTROL_PLANE, Need, Report, Sent, leak, note, risk, scenario, time_wait_has_packets,
    together,
};

together! {
    bound_addresses:
        an_address_bind_does_not_control_the_route,
        an_ipv6_address_bind_does_not_control_the_route,
        an_address_bind_fails_an_audit_that_fails_on_risks,
        an_address_bind_of_a_contained_zone_is_a_leak,
        a_connection_from_a_bound_address_leaves_by_the_default_route,
        an_ipv6_connection_from_a_bound_address_leaves_by_the_default_route,
        an_address_that_leaves_by_its_own_interface_is_contained,
        one_interfaces_address_on_anothers_device_is_crossed;
    bound_devices:
        ip_pktinfo_overrides_the_bound_device_of_udp,
        ip_pktinfo_overrides_the_bound_device_of_raw_ip,
        sin6_scope_id_overrides_the_bound_device_of_a_link_local_destination,
        sin6_scope_id_overrides_the_bound_device_of_multicast,
        sin6_scope_id_overrides_the_bound_device_of_raw_ipv6,
        sin6_scope_id_of_a_group_beyond_the_link_is_not_looked_at,
        every_socket_has_its_own_finding,
        ipv6_pktinfo_is_refused_and_nothing_leaves,
        a_socket_unbound_after_connect_follows_the_routing_table,
        a_socket_rebound_after_connect_keeps_its_address,
        a_socket_rebound_away_from_its_bound_address_is_crossed;
}

const NOTHING: &[Need] = &[];

fn an_address_bind_does_not_control_the_route() {
    address_bind("9 address-bind-udp", "10.0.0.1", "203.0.113.9:9");
}

fn an_ipv6_address_bind_does_not_control_the_route() {
    address_bind("9 address-bind-udp-v6", "fd00::1", "[2001:db8:f::9]:9");
}

fn address_bind(name: &str, local: &'static str, to: &'static str) {
    scenario(name, NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("udp --bind {local} --to {to} --count 1000"));
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(1000)
            .by(&sent)
            .protocol("udp")
            .bound_address(local)
            .source(&sent.local.clone().expect("bound"))
            .destination(to)
            .cause("route");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

fn an_address_bind_fails_an_audit_that_fails_on_risks() {
    scenario("9 address-bind-fail-on-risk", NOTHING, |bench| {
        let auditor = bench.audit(&["--fail-on", "risk"]);
        let sent = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 1000");
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        auditor
            .stop()
            .expect()
            .finding(escape)
            .exit(2)
            .nothing_else();
    });
}

fn an_address_bind_of_a_contained_zone_is_a_leak() {
    scenario("9 address-bind-contained-zone", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 1000");
        let escape = leak("address-escape")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

fn a_connection_from_a_bound_address_leaves_by_the_default_route() {
    scenario("9 address-bind-tcp", NOTHING, |bench| {
        address_bound_connection(bench, "10.0.0.1", "203.0.113.9:7000");
    });
}

fn an_ipv6_connection_from_a_bound_address_leaves_by_the_default_route() {
    scenario("9 address-bind-tcp-v6", NOTHING, |bench| {
        address_bound_connection(bench, "fd00::1", "[2001:db8:f::9]:7000");
    });
}

/// From the SYN to the last ACK, all is one finding of one socket. The last may be a time-wait socket's, which older kernels
/// have no packet of: the kernel's control socket sends it (IPv4), or none (IPv6).
fn address_bound_connection(bench: &Bench, local: &'static str, server: &'static str) {
    let mut far = bench.far_sender(
        &bench.chassis.outside,
        &format!("tcp --listen {server} --close last"),
    );
    far.wait_for("ready").go();
    let auditor = bench.audit(&[]);
    let sent = bench.send(&format!("tcp --bind {local} --to {server}"));
    far.finish();
    let report = auditor.stop();
    let packets = report.sent_by("eth1").packets;
    assert!(packets >= 5, "SYN, ACK, data, FIN, ACK\n{report}");
    let escape = |packets| {
        let escape = risk("address-escape").egress("eth1").packets(packets);
        escape.protocol("tcp").destination(server)
    };
    let of_kernel = report
        .findings
        .iter()
        .any(|finding| finding.process.is_none());
    let mut expected = report.expect();
    if of_kernel && !time_wait_has_packets() {
        expected = expected.finding(escape(1));
    }
    let packets = packets - u64::from(of_kernel);
    expected
        .finding(escape(packets).by(&sent).bound_address(local))
        .nothing_else();
}

fn an_address_that_leaves_by_its_own_interface_is_contained() {
    scenario("9 address-bind-right-route", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        bench.send("udp --bind 10.0.0.1 --to 10.0.0.2:9 --count 1000");
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 1000)
            .nothing_else();
    });
}

fn one_interfaces_address_on_anothers_device_is_crossed() {
    scenario("9 crossed-bind", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let sent =
            bench.send("udp --bind-device eth1 --bind 10.0.0.1 --to 203.0.113.9:9 --count 1000");
        let crossed = note("crossed-bind")
            .bound("eth1")
            .egress("eth1")
            .packets(1000)
            .by(&sent)
            .bound_address("10.0.0.1");
        auditor.stop().expect().finding(crossed).nothing_else();
    });
}

/// A socket that is bound to fab0 and whose `packets` leave by eth1.
fn device_escape(
    name: &str,
    arguments: &str,
    packets: u64,
    protocol: &'static str,
    cause: &'static str,
) {
    scenario(name, NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(arguments);
        assert_eq!(sent.refused.len(), 0, "{sent:?}");
        let escape = leak("device-escape")
            .bound("fab0")
            .egress("eth1")
            .packets(packets)
            .by(&sent)
            .protocol(protocol)
            .cause(cause);
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

fn ip_pktinfo_overrides_the_bound_device_of_udp() {
    device_escape(
        "10 pktinfo-udp",
        "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 1000",
        1000,
        "udp",
        "IP_PKTINFO override",
    );
}

fn ip_pktinfo_overrides_the_bound_device_of_raw_ip() {
    device_escape(
        "10 pktinfo-raw",
        "raw --bind-device fab0 --pktinfo eth1 --to 10.0.0.2 --count 1000",
        1000,
        "253",
        "IP_PKTINFO override",
    );
}

fn sin6_scope_id_overrides_the_bound_device_of_a_link_local_destination() {
    device_escape(
        "10 scope-link-local",
        "udp --bind-device fab0 --scope eth1 --to [fe80::2]:9 --count 1000",
        1000,
        "udp",
        "sin6_scope_id override",
    );
}

fn sin6_scope_id_overrides_the_bound_device_of_multicast() {
    device_escape(
        "10 scope-multicast",
        "udp --bind-device fab0 --scope eth1 --to [ff02::1:3]:9 --count 1000",
        1000,
        "udp",
        "sin6_scope_id override",
    );
}

fn sin6_scope_id_overrides_the_bound_device_of_raw_ipv6() {
    device_escape(
        "10 scope-raw",
        "raw --bind-device fab0 --scope eth1 --to fe80::2 --count 1000",
        1000,
        "253",
        "sin6_scope_id override",
    );
}

fn sin6_scope_id_of_a_group_beyond_the_link_is_not_looked_at() {
    scenario("10 scope-site", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        bench.send("udp --bind-device fab0 --scope eth1 --to [ff05::7]:9 --count 10");
        let report = auditor.stop();
        report.expect().contained("fab0", "fab0", 10).nothing_else();
    });
}

fn every_socket_has_its_own_finding() {
    scenario("10 two-sockets", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let command = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
        let first = bench.send(&format!("{command} --count 300"));
        let second = bench.send(&format!("{command} --count 200"));
        let innocent = bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 100");
        assert_eq!(innocent.sent, 100);
        let escape = || leak("device-escape").bound("fab0").egress("eth1");
        auditor
            .stop()
            .expect()
            .finding(escape().packets(300).by(&first))
            .finding(escape().packets(200).by(&second))
            .contained("fab0", "fab0", 100)
            .nothing_else();
    });
}

fn ipv6_pktinfo_is_refused_and_nothing_leaves() {
    scenario("10 pktinfo-v6-refused", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind-device fab0 --pktinfo eth1 --to [fd00::2]:9 --count 10");
        assert_eq!((sent.sent, sent.refused.get("EINVAL")), (0, Some(&10)));
        auditor.stop().expect().nothing_else();
    });
}

/// A connected socket, bound to fab0, that something happens to after half of its datagrams.
fn changed(bench: &Bench, arguments: &str) -> (Sent, Report) {
    let auditor = bench.audit(&[]);
    let sent = bench.send(&format!(
        "udp --bind-device fab0 --to 10.9.0.9:9 --connect --count 1000 {arguments}"
    ));
    (sent, auditor.stop())
}

fn a_socket_unbound_after_connect_follows_the_routing_table() {
    scenario("14 unbound", NOTHING, |bench| {
        let (sent, report) = changed(bench, "--unbind-after 400");
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(600)
            .by(&sent)
            .cause("unbound from fab0");
        report
            .expect()
            .contained("fab0", "fab0", 400)
            .finding(escape)
            .nothing_else();
    });
}

fn a_socket_rebound_after_connect_keeps_its_address() {
    scenario("14 rebound", NOTHING, |bench| {
        let (_, report) = changed(bench, "--rebind eth1 --rebind-after 400");
        report
            .expect()
            .contained("fab0", "fab0", 400)
            .contained("eth1", "eth1", 600)
            .nothing_else();
    });
}

fn a_socket_rebound_away_from_its_bound_address_is_crossed() {
    scenario("14 rebound-address", NOTHING, |bench| {
        let (sent, report) = changed(bench, "--bind 10.0.0.1 --rebind eth1 --rebind-after 400");
        let crossed = note("crossed-bind")
            .bound("eth1")
            .egress("eth1")
            .packets(600)
            .by(&sent)
            .bound_address("10.0.0.1");
        report
            .expect()
            .contained("fab0", "fab0", 400)
            .finding(crossed)
            .nothing_else();
    });
}
