//! `pinif audit --capture`: what the programs take of each finding, in either direction.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use pcap_file::pcapng::{
    Block, PcapNgReader,
    blocks::{
        enhanced_packet::EnhancedPacketOption, interface_description::InterfaceDescriptionOption,
    },
};

use crate::bench::{CONTROL_PLANE, scenario};

/// A packet of the file: its interface, its words, and its bytes.
struct Packet {
    interface: String,
    words: BTreeMap<String, String>,
    bytes: Vec<u8>,
    length: u32,
}

impl Packet {
    fn word(&self, key: &str) -> &str {
        &self.words[key]
    }
}

/// The file's packets. The library has times in nanoseconds, whatever a file says: that is asked of tshark.
fn read(path: &Path) -> Vec<Packet> {
    let bytes = fs::read(path).expect("a file");
    let mut reader = PcapNgReader::new(&*bytes).expect("a section");
    let (mut interfaces, mut packets) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.expect("a whole block") {
            Block::InterfaceDescription(interface) => {
                let name = interface.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                interfaces.push(name.expect("a name"));
            }
            Block::EnhancedPacket(packet) => {
                let comment = packet.options.iter().find_map(|option| match option {
                    EnhancedPacketOption::Comment(comment) => Some(comment.to_string()),
                    _ => None,
                });
                let comment = comment.expect("a comment");
                let words = comment.split(' ').map(|word| {
                    let (key, value) = word.split_once('=').expect("a word");
                    (key.to_owned(), value.to_owned())
                });
                packets.push(Packet {
                    interface: interfaces[packet.interface_id as usize].clone(),
                    words: words.collect(),
                    bytes: packet.data.into_owned(),
                    length: packet.original_len,
                });
            }
            other => panic!("{other:?}"),
        }
    }
    packets
}

#[test]
fn the_first_packets_of_each_finding_are_captured_either_way() {
    scenario("capture either-way", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leaks.pcapng");
        let text = path.to_str().expect("a path that is text");
        let arguments = ["--capture", text, "--capture-packets", "2"];
        let arguments = [&arguments[..], &["--capture-snaplen", "48"]].concat();
        let auditor = bench.audit_with(CONTROL_PLANE, &arguments);
        bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 5");
        let mut receiver =
            bench.sender("--wait-stdin udp --bind 10.0.0.1:5000 --to 10.0.0.2:9 --count 0");
        receiver.wait_for("ready");
        let before = bench.received();
        let outside = &bench.chassis.outside;
        bench
            .far_sender(outside, "udp --to 10.0.0.1:5000 --count 4")
            .finish();
        bench.wait_until_received(before, 4);
        receiver.go();
        receiver.finish();
        let report = auditor.stop();

        let packets = read(&path);
        let interface = format!("eth1 ({})", bench.card().name());
        for packet in &packets {
            assert_eq!(packet.interface, interface);
            // 32 bytes of payload, UDP, IP and Ethernet.
            assert_eq!((packet.bytes.len(), packet.length), (48, 74));
            let id = packet.word("pinif.finding.id");
            let mut findings = report.findings.iter();
            let finding = findings.find(|finding| finding.id == id);
            let finding = finding.expect("its finding");
            assert_eq!(packet.word("kind"), finding.kind.name());
            assert_eq!(packet.word("severity"), finding.severity.name());
            let process = finding.process.as_ref().expect("a process");
            assert_eq!(packet.word("process"), process.comm);
            assert_eq!(packet.word("dropped"), "no");
        }
        let of = |direction: &str| {
            let packets = packets.iter();
            let these = packets.filter(|packet| packet.word("direction") == direction);
            let these = these.map(|packet| (packet.word("packet"), &packet.bytes[30..34]));
            these.collect::<Vec<_>>()
        };
        let (peer, card) = ([10, 0, 0, 2], [10, 0, 0, 1]);
        assert_eq!(of("out"), [("1", &peer[..]), ("2", &peer)]);
        assert_eq!(of("in"), [("1", &card[..]), ("2", &card)]);
        assert_eq!(packets.len(), 4, "{report}");
    });
}

/// More than the ring buffer holds while the collector reads nothing of it: what is not in the file is counted, and the finding has all.
#[test]
fn a_flood_that_fills_the_ring_is_counted_and_hides_no_finding() {
    scenario("capture flood", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("leaks.pcapng");
        let text = path.to_str().expect("a path that is text");
        let arguments = ["--capture", text, "--capture-packets", "64"];
        let arguments = [&arguments[..], &["--capture-snaplen", "65528"]].concat();
        let auditor = bench.audit_with(CONTROL_PLANE, &arguments);
        auditor.signal(Signal::SIGSTOP);
        bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 64");
        auditor.signal(Signal::SIGCONT);
        let report = auditor.stop();

        let captured = read(&path).len() as u64;
        let lost = report.summary.uncounted.get("captures-full");
        let lost = lost.copied().unwrap_or_default();
        // A record has room for the largest packet that may come.
        assert!((1..=16).contains(&captured), "{captured} captured");
        assert_eq!(captured + lost, 64, "{report}");
        let packets = report.findings.iter().map(|finding| finding.packets);
        assert_eq!(packets.collect::<Vec<_>>(), [64], "{report}");
        assert_eq!(report.status.code(), Some(2), "{}", report.stderr);
    });
}
