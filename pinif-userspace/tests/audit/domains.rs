//! Routing domains: sockets that are bound to a VRF, and what happens where its table has no answer. Cases 3, 12 and 16 of
//! docs/developers/scenarios.md.

use std::fs;

use crate::bench::{Bench, CONTROL_PLANE, Need, leak, scenario, together};
use pinif_lab::{Device, LinkKind, Route};

together! {
    domains:
        a_domain_sends_by_its_interface,
        a_domain_sends_ipv6_by_its_interface,
        a_socket_bound_to_an_enslaved_interface_leaves_by_it,
        a_domains_connection_leaves_by_its_interface,
        a_domains_listener_answers_by_its_interface,
        an_address_of_a_domain_leaves_by_its_interface,
        a_domain_without_an_answer_sends_nothing,
        a_domain_that_loses_its_route_leaks_by_the_main_table,
        an_unpinned_socket_leaks_when_a_route_into_the_domain_goes,
        forwarded_traffic_of_a_domain_leaks_by_the_main_table,
        what_ip_vrf_exec_starts_leaves_by_the_domains_interface,
        what_ip_vrf_exec_starts_leaks_by_the_main_table;
}

const VRF: [Need; 1] = [Need::Link(LinkKind::Vrf)];
/// The routing table of the domain `blue`.
const BLUE: u16 = 10;

/// A domain, `blue`, in which fab1 leads to the peer.
///
/// ```text
///   peer                               card
///   fab1 ───────────────────────────── fab1 ─ blue
///   10.0.7.2/24, fd07::2/64            10.0.7.1/24, fd07::1/64
/// ```
fn blue(bench: &Bench) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    card.add_device(Device::new(LinkKind::Vrf, "blue").id(BLUE))
        .expect("a VRF");
    card.set_up("blue").expect("a VRF");
    card.veth("fab1", peer, "fab1", 0x31).expect("a pair");
    card.enslave("fab1", "blue").expect("a slave");
    for namespace in [card, peer] {
        namespace.set_up("fab1").expect("an end");
    }
    card.wait_until_operational("fab1").expect("it is up");
    let mac = peer.mac("fab1").expect("a MAC address");
    for (here, there) in [("10.0.7.1/24", "10.0.7.2"), ("fd07::1/64", "fd07::2")] {
        card.add_address("fab1", here.parse().expect("an address"))
            .expect("an address");
        card.add_neighbour("fab1", there.parse().expect("an address"), &mac)
            .expect("a neighbour");
    }
    let mac = card.mac("fab1").expect("a MAC address");
    for (here, there) in [("10.0.7.2/24", "10.0.7.1"), ("fd07::2/64", "fd07::1")] {
        peer.add_address("fab1", here.parse().expect("an address"))
            .expect("an address");
        peer.add_neighbour("fab1", there.parse().expect("an address"), &mac)
            .expect("a neighbour");
    }
    bench.count_on("fab1");
}

/// A route of the domain by fab1 to what the outside has, too.
fn route() -> Route {
    Route::new("10.9.0.9/32".parse().expect("a prefix"), "fab1")
        .via("10.0.7.2".parse().expect("an address"))
        .table(BLUE.into())
}

fn contained(name: &str, device: &str, to: &str) {
    scenario(name, &VRF, |bench| {
        blue(bench);
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!(
            "udp --bind-device {device} --to {to} --count 1000"
        ));
        assert_eq!(sent.sent, 1000, "{sent:?}");
        // The domain's device itself has no egress that anything passes (`vrf_l3_out`).
        auditor
            .stop()
            .expect()
            .contained(device, "fab1", 1000)
            .total(1000)
            .nothing_else();
    });
}

fn a_domain_sends_by_its_interface() {
    contained("3 vrf", "blue", "10.0.7.2:9");
}

fn a_domain_sends_ipv6_by_its_interface() {
    contained("3 vrf-v6", "blue", "[fd07::2]:9");
}

fn a_socket_bound_to_an_enslaved_interface_leaves_by_it() {
    contained("3 vrf-enslaved", "fab1", "10.0.7.2:9");
}

fn a_domains_connection_leaves_by_its_interface() {
    scenario("3 vrf-tcp", &VRF, |bench| {
        blue(bench);
        bench
            .card()
            .segment_in_software("fab1")
            .expect("software segmentation");
        let mut far = bench.far_sender(
            &bench.chassis.peer,
            "tcp --listen 10.0.7.2:7000 --bytes 10000 --close last",
        );
        far.wait_for("ready").go();
        let auditor = bench.audit(&[]);
        bench.send("tcp --bind-device blue --to 10.0.7.2:7000 --bytes 10000");
        far.finish();
        let report = auditor.stop();
        let packets = report.sent_by("fab1").packets;
        assert!(packets >= 5, "SYN, ACK, data, FIN, ACK\n{report}");
        report
            .expect()
            .contained("blue", "fab1", packets)
            .nothing_else();
    });
}

fn a_domains_listener_answers_by_its_interface() {
    scenario("3 vrf-listener", &VRF, |bench| {
        blue(bench);
        let auditor = bench.audit(&[]);
        let mut server =
            bench.sender("tcp --listen 10.0.7.1:7000 --bind-device blue --close first");
        server.wait_for("ready").go();
        bench
            .far_sender(&bench.chassis.peer, "tcp --to 10.0.7.1:7000 --close last")
            .finish();
        server.finish();
        let report = auditor.stop();
        let packets = report.sent_by("fab1").packets;
        assert!(packets >= 3, "SYN-ACK, ACK, and the end\n{report}");
        report
            .expect()
            .contained("blue", "fab1", packets)
            .nothing_else();
    });
}

fn an_address_of_a_domain_leaves_by_its_interface() {
    scenario("3 vrf-address", &VRF, |bench| {
        blue(bench);
        let auditor = bench.audit(&[]);
        bench.send("udp --bind-device blue --bind 10.0.7.1 --to 10.0.7.2:9 --count 1000");
        auditor
            .stop()
            .expect()
            .contained("blue", "fab1", 1000)
            .nothing_else();
    });
}

fn a_domain_without_an_answer_sends_nothing() {
    scenario("12 vrf-unreachable", &VRF, |bench| {
        blue(bench);
        bench.run(
            "ip",
            "route add table 10 unreachable default metric 4278198272",
        );
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind-device blue --to 10.9.0.9:9 --count 10");
        assert_eq!(sent.sent, 0, "{sent:?}");
        auditor.stop().expect().nothing_else();
    });
}

/// A domain without a default route asks the main table next: the rule of routing domains ends nothing.
fn a_domain_that_loses_its_route_leaks_by_the_main_table() {
    scenario("12 vrf-route-lost", &VRF, |bench| {
        blue(bench);
        bench.card().add_route(route()).expect("a route");
        let auditor = bench.audit(&[]);
        let mut sender =
            bench.sender("udp --bind-device blue --to 10.9.0.9:9 --count 1000 --pause-after 400");
        sender.wait_for("paused");
        bench.card().delete_route(route()).expect("it was there");
        sender.go();
        let sent = sender.finish();
        let escape = leak("device-escape")
            .bound("blue")
            .egress("eth1")
            .packets(600)
            .by(&sent)
            .cause("table 10 of the VRF blue has no route there")
            .cause("in table main");
        auditor
            .stop()
            .expect()
            .contained("blue", "fab1", 400)
            .finding(escape)
            .nothing_else();
    });
}

fn an_unpinned_socket_leaks_when_a_route_into_the_domain_goes() {
    scenario("12 vrf-leaked-route-lost", &VRF, |bench| {
        blue(bench);
        // What others call route leaking: the main table leads into the domain.
        let into = || {
            Route::new("10.9.0.9/32".parse().expect("a prefix"), "fab1")
                .via("10.0.7.2".parse().expect("an address"))
        };
        bench.card().add_route(into()).expect("a route");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let mut sender = bench.sender("udp --to 10.9.0.9:9 --count 1000 --pause-after 400");
        sender.wait_for("paused");
        bench.card().delete_route(into()).expect("it was there");
        sender.go();
        let sent = sender.finish();
        let escape = leak("policy-escape")
            .rule("control-plane")
            .egress("eth1")
            .packets(600)
            .by(&sent);
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab1", 400)
            .finding(escape)
            .nothing_else();
    });
}

fn forwarded_traffic_of_a_domain_leaks_by_the_main_table() {
    scenario("16 vrf-forwarded", &VRF, |bench| {
        blue(bench);
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        for link in ["fab0", "fab1", "eth1"] {
            card.set_multicast(link, false).expect("a link");
        }
        card.set_sysctl("ipv4/ip_forward", "1")
            .expect("IPv4 is there");
        let far = Route::new("10.9.0.9/32".parse().expect("a prefix"), "fab1")
            .via("10.0.7.1".parse().expect("an address"));
        peer.add_route(far).expect("a route");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        bench
            .far_sender(
                peer,
                "udp --bind 10.0.7.2:4000 --to 10.9.0.9:9 --count 1000",
            )
            .finish();
        bench.wait_until_sent("eth1", 1000);
        let escape = leak("policy-escape")
            .rule("control-plane")
            .egress("eth1")
            .packets(1000)
            .source("10.0.7.2:4000")
            .cause("forwarded");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

/// The environment of a program that `ip vrf exec` starts is a cgroup whose program pins each socket.
const EXEC: [Need; 2] = [Need::Link(LinkKind::Vrf), Need::Program("ip")];

fn what_ip_vrf_exec_starts_leaves_by_the_domains_interface() {
    scenario("3 program-vrf-exec", &EXEC, |bench| {
        blue(bench);
        let auditor = bench.audit(&[]);
        bench.program("ip", "vrf exec blue ping -n -q -c 5 -i 0.01 10.0.7.2");
        auditor
            .stop()
            .expect()
            .contained("blue", "fab1", 5)
            .nothing_else();
    });
}

fn what_ip_vrf_exec_starts_leaks_by_the_main_table() {
    scenario("12 program-vrf-exec", &EXEC, |bench| {
        blue(bench);
        let auditor = bench.audit(&[]);
        // One short file is one datagram.
        let pid = bench.program(
            "ip",
            "vrf exec blue socat -u OPEN:/proc/version UDP4-SENDTO:10.9.0.9:9",
        );
        let escape = leak("device-escape")
            .bound("blue")
            .egress("eth1")
            .packets(1)
            .by_program("socat", pid)
            .protocol("udp");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

#[test]
fn what_ip_vrf_exec_made_goes_with_the_bench() {
    let mut cgroup = None;
    scenario("3 vrf-exec-cleaned-up", &EXEC, |bench| {
        blue(bench);
        bench.program("ip", "vrf exec blue true");
        let path = bench.cgroup_path().to_owned();
        let made = fs::read_dir(&path).expect("the cgroup").flatten();
        let below = made.filter(|entry| entry.path().is_dir()).count();
        assert_eq!(below, 1, "`ip vrf exec` makes cgroups below its own");
        cgroup = Some(path);
    });
    assert!(cgroup.is_none_or(|path| !path.exists()));
}
