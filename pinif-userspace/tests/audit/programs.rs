//! Programs that people use, bound as their manuals say: by device, and by address; and those that look on, or replay.
//! Cases 1, 9 and 17 of docs/developers/scenarios.md.

use std::io::Write as _;
use std::sync::mpsc::channel;

use crate::bench::{
    Bench, CONTROL_PLANE, Need, Report, Server, leak, risk, scenario, serve, serve_after, together,
};
use pinif_lab::{Ethernet, udp_packet};
use pinif_userspace::findings::line::FindingLine;
use tempfile::NamedTempFile;

together! {
    programs:
        ping_by_device_is_contained,
        ping_by_address_follows_the_routing_table,
        socat_by_device_is_contained,
        iperf3_by_device_is_contained,
        curl_by_device_is_contained,
        tcpdump_of_an_interface_finds_nothing,
        tcpdump_of_all_interfaces_finds_nothing,
        tcpreplay_on_the_right_interface_is_contained,
        tcpreplay_on_the_outside_leaks_control_traffic;
}

fn ping_by_device_is_contained() {
    scenario("1 program-ping", &[Need::Program("ping")], |bench| {
        let auditor = bench.audit(&[]);
        bench.program("ping", "-n -q -c 5 -i 0.01 -I fab0 10.0.0.2");
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 5)
            .nothing_else();
    });
}

fn ping_by_address_follows_the_routing_table() {
    scenario("9 program-ping", &[Need::Program("ping")], |bench| {
        let auditor = bench.audit(&[]);
        let ping = bench.program("ping", "-n -q -c 5 -i 0.01 -I 10.0.0.1 203.0.113.9");
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(5)
            .by_program("ping", ping)
            .protocol("icmp")
            .destination("203.0.113.9");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

fn socat_by_device_is_contained() {
    scenario("1 program-socat", &[Need::Program("socat")], |bench| {
        let auditor = bench.audit(&[]);
        // One short file is one datagram.
        bench.program(
            "socat",
            "-u OPEN:/proc/version UDP4-SENDTO:10.0.0.2:9,so-bindtodevice=fab0",
        );
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 1)
            .nothing_else();
    });
}

/// Ethernet, IPv4, and TCP without options.
const RESET_BYTES: u64 = 14 + 20 + 20;

fn iperf3_by_device_is_contained() {
    scenario("1 program-iperf3", &[Need::Program("iperf3")], |bench| {
        bench
            .card()
            .segment_in_software("fab0")
            .expect("fab0 has offloads");
        let peer = &bench.chassis.peer;
        let arguments = "--server --one-off --forceflush --bind 10.0.0.2";
        let _server = Server::start(peer, "iperf3", arguments, "Server listening");
        let auditor = bench.audit(&[]);
        bench.program("iperf3", "--client 10.0.0.2 --bind-dev fab0 --bytes 2M");
        let report = auditor.stop();
        let packets = report.sent_by("fab0").packets;
        // iperf3 ends once its socket took all of it: not all of it leaves.
        assert!(packets > 100, "it sends a lot\n{report}");
        // What the server still acknowledges then, the kernel resets, for no socket (`tcp_v4_send_reset`).
        let resets = (None, "fab0".to_owned(), "contained".to_owned());
        let (resets, bytes) = report.places().remove(&resets).unwrap_or_default();
        assert_eq!(bytes, resets * RESET_BYTES, "{report}");
        let expected = report.expect();
        let expected = match resets {
            0 => expected,
            resets => expected.contained_unpinned("fab0", resets),
        };
        expected
            .contained("fab0", "fab0", packets - resets)
            .nothing_else();
    });
}

/// All that curl sends to a peer of fab0 by that interface's name leaves by it.
fn is_contained_by_device(bench: &Bench, peer: &str) {
    let served = serve(&bench.chassis.peer, peer);
    let auditor = bench.audit(&[]);
    bench.program("curl", &format!("--silent --interface fab0 http://{peer}/"));
    served.join().expect("a request");
    let report = auditor.stop();
    let packets = report.sent_by("fab0").packets;
    report
        .expect()
        .contained("fab0", "fab0", packets)
        .nothing_else();
}

/// curl is given fab0's address for an interface: what was found of it, first and at the end, and its process.
fn curl_by_address(bench: &Bench) -> (Report, FindingLine, u32) {
    let (found, is_found) = channel();
    // Its command line shows why, as long as it is there.
    let served = serve_after(&bench.chassis.outside, "203.0.113.9:7000", move || {
        is_found.recv().expect("it is found");
    });
    let mut auditor = bench.audit(&[]);
    let curl = bench.start(
        "curl",
        "--silent --interface 10.0.0.1 http://203.0.113.9:7000/",
    );
    let finding = auditor.wait_for_finding("address-escape");
    found.send(()).expect("the server waits");
    served.join().expect("a request");
    let pid = curl.pid();
    curl.finish();
    (auditor.stop(), finding, pid)
}

fn curl_by_device_is_contained() {
    scenario("1 program-curl", &[Need::Program("curl")], |bench| {
        is_contained_by_device(bench, "10.0.0.2:7000");
    });
}

#[test]
fn curl_by_address_follows_the_routing_table() {
    scenario("9 program-curl", &[Need::Program("curl")], |bench| {
        let (report, _, pid) = curl_by_address(bench);
        let packets = report.sent_by("eth1").packets;
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(packets)
            .by_program("curl", pid)
            .protocol("tcp")
            .destination("203.0.113.9:7000")
            .cause("the program was given the address 10.0.0.1 for an interface")
            .remedy("give curl the source address 192.0.2.1 (--interface)");
        report.expect().finding(escape).nothing_else();
        // By the name of fab0, it would wait for a neighbour that does not answer.
        let served = serve(&bench.chassis.outside, "203.0.113.9:7000");
        let auditor = bench.audit(&[]);
        bench.program(
            "curl",
            "--silent --interface 192.0.2.1 http://203.0.113.9:7000/",
        );
        served.join().expect("a request");
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
    });
}

/// fab0's router leads there as well.
#[test]
fn curl_by_address_is_given_the_device_that_reaches_it() {
    scenario("30 program-curl", &[Need::Program("curl")], |bench| {
        bench.run("ip", "route add default via 10.0.0.2 dev fab0 metric 9");
        let world = "203.0.113.9/32".parse().expect("an address");
        bench.chassis.peer.add_address("lo", world).expect("lo");
        let (_, finding, _) = curl_by_address(bench);
        assert_eq!(
            finding.remedy,
            "give the program the name fab0 instead of the address 10.0.0.1"
        );
        is_contained_by_device(bench, "203.0.113.9:7000");
    });
}

/// A capture sends nothing, whatever it listens at.
fn captured(name: &str, device: &str) {
    scenario(name, &[Need::Program("tcpdump")], |bench| {
        let auditor = bench.audit(&[]);
        let arguments = format!("-n -Z root -c 100 -w /dev/null -i {device}");
        let mut tcpdump = bench.start("tcpdump", &arguments);
        tcpdump.wait_for("listening on");
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 100");
        tcpdump.finish();
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 100)
            .nothing_else();
    });
}

fn tcpdump_of_an_interface_finds_nothing() {
    captured("1 program-tcpdump", "fab0");
}

fn tcpdump_of_all_interfaces_finds_nothing() {
    captured("1 program-tcpdump-any", "any");
}

/// A capture of `count` frames with a datagram each, as tcpdump writes one (pcap-savefile(5)).
fn capture(count: u32, from: &str, to: &str) -> NamedTempFile {
    let datagram = udp_packet(
        from.parse().expect("an address"),
        to.parse().expect("an address"),
        &[0; 32],
    );
    let ethernet = Ethernet {
        destination: [2, 0, 0, 0, 0, 0x77],
        source: [2, 0, 0, 0, 0, 0xaa],
        tags: Vec::new(),
    };
    let frame = ethernet.around(&datagram.expect("a datagram"));
    let length = u32::try_from(frame.len()).expect("it is short");
    // Magic, version 2.4, no time zone, all of each frame, Ethernet.
    let mut bytes: Vec<u8> = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0xffff, 1]
        .map(u32::to_le_bytes)
        .concat();
    for at in 0..count {
        bytes.extend([0, at, length, length].map(u32::to_le_bytes).concat());
        bytes.extend(&frame);
    }
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(&bytes).expect("a capture");
    file
}

fn tcpreplay_on_the_right_interface_is_contained() {
    scenario(
        "1 program-tcpreplay",
        &[Need::Program("tcpreplay")],
        |bench| {
            let capture = capture(100, "10.0.0.1:4000", "10.0.0.2:9");
            let auditor = bench.audit_with(CONTROL_PLANE, &[]);
            bench.program(
                "tcpreplay",
                &format!("-q --topspeed --intf1=fab0 {}", capture.path().display()),
            );
            auditor
                .stop()
                .expect()
                .contained_unpinned("fab0", 100)
                .nothing_else();
        },
    );
}

fn tcpreplay_on_the_outside_leaks_control_traffic() {
    scenario(
        "17 program-tcpreplay",
        &[Need::Program("tcpreplay")],
        |bench| {
            let capture = capture(100, "192.0.2.1:4000", "10.0.0.2:9");
            let auditor = bench.audit_with(CONTROL_PLANE, &[]);
            let tcpreplay = bench.program(
                "tcpreplay",
                &format!("-q --topspeed --intf1=eth1 {}", capture.path().display()),
            );
            let leaked = leak("policy-escape")
                .rule("control-plane")
                .egress("eth1")
                .packets(100)
                .by_program("tcpreplay", tcpreplay)
                .protocol("udp")
                .source("192.0.2.1:4000")
                .destination("10.0.0.2:9");
            auditor.stop().expect().finding(leaked).nothing_else();
        },
    );
}
