//! Interfaces on top of each other: each packet is shown on every one that it passes, and counted once. Cases 2 to 4 of
//! docs/developers/scenarios.md.

use std::process::Command;

use crate::bench::{Bench, CONTROL_PLANE, Need, Report, leak, plug::move_to, scenario, together};
use pinif_lab::{Device, LinkKind};

together! {
    counted_once:
        a_macvlans_packets_are_counted_once,
        a_qdisc_between_two_layers_changes_no_count,
        an_interface_above_that_is_not_audited_counts_nothing,
        a_copy_counts_as_a_packet_of_its_own,
        a_copy_of_what_a_leg_sent_into_a_bridge_counts_as_one_too,
        a_bridges_packets_are_counted_once,
        a_bridge_that_is_not_audited_counts_nothing,
        what_a_bridge_switches_is_counted_on_its_port,
        what_a_macvlan_of_another_namespace_sends_is_not_forwarded;
}

/// What the totals say.
#[track_caller]
fn counted(report: &Report, packets: u64) {
    assert_eq!(
        report.summary.packets, packets,
        "the total of packets\n{report}"
    );
}

/// Gives a link of the card the address `10.0.0.11`, and the peer as its neighbour.
fn use_link(bench: &Bench, link: &str) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    card.set_up(link).expect("up");
    let address = "10.0.0.11/24".parse().expect("an address");
    card.add_address(link, address).expect("an address");
    let mac = peer.mac("fab0").expect("the peer's MAC address");
    let neighbour = "10.0.0.2".parse().expect("an address");
    card.add_neighbour(link, neighbour, &mac)
        .expect("a neighbour");
}

/// A device over fab0 sends what its socket sends.
fn over_fab0(bench: &Bench, device: Device<'_>, name: &str) {
    bench.card().add_device(device).expect("a device");
    use_link(bench, name);
}

fn counts_once(bench: &Bench, upper: &str) -> Report {
    let auditor = bench.audit(&[]);
    bench.send(&format!(
        "udp --bind-device {upper} --to 10.0.0.2:9 --count 1000"
    ));
    auditor.stop()
}

fn a_macvlans_packets_are_counted_once() {
    let need = [Need::Link(LinkKind::MacVlan)];
    scenario("2 once-macvlan", &need, |bench| {
        let device = Device::new(LinkKind::MacVlan, "mv0").over("fab0");
        over_fab0(bench, device, "mv0");
        let report = counts_once(bench, "mv0");
        counted(&report, 1000);
        report
            .expect()
            .contained("mv0", "mv0", 1000)
            .contained("mv0", "fab0", 1000)
            .nothing_else();
    });
}

/// Makes it the qdisc of mv0, where this kernel has it.
fn has_qdisc(bench: &Bench, qdisc: &str) -> bool {
    let mut command = Command::new("tc");
    command.args(["qdisc", "replace", "dev", "mv0", "root", qdisc]);
    let output = bench.card().run(|| command.output()).expect("the card");
    output.expect("tc").status.success()
}

fn a_qdisc_between_two_layers_changes_no_count() {
    let need = [Need::Link(LinkKind::MacVlan), Need::Program("tc")];
    scenario("2 once-qdisc", &need, |bench| {
        let device = Device::new(LinkKind::MacVlan, "mv0").over("fab0");
        over_fab0(bench, device, "mv0");
        let qdiscs = [
            "pfifo", "fq", "fq_codel", "codel", "pie", "cake", "sfq", "sfb", "netem",
        ];
        for qdisc in qdiscs {
            if !has_qdisc(bench, qdisc) {
                // This kernel has none.
                continue;
            }
            let report = counts_once(bench, "mv0");
            counted(&report, 1000);
            report
                .expect()
                .contained("mv0", "mv0", 1000)
                .contained("mv0", "fab0", 1000)
                .nothing_else();
        }
    });
}

fn an_interface_above_that_is_not_audited_counts_nothing() {
    let need = [Need::Link(LinkKind::MacVlan)];
    scenario("2 once-lower-alone", &need, |bench| {
        let device = Device::new(LinkKind::MacVlan, "mv0").over("fab0");
        over_fab0(bench, device, "mv0");
        let auditor = bench.audit(&["--interface", "fab0"]);
        bench.send("udp --bind-device mv0 --to 10.0.0.2:9 --count 1000");
        let report = auditor.stop();
        counted(&report, 1000);
        report
            .expect()
            .contained("mv0", "fab0", 1000)
            .nothing_else();
    });
}

fn a_copy_counts_as_a_packet_of_its_own() {
    let need = [Need::Link(LinkKind::MacVlan), Need::Program("tc")];
    scenario("11 once-mirror", &need, |bench| {
        let device = Device::new(LinkKind::MacVlan, "mv0").over("fab0");
        over_fab0(bench, device, "mv0");
        // Before 6.6, pinif would have made it.
        bench.run("tc", "qdisc add dev mv0 clsact");
        let auditor = bench.audit(&[]);
        // Behind pinif: the copy has the mark that the packet has.
        bench.run(
            "tc",
            "filter add dev mv0 egress protocol ip pref 100 u32 match u32 0 0 action mirred egress mirror dev eth1",
        );
        let sent = bench.send("udp --bind-device mv0 --to 10.0.0.2:9 --count 1000");
        let report = auditor.stop();
        counted(&report, 2000);
        let finding = leak("copy-escape")
            .bound("mv0")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        report
            .expect()
            .contained("mv0", "mv0", 1000)
            .contained("mv0", "fab0", 1000)
            .finding(finding)
            .nothing_else();
    });
}

/// Makes fab0 the port of a bridge.
fn bridge(bench: &Bench) {
    let card = bench.card();
    card.add_device(Device::new(LinkKind::Bridge, "br0"))
        .expect("a bridge");
    card.enslave("fab0", "br0").expect("a port");
    use_link(bench, "br0");
    card.wait_until_operational("br0").expect("a bridge");
}

/// What came in by the bridge's port was counted on the leg before; the duplicate leaves by no port.
fn a_copy_of_what_a_leg_sent_into_a_bridge_counts_as_one_too() {
    let need = [Need::Link(LinkKind::Bridge), Need::NetdevEgress];
    scenario("11 once-leg", &need, |bench| {
        let card = bench.card();
        bridge(bench);
        card.veth("leg0", card, "leg1", 0x41).expect("a pair");
        card.enslave("leg1", "br0").expect("a port");
        card.set_up("leg1").expect("up");
        use_link(bench, "leg0");
        card.wait_until_operational("leg0").expect("a pair");
        for command in [
            "add table netdev lab",
            "add chain netdev lab out { type filter hook egress device fab0 priority 0 ; }",
            "add rule netdev lab out udp dport 9 dup to eth1",
        ] {
            bench.run("nft", command);
        }
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind-device leg0 --to 10.0.0.2:9 --count 100");
        bench.wait_until_sent("fab0", 100);
        let report = auditor.stop();
        counted(&report, 200);
        let finding = leak("copy-escape")
            .bound("leg0")
            .egress("eth1")
            .packets(100)
            .by(&sent);
        report
            .expect()
            .contained("leg0", "leg0", 100)
            .contained("leg0", "fab0", 100)
            .finding(finding)
            .nothing_else();
    });
}

fn a_bridges_packets_are_counted_once() {
    let need = [Need::Link(LinkKind::Bridge)];
    scenario("2 once-bridge", &need, |bench| {
        bridge(bench);
        let report = counts_once(bench, "br0");
        counted(&report, 1000);
        report
            .expect()
            .contained("br0", "br0", 1000)
            .contained("br0", "fab0", 1000)
            .nothing_else();
    });
}

fn a_bridge_that_is_not_audited_counts_nothing() {
    let need = [Need::Link(LinkKind::Bridge)];
    scenario("2 once-port-alone", &need, |bench| {
        bridge(bench);
        let auditor = bench.audit(&["--interface", "fab0"]);
        bench.send("udp --bind-device br0 --to 10.0.0.2:9 --count 1000");
        let report = auditor.stop();
        counted(&report, 1000);
        report
            .expect()
            .contained("br0", "fab0", 1000)
            .nothing_else();
    });
}

fn what_a_bridge_switches_is_counted_on_its_port() {
    let need = [Need::Link(LinkKind::Bridge)];
    scenario("6 once-switched", &need, |bench| {
        bridge(bench);
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        card.enslave("eth1", "br0").expect("a second port");
        let mac = bench.chassis.outside.mac("eth0").expect("a MAC address");
        let beyond = "10.0.0.77".parse().expect("an address");
        peer.add_neighbour("fab0", beyond, &mac)
            .expect("a neighbour");
        let auditor = bench.audit(&[]);
        let sender = bench.far_sender(peer, "udp --to 10.0.0.77:9 --count 1000");
        sender.finish();
        bench.send("udp --bind-device br0 --to 10.0.0.2:9 --count 100");
        let report = auditor.stop();
        // The bridge learned where the peer is when that sent.
        counted(&report, 1100);
        report
            .expect()
            .contained_unpinned("eth1", 1000)
            .contained("br0", "br0", 100)
            .contained("br0", "fab0", 100)
            .nothing_else();
    });
}

/// No route and no forward chain of the card has a say in it.
fn what_a_macvlan_of_another_namespace_sends_is_not_forwarded() {
    let need = [Need::Link(LinkKind::MacVlan)];
    scenario("2 macvlan-elsewhere", &need, |bench| {
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        let device = Device::new(LinkKind::MacVlan, "mv0").over("eth1");
        card.add_device(device).expect("a macvlan");
        card.set_multicast("mv0", false).expect("it is there");
        move_to(card, "mv0", peer);
        peer.set_up("mv0").expect("up");
        let address = "192.0.2.77/24".parse().expect("an address");
        peer.add_address("mv0", address).expect("an address");
        let neighbour = "10.0.0.9".parse().expect("an address");
        peer.add_neighbour("mv0", neighbour, &[2, 0, 0, 0, 0, 9])
            .expect("a neighbour");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sends = "udp --bind-device mv0 --to 10.0.0.9:9 --count 100";
        bench.far_sender(peer, sends).finish();
        let escape = leak("policy-escape")
            .rule("control-plane")
            .egress("eth1")
            .packets(100)
            .destination("10.0.0.9:9")
            .cause("most likely sent by a device on eth1 (macvlan, macvtap, ipvlan, VLAN) of another network namespace")
            .remedy("route it otherwise where it is sent, or drop it at the egress hook of eth1");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}
