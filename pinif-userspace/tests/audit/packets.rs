//! Packets of every shape are read and counted as what goes on the wire: segments, fragments, tags, extension headers.

use crate::bench::{CONTROL_PLANE, Need, leak, scenario, together};

together! {
    shapes:
        segments_of_udp_are_counted_each,
        segments_of_udp_that_escape_are_counted_each,
        segments_of_tcp_are_counted_each,
        fragments_are_counted_each_with_their_socket,
        fragments_that_escape_are_one_finding,
        a_vlan_tag_hides_nothing,
        two_vlan_tags_hide_nothing,
        ipv6_extension_headers_hide_no_port;
}

const NOTHING: &[Need] = &[];

/// Ten datagrams a message, of this payload.
const SEGMENTED: &str = "--to 10.0.0.2:9 --count 100 --size 12000 --gso 1200";
/// Ethernet, IPv4, UDP, payload.
const SEGMENT_BYTES: u64 = 14 + 20 + 8 + 1200;

fn segments_of_udp_are_counted_each() {
    scenario("1 gso-udp", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        bench.send(&format!("udp --bind-device fab0 {SEGMENTED}"));
        let report = auditor.stop();
        // The driver of a veth takes a message of many datagrams for one packet.
        report
            .expect()
            .contained("fab0", "fab0", 1000)
            .driver_counts_apart("fab0")
            .nothing_else();
        assert_eq!(report.summary.bytes, 1000 * SEGMENT_BYTES, "{report}");
    });
}

fn segments_of_udp_that_escape_are_counted_each() {
    scenario("10 gso-pktinfo", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!(
            "udp --bind-device fab0 --pktinfo eth1 {SEGMENTED}"
        ));
        let report = auditor.stop();
        let escape = leak("device-escape")
            .bound("fab0")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        report
            .expect()
            .finding(escape)
            .driver_counts_apart("eth1")
            .nothing_else();
        assert_eq!(report.findings[0].bytes, 1000 * SEGMENT_BYTES, "{report}");
    });
}

fn segments_of_tcp_are_counted_each() {
    scenario("1 gso-tcp", NOTHING, |bench| {
        // The kernel cuts them after TC egress: the driver, counting segments, is the judge of the auditor's sum.
        bench
            .card()
            .segment_in_software("fab0")
            .expect("fab0 has offloads");
        let mut far = bench.far_sender(
            &bench.chassis.peer,
            "tcp --listen 10.0.0.2:7000 --bytes 4000000 --close last",
        );
        far.wait_for("ready").go();
        let auditor = bench.audit(&[]);
        bench.send("tcp --bind-device fab0 --to 10.0.0.2:7000 --bytes 4000000");
        far.finish();
        let report = auditor.stop();
        let packets = report.sent_by("fab0").packets;
        assert!(
            packets > 4_000_000 / 1448,
            "at least a packet for each 1448 bytes\n{report}"
        );
        report
            .expect()
            .contained("fab0", "fab0", packets)
            .nothing_else();
    });
}

fn fragments_are_counted_each_with_their_socket() {
    scenario("1 fragments", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --size 4000 --count 300");
        bench.send("udp --bind-device fab0 --to [fd00::2]:9 --size 4000 --count 300");
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 1800)
            .nothing_else();
    });
}

fn fragments_that_escape_are_one_finding() {
    scenario("10 fragments-pktinfo", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench
            .send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --size 4000 --count 300");
        let escape = leak("device-escape")
            .bound("fab0")
            .egress("eth1")
            .packets(900)
            .by(&sent);
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

/// Control traffic of a packet socket, behind VLAN tags.
fn tagged(name: &str, tags: &str) {
    scenario(name, NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let v4 = bench.send(&format!(
            "packet --device eth1 --from 192.0.2.1:4000 --to 10.0.0.2:9 --count 600 {tags}"
        ));
        let v6 = bench.send(&format!(
            "packet --device eth1 --from [2001:db8::1]:4000 --to [fd00::2]:9 --count 400 {tags}"
        ));
        let escape = || {
            leak("policy-escape")
                .rule("control-plane")
                .egress("eth1")
                .protocol("udp")
        };
        auditor
            .stop()
            .expect()
            .finding(escape().packets(600).by(&v4).destination("10.0.0.2:9"))
            .finding(escape().packets(400).by(&v6).destination("[fd00::2]:9"))
            .nothing_else();
    });
}

fn a_vlan_tag_hides_nothing() {
    tagged("17 vlan", "--vlan 42");
}

fn two_vlan_tags_hide_nothing() {
    tagged("17 vlan-in-vlan", "--service-vlan 7 --vlan 42");
}

/// A rule that only a reader of the ports can apply.
const ONE_PORT: &str = r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "one-port"
destination = ["fd00::/8"]
protocol = ["udp"]
port = [9]
only_via = ["backplane"]
"#;

fn ipv6_extension_headers_hide_no_port() {
    scenario("17 extension-headers", NOTHING, |bench| {
        let auditor = bench.audit_with(ONE_PORT, &[]);
        let command = "udp --bind-device eth1 --extension-headers";
        let sent = bench.send(&format!("{command} --to [fd00::2]:9 --count 600"));
        bench.send(&format!("{command} --to [fd00::2]:10 --count 400"));
        let escape = leak("policy-escape")
            .rule("one-port")
            .bound("eth1")
            .egress("eth1")
            .packets(600)
            .by(&sent)
            .protocol("udp")
            .destination("[fd00::2]:9");
        auditor
            .stop()
            .expect()
            .finding(escape)
            .contained("eth1", "eth1", 400)
            .nothing_else();
    });
}
