//! Sockets are bound to the device when they are made, whoever makes them and of whatever kind they are.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use pinif_lab::{Device, LinkKind, Route};

use super::INSIDE;
use crate::bench::{Need, SENDER, scenario};

/// That a sender's packets all left by fab0, and none by eth1.
fn stays_inside(name: &str, arguments: &str, packets: u64) {
    scenario(name, &[], |bench| {
        let before = bench.inside();
        let (held, outside) = bench.outside_while(|| bench.send_held(arguments));
        assert_eq!(held.sent().refused, BTreeMap::new(), "{held:?}");
        assert_eq!(outside, 0, "{held:?}");
        assert_eq!(bench.inside() - before, packets, "{held:?}");
        assert_eq!(held.account.left(), [("fab0", packets)]);
        assert_eq!(held.account.arrived(), [("fab0", Some(packets))]);
        assert_eq!(held.account.kept(), []);
        assert_eq!((held.account.refused, held.account.uncounted), (0, 0));
    });
}

#[test]
fn a_udp_socket_is_pinned_from_birth() {
    stays_inside("run udp", &format!("udp --to {INSIDE} --count 1000"), 1000);
}

#[test]
fn a_connected_udp_socket_is_pinned_from_birth() {
    stays_inside(
        "run udp-connected",
        &format!("udp --connect --to {INSIDE} --count 1000"),
        1000,
    );
}

#[test]
fn a_udp_socket_of_ipv6_is_pinned_from_birth() {
    scenario("run udp6", &[], |bench| {
        let detour = Route::new("fd00::2/128".parse().expect("a prefix"), "eth1");
        let detour = detour.via("2001:db8::2".parse().expect("an address"));
        bench.card().add_route(detour).expect("a route");
        let (_, outside) = bench.outside_while(|| bench.send("udp --to [fd00::2]:9 --count 10"));
        assert_eq!(outside, 10, "without a pin");
        let before = bench.inside();
        let (held, outside) =
            bench.outside_while(|| bench.send_held("udp --to [fd00::2]:9 --count 1000"));
        assert_eq!((held.sent().sent, outside), (1000, 0), "{held:?}");
        assert_eq!(bench.inside() - before, 1000);
        assert_eq!(held.account.left(), [("fab0", 1000)]);
    });
}

#[test]
fn a_raw_socket_is_pinned_from_birth() {
    stays_inside("run raw", "raw --to 10.9.0.9 --count 1000", 1000);
}

#[test]
fn a_ping_socket_is_pinned_from_birth() {
    stays_inside("run ping", "ping --to 10.9.0.9 --count 1000", 1000);
}

#[test]
fn multicast_is_pinned_from_birth() {
    stays_inside("run multicast", "udp --to 239.1.1.1:9 --count 1000", 1000);
}

#[test]
fn a_socket_at_the_address_of_another_interface_is_pinned_all_the_same() {
    stays_inside(
        "run crossed",
        &format!("udp --bind 192.0.2.1 --to {INSIDE} --count 1000"),
        1000,
    );
}

#[test]
fn segments_of_one_message_are_counted_as_they_are_on_the_wire() {
    scenario("run gso", &[], |bench| {
        let arguments = format!("udp --to {INSIDE} --count 100 --size 1000 --gso 100");
        let (held, outside) = bench.outside_while(|| bench.send_held(&arguments));
        assert_eq!((held.sent().sent, outside), (100, 0), "{held:?}");
        assert_eq!(held.account.left(), [("fab0", 1000)]);
    });
}

#[test]
fn the_sockets_of_threads_are_pinned() {
    scenario("run threads", &[], |bench| {
        let arguments = format!("storm --to {INSIDE} --threads 8 --count 250 --each 50");
        let (held, outside) = bench.outside_while(|| bench.send_held(&arguments));
        assert_eq!((held.sent().sent, outside), (2000, 0));
        assert_eq!(held.account.left(), [("fab0", 2000)]);
        // Each thread makes a socket for every 50 messages, and there is one before.
        assert_eq!(held.account.pinned, 40);
    });
}

#[test]
fn a_socket_of_io_uring_is_pinned() {
    scenario("run io-uring", &[Need::IoUringSocket], |bench| {
        let arguments = format!("ring --to {INSIDE} --count 1000");
        let (held, outside) = bench.outside_while(|| bench.send_held(&arguments));
        assert_eq!((held.sent().sent, outside), (1000, 0), "{held:?}");
        assert_eq!(held.account.left(), [("fab0", 1000)]);
        assert_eq!(held.account.pinned, 1);
    });
}

#[test]
fn a_mark_that_routes_elsewhere_routes_nothing_elsewhere() {
    stays_inside(
        "run mark",
        "udp --mark 7 --to 203.0.113.9:9 --count 1000",
        1000,
    );
}

#[test]
fn children_and_what_they_execute_are_pinned() {
    scenario("run children", &[], |bench| {
        let mut run = bench.pinned("fab0", "");
        let sender = *SENDER;
        let script = format!(
            "{sender} udp --to {INSIDE} --count 100 & (exec {sender} raw --to 10.9.0.9 --count 100) & wait; \
             {sender} ping --to 10.9.0.9 --count 100"
        );
        run.args(["sh", "-c", &script]);
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.account.pinned, outside), (3, 0), "{held:?}");
        assert_eq!(held.account.left(), [("fab0", 300)]);
    });
}

#[test]
fn a_tcp_connection_is_pinned_on_both_its_sides() {
    scenario("run tcp", &[], |bench| {
        let server = "tcp --listen 10.0.0.2:7000 --bytes 100000 --close last";
        let mut server = bench.far_sender(&bench.chassis.peer, server);
        server.wait_for("ready").go();
        let (held, outside) =
            bench.outside_while(|| bench.send_held("tcp --to 10.0.0.2:7000 --bytes 100000"));
        server.finish();
        bench.settle();
        assert_eq!((held.sent().sent, outside), (1, 0), "{held:?}");
        assert_eq!(held.account.pinned, 1);
        assert!(matches!(held.account.left()[..], [("fab0", packets)] if packets > 3));

        // No host has the address: the connection does not come about, rather than by the default route.
        let mut run = bench.pinned("fab0", "");
        run.args(["curl", "--max-time", "1", "--silent", "http://203.0.113.9/"]);
        if Need::Program("curl").unmet().is_none() {
            let (held, outside) = bench.outside_while(|| bench.held(run));
            assert_eq!(outside, 0, "{held:?}");
            assert!(matches!(held.account.left()[..], [("fab0", _)]), "{held:?}");
        }
    });
}

#[test]
fn the_hosts_own_addresses_are_reached() {
    scenario("run own-address", &[], |bench| {
        let (held, outside) =
            bench.outside_while(|| bench.send_held("udp --to 10.0.0.1:9 --connect --count 1"));
        assert_eq!(outside, 0);
        assert_eq!(held.account.left(), [("lo", 1)], "{held:?}");
    });
}

#[test]
fn a_socket_of_a_vrf_leaves_by_its_members() {
    scenario("run vrf", &[Need::Link(LinkKind::Vrf)], |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Vrf, "blue").id(10))
            .expect("a vrf");
        card.set_up("blue").expect("up");
        card.enslave("fab0", "blue").expect("enslaved");
        let mut run = bench.pinned("blue", "");
        run.arg(*SENDER);
        run.args("udp --to 10.0.0.2:9 --count 1000".split(' '));
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.sent().sent, outside), (1000, 0), "{held:?}");
        assert_eq!(held.account.kept(), []);
        let fab0 = held
            .account
            .left()
            .into_iter()
            .find(|(name, _)| *name == "fab0");
        assert_eq!(fab0, Some(("fab0", 1000)), "{held:?}");

        let mut run = bench.pinned("blue", "");
        run.arg(*SENDER);
        run.args("udp --to 10.0.0.2:9 --pktinfo eth1 --count 1000".split(' '));
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.sent().sent, outside), (0, 0), "{held:?}");
    });
}

#[test]
fn a_vlans_packets_do_not_leave_untagged_by_its_trunk() {
    scenario("run vlan", &[Need::Link(LinkKind::Vlan)], |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Vlan, "fab0.7").over("fab0").id(7))
            .expect("a vlan");
        card.set_up("fab0.7").expect("up");
        let before = bench.inside();
        let mut run = bench.pinned("fab0.7", "");
        run.arg(*SENDER);
        run.args("udp --to 10.0.0.2:9 --pktinfo fab0 --count 1000".split(' '));
        let held = bench.held(run);
        assert_eq!(held.account.kept(), [("fab0", 1000)], "{held:?}");
        assert_eq!(bench.inside() - before, 0);
    });
}

#[test]
fn a_process_that_goes_to_another_namespace_makes_no_sockets_there() {
    scenario("run unshare", &[Need::Program("unshare")], |bench| {
        let mut run = bench.pinned("fab0", "");
        run.args(["unshare", "--net", *SENDER, "udp", "--to", INSIDE]);
        let held = bench.held(run);
        assert_eq!(
            (held.account.elsewhere, held.account.pinned),
            (1, 0),
            "{held:?}"
        );
        assert!(!held.output.status.success());
    });
}

#[test]
fn a_socket_that_is_handed_in_is_reported() {
    scenario("run handed-in", &[], |bench| {
        let socket = bench
            .card()
            .run(|| std::net::UdpSocket::bind("10.0.0.1:700"));
        let socket = socket.expect("the card").expect("a socket");
        let mut run = bench.pinned("fab0", "");
        run.arg("true").stdin(OwnedFd::from(socket));
        let held = bench.held(run);
        let errors = String::from_utf8_lossy(&held.output.stderr);
        assert!(
            errors.starts_with(
                "pinif: descriptor 0, a udp socket at 10.0.0.1:700, was handed in: it is not pinned, and not held\n"
            ),
            "{errors}"
        );
    });
}
