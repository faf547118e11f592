//! What is as it should be: no finding may appear. Cases 1 and 5 of docs/developers/scenarios.md.

use std::net::UdpSocket;

use crate::bench::{Bench, scenario, together};

together! {
    unicast:
        udp_leaves_the_bound_device,
        connected_udp_leaves_the_bound_device,
        udp_over_ipv6_leaves_the_bound_device,
        udp_to_a_link_local_address_leaves_the_bound_device,
        udp_leaves_the_bound_device_against_the_routing_table,
        udp_of_an_address_on_the_bound_device_is_no_crossed_bind,
        raw_ip_leaves_the_bound_device,
        raw_ipv6_leaves_the_bound_device,
        a_ping_leaves_the_bound_device,
        a_ping_over_ipv6_leaves_the_bound_device;
    groups_connections_and_the_host:
        multicast_leaves_the_bound_device,
        multicast_over_ipv6_leaves_the_bound_device,
        link_local_multicast_leaves_the_bound_device,
        broadcast_leaves_the_bound_device,
        subnet_broadcast_leaves_the_bound_device,
        tcp_leaves_the_bound_device,
        tcp_over_ipv6_leaves_the_bound_device,
        both_devices_have_their_own_row,
        the_hosts_own_address_leaves_by_the_loopback,
        the_hosts_own_ipv6_address_leaves_by_the_loopback;
}

/// A pinned sender whose `packets` leave the device that it is bound to.
fn contained(name: &str, arguments: &str, packets: u64) {
    scenario(name, &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(arguments);
        assert_eq!(sent.refused.len(), 0, "{sent:?}");
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", packets)
            .nothing_else();
    });
}

fn udp_leaves_the_bound_device() {
    contained(
        "1 udp",
        "udp --bind-device fab0 --to 10.0.0.2:9 --count 1000",
        1000,
    );
}

fn connected_udp_leaves_the_bound_device() {
    contained(
        "1 udp-connected",
        "udp --bind-device fab0 --to 10.0.0.2:9 --connect --count 1000",
        1000,
    );
}

fn udp_over_ipv6_leaves_the_bound_device() {
    contained(
        "1 udp-v6",
        "udp --bind-device fab0 --to [fd00::2]:9 --count 1000",
        1000,
    );
}

fn udp_to_a_link_local_address_leaves_the_bound_device() {
    contained(
        "1 udp-v6-link-local",
        "udp --bind-device fab0 --to [fe80::2]:9 --count 1000",
        1000,
    );
}

fn udp_leaves_the_bound_device_against_the_routing_table() {
    contained(
        "1 udp-no-route",
        "udp --bind-device fab0 --to 203.0.113.9:9 --count 1000",
        1000,
    );
}

fn udp_of_an_address_on_the_bound_device_is_no_crossed_bind() {
    contained(
        "1 udp-address",
        "udp --bind-device fab0 --bind 10.0.0.1:4000 --to 10.0.0.2:9 --count 1000",
        1000,
    );
}

fn raw_ip_leaves_the_bound_device() {
    contained(
        "1 raw",
        "raw --bind-device fab0 --to 10.0.0.2 --count 1000",
        1000,
    );
}

fn raw_ipv6_leaves_the_bound_device() {
    contained(
        "1 raw-v6",
        "raw --bind-device fab0 --to fd00::2 --count 1000",
        1000,
    );
}

fn a_ping_leaves_the_bound_device() {
    contained(
        "1 ping",
        "ping --bind-device fab0 --to 10.0.0.2 --count 100",
        100,
    );
}

fn a_ping_over_ipv6_leaves_the_bound_device() {
    contained(
        "1 ping-v6",
        "ping --bind-device fab0 --to fd00::2 --count 100",
        100,
    );
}

fn multicast_leaves_the_bound_device() {
    contained(
        "1 multicast",
        "udp --bind-device fab0 --to 239.1.2.3:9 --count 1000",
        1000,
    );
}

fn multicast_over_ipv6_leaves_the_bound_device() {
    contained(
        "1 multicast-v6",
        "udp --bind-device fab0 --to [ff05::1:3]:9 --count 1000",
        1000,
    );
}

fn link_local_multicast_leaves_the_bound_device() {
    contained(
        "1 multicast-v6-link-local",
        "udp --bind-device fab0 --to [ff02::1:3]:9 --count 1000",
        1000,
    );
}

fn broadcast_leaves_the_bound_device() {
    contained(
        "1 broadcast",
        "udp --bind-device fab0 --broadcast --to 255.255.255.255:9 --count 1000",
        1000,
    );
}

fn subnet_broadcast_leaves_the_bound_device() {
    contained(
        "1 broadcast-subnet",
        "udp --bind-device fab0 --broadcast --to 10.0.0.255:9 --count 1000",
        1000,
    );
}

fn tcp_leaves_the_bound_device() {
    scenario("1 tcp", &[], |bench| tcp(bench, "10.0.0.2:7000"));
}

fn tcp_over_ipv6_leaves_the_bound_device() {
    scenario("1 tcp-v6", &[], |bench| tcp(bench, "[fd00::2]:7000"));
}

/// A pinned client, from its SYN to its last ACK.
fn tcp(bench: &Bench, server: &str) {
    // The driver is to count segments, as the auditor does.
    bench
        .card()
        .segment_in_software("fab0")
        .expect("software segmentation");
    let mut far = bench.far_sender(
        &bench.chassis.peer,
        &format!("tcp --listen {server} --bytes 10000 --close last"),
    );
    far.wait_for("ready").go();
    let auditor = bench.audit(&[]);
    bench.send(&format!(
        "tcp --bind-device fab0 --to {server} --bytes 10000"
    ));
    far.finish();
    let report = auditor.stop();
    let packets = report.sent_by("fab0").packets;
    assert!(packets >= 5, "SYN, ACK, data, FIN, ACK\n{report}");
    report
        .expect()
        .contained("fab0", "fab0", packets)
        .nothing_else();
}

fn both_devices_have_their_own_row() {
    scenario("1 two-devices", &[], |bench| {
        let auditor = bench.audit(&[]);
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 300");
        bench.send("udp --bind-device eth1 --to 203.0.113.9:9 --count 200");
        bench.send("udp --to 10.0.0.2:9 --count 100");
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 300)
            .contained("eth1", "eth1", 200)
            .contained_unpinned("fab0", 100)
            .nothing_else();
    });
}

#[test]
fn many_sockets_at_once_are_counted_exactly() {
    scenario("1 many-sockets", &[], |bench| {
        let auditor = bench.audit(&[]);
        let command = "udp --bind-device fab0 --to 10.0.0.2:9 --count 5000 --wait-stdin";
        let mut senders: Vec<_> = (0..8).map(|_| bench.sender(command)).collect();
        senders.iter_mut().for_each(|sender| {
            sender.wait_for("ready");
        });
        senders.iter_mut().for_each(|sender| {
            sender.go();
        });
        senders.into_iter().for_each(|sender| {
            sender.finish();
        });
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 40_000)
            .nothing_else();
    });
}

fn the_hosts_own_address_leaves_by_the_loopback() {
    to_itself("5 own-address", "10.0.0.1:9");
}

fn the_hosts_own_ipv6_address_leaves_by_the_loopback() {
    to_itself("5 own-address-v6", "[fd00::1]:9");
}

fn to_itself(name: &str, address: &str) {
    scenario(name, &[], |bench| {
        // Open, so that the kernel answers nothing.
        let _discard = bench
            .card()
            .run(|| UdpSocket::bind(address))
            .expect("the card")
            .expect("a free port");
        let auditor = bench.audit(&[]);
        bench.send(&format!(
            "udp --bind-device fab0 --to {address} --count 1000"
        ));
        auditor
            .stop()
            .expect()
            .contained("fab0", "lo", 1000)
            .nothing_else();
    });
}
