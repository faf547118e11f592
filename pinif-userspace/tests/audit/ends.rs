//! Interfaces by which nothing leaves the host: those that lead nowhere, and those that are down or without carrier. Case 26 of
//! docs/developers/scenarios.md.

use pinif_lab::{Device, LinkKind};

use crate::bench::{Bench, CONTROL_PLANE, Events, Need, leak, scenario, together, wait_until};

together! {
    ends:
        what_arrives_is_shaped_by_an_ifb,
        what_leaves_is_shaped_by_an_ifb,
        what_a_dummy_takes_never_leaves,
        what_a_bridge_without_ports_takes_never_leaves,
        a_socket_in_a_domain_reaches_the_hosts_own_address,
        what_is_given_to_a_link_that_is_down_never_leaves,
        what_is_given_to_a_link_without_carrier_never_leaves,
        what_would_leak_by_a_link_that_is_down_is_not_counted_as_dropped,
        what_belongs_to_a_link_without_carrier_leaks_by_another;
}

/// An IFB holds 32 packets that its tasklet has not given back yet (`TX_Q_LIMIT`), and drops more: the scenarios send fewer.
const IFB: [Need; 2] = [Need::Link(LinkKind::Ifb), Need::Program("tc")];

/// Sends all IPv4 of fab0 in this direction through an IFB.
fn shape(bench: &Bench, direction: &str) {
    let card = bench.card();
    card.add_device(Device::new(LinkKind::Ifb, "ifb7"))
        .expect("an IFB");
    card.set_up("ifb7").expect("an IFB");
    bench.run("tc", "qdisc add dev fab0 clsact");
    let filter = format!("filter add dev fab0 {direction} protocol ip u32 match u32 0 0");
    bench.run(
        "tc",
        &format!("{filter} action mirred egress redirect dev ifb7"),
    );
}

fn what_arrives_is_shaped_by_an_ifb() {
    scenario("26 ifb-ingress", &IFB, |bench| {
        shape(bench, "ingress");
        let auditor = bench.audit_with(CONTROL_PLANE, &["--enforce"]);
        bench
            .far_sender(&bench.chassis.peer, "udp --to 10.0.0.1:4000 --count 20")
            .finish();
        bench.wait_until_sent("ifb7", 20);
        // The card answers with ICMP errors, as many as the kernel's rate allows.
        let report = auditor.stop();
        let places = report.places();
        let cell = |egress: &str, kind: &str| {
            let place = (None, egress.to_owned(), kind.to_owned());
            places.get(&place).map(|(packets, _)| *packets)
        };
        assert_eq!(cell("ifb7", "contained"), Some(20), "{report}");
        assert!(report.findings.is_empty(), "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
    });
}

fn what_leaves_is_shaped_by_an_ifb() {
    scenario("26 ifb-egress", &IFB, |bench| {
        shape(bench, "egress");
        let auditor = bench.audit_with(CONTROL_PLANE, &["--enforce"]);
        let sent = bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 20");
        assert_eq!(sent.sent, 20, "{sent:?}");
        bench.wait_until_sent("fab0", 20);
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 20)
            .contained("fab0", "ifb7", 20)
            .total(20)
            .nothing_else();
    });
}

/// A device of the card that takes what is sent to 10.44.0.0/24.
fn takes_a_net(bench: &Bench, kind: LinkKind) {
    let card = bench.card();
    card.add_device(Device::new(kind, "end0"))
        .expect("a device");
    card.set_up("end0").expect("a device");
    let address = "10.44.0.1/24".parse().expect("an address");
    card.add_address("end0", address).expect("an address");
}

fn takes(name: &str, kind: LinkKind) {
    scenario(name, &[Need::Link(kind)], |bench| {
        takes_a_net(bench, kind);
        let auditor = bench.audit_with(CONTROL_PLANE, &["--enforce"]);
        let sent = bench.send("udp --to 10.44.0.9:9 --count 1000");
        assert_eq!(sent.sent, 1000, "{sent:?}");
        auditor
            .stop()
            .expect()
            .contained_unpinned("end0", 1000)
            .nothing_else();
    });
}

fn what_a_dummy_takes_never_leaves() {
    takes("26 dummy", LinkKind::Dummy);
}

fn what_a_bridge_without_ports_takes_never_leaves() {
    takes("26 bridge-without-ports", LinkKind::Bridge);
}

/// The loopback of a VRF is its own device (`vrf_local_xmit`).
fn a_socket_in_a_domain_reaches_the_hosts_own_address() {
    scenario("26 vrf-local", &[Need::Link(LinkKind::Vrf)], |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Vrf, "red").id(10))
            .expect("a VRF");
        card.set_up("red").expect("a VRF");
        card.enslave("fab0", "red").expect("a slave");
        let auditor = bench.audit_with(CONTROL_PLANE, &["--enforce"]);
        let sent = bench.send("udp --bind-device fab0 --to 10.0.0.1:9 --count 1000");
        assert_eq!(sent.sent, 1000, "{sent:?}");
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
        let bound = |device: &str| {
            let place = (
                Some(device.to_owned()),
                "red".to_owned(),
                "contained".to_owned(),
            );
            report.places().get(&place).map(|(packets, _)| *packets)
        };
        assert_eq!(bound("fab0"), Some(1000), "{report}");
    });
}

/// What is sent by IP_MULTICAST_IF has no need of a route.
const GROUP: &str = "udp --bind 192.0.2.1:4000 --to 239.7.7.7:9 --count 1000";
const ON_BACKPLANE: &str = r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "groups"
destination = ["239.0.0.0/8"]
only_via = ["backplane"]
"#;

fn unsent(name: &str, arguments: &[&str], cut: impl Fn(&Bench)) {
    scenario(name, &[], |bench| {
        cut(bench);
        let auditor = bench.audit_with(ON_BACKPLANE, arguments);
        bench.send(GROUP);
        let driver = bench.card().sent("eth1").expect("counters");
        assert_eq!(driver.packets, 0, "the driver sent nothing");
        auditor
            .stop()
            .expect()
            .driver_counts_apart("eth1")
            .nothing_else();
    });
}

fn what_is_given_to_a_link_that_is_down_never_leaves() {
    unsent("26 down", &[], |bench| {
        bench.card().set_down("eth1").expect("it is there");
    });
}

fn what_is_given_to_a_link_without_carrier_never_leaves() {
    unsent("26 no-carrier", &[], |bench| {
        // The other end has none from that instant on (`veth_close`).
        let outside = &bench.chassis.outside;
        outside.set_down("eth0").expect("it is there");
    });
}

fn what_would_leak_by_a_link_that_is_down_is_not_counted_as_dropped() {
    unsent("26 down-enforced", &["--enforce"], |bench| {
        bench.card().set_down("eth1").expect("it is there");
    });
}

/// The kernel passes over the routes of a link without carrier, where a setting says so (`ignore_routes_with_linkdown`).
fn what_belongs_to_a_link_without_carrier_leaks_by_another() {
    scenario("26 carrier-lost", &[], |bench| {
        let card = bench.card();
        let setting = "ipv4/conf/fab0/ignore_routes_with_linkdown";
        card.set_sysctl(setting, "1").expect("a setting");
        let events = Events::of_links([card]);
        bench.chassis.peer.set_down("fab0").expect("it is there");
        wait_until("fab0 has no carrier", &events, || {
            bench.ask("ip", "link show fab0").contains("NO-CARRIER")
        });
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent = bench.send("udp --to 10.0.0.2:9 --count 100");
        let escape = leak("policy-escape")
            .rule("control-plane")
            .egress("eth1")
            .packets(100)
            .by(&sent)
            .cause("link fab0 has no carrier; route 0.0.0.0/0 via 192.0.2.2 dev eth1")
            .remedy("give fab0 a carrier");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}
