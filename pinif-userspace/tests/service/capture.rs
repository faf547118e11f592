//! `pinif audit --capture`, as Wireshark reads it: by Debian's tshark, with the fields of `contrib/wireshark/pinif.lua`.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use pinif_userspace::findings::line::FindingLine;

use crate::bench::{Bench, Need, SENDER, Sender, scenario, tshark};
use crate::control::asked::{LEAK, Place, until};

/// A name that would forge a word of the comment, or a line.
const HOSTILE: &str = "a kind=x\u{202e}";
/// What is left of each packet beside its fields.
const FIELDS: [&str; 8] = [
    "frame.time_epoch",
    "frame.interface_name",
    "frame.packet_flags_direction",
    "frame.cap_len",
    "pinif.kind",
    "pinif.bound",
    "pinif.process",
    "pinif.packet",
];
const FINDING_FIELDS: usize = FIELDS.len();

/// The fields of the file's packets that a display filter takes. Wireshark runs no script of a user who is root.
fn read(file: &Path, filter: &str) -> Vec<[String; FINDING_FIELDS]> {
    let tshark = tshark().expect("it is there");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/wireshark/pinif.lua");
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-user=1000", "--map-group=1000"])
        .arg(tshark.join("tshark"))
        .env("LD_LIBRARY_PATH", tshark.join("lib"))
        .env("HOME", "/nonexistent")
        .arg("-r")
        .arg(file)
        .args(["-X", &format!("lua_script:{}", script.display())])
        .args(["-Y", filter, "-T", "fields"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().expect("unshare runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{filter}: {errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = |line: &str| {
        let fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
        fields.try_into().expect("as many fields as are asked for")
    };
    // A name has no newline here.
    text.lines().map(line).collect()
}

/// Waits until so many packets are in the file.
fn wait_for(place: &Place, packets: u64) {
    until("the packets", || {
        let (_, status) = place.get("/v1/status");
        let capture = &status["capture"];
        assert_eq!(capture["not_captured"], 0, "{capture}");
        (capture["packets"] == packets).then_some(())
    });
}

/// Sends the leak from a process that is called so.
fn send_as(bench: &Bench, name: &str, count: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    symlink(*SENDER, &path).expect("a link");
    let cgroup = bench.cgroup_path();
    let arguments = format!("{LEAK} --count {count}");
    Sender::start_as(&path, bench.card(), Some(cgroup), &arguments).finish();
}

fn nanoseconds(time: SystemTime) -> u128 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.expect("it is after 1970").as_nanos()
}

#[test]
fn what_is_captured_is_filtered_by_its_finding_also_after_a_kill() {
    let needs = [Need::Tshark, Need::Program("unshare")];
    scenario("capture", &needs, |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("leaks.pcapng");
        let path = file.to_str().expect("a path that is text");
        let place = Place::new();
        let begin = |more: &[&str]| {
            let arguments = ["--capture", path, "--capture-packets", "3"];
            place.audit(bench, &[&arguments, more].concat())
        };
        let mut auditor = begin(&[]);
        let before = nanoseconds(SystemTime::now());
        send_as(bench, HOSTILE, 5);
        bench.send("udp --bind 10.0.0.1:7001 --to 203.0.113.9:9 --count 2");
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 4");
        let leak: FindingLine = auditor.wait_for_finding("device-escape");
        wait_for(&place, 5);
        let after = nanoseconds(SystemTime::now());
        auditor.kill();

        let packets = read(&file, &format!("pinif.finding.id == \"{}\"", leak.id));
        let interface = format!("eth1 ({})", bench.card().name());
        for (number, packet) in (1..).zip(&packets) {
            let [time, name, direction, length, kind, bound, process, which] = packet;
            let time = time.replace('.', "").parse().expect("nanoseconds");
            assert!((before..=after).contains(&time), "{time}");
            // Without what the datagrams carry.
            let expected = [&*interface, "0x00000002", "42", "device-escape", "fab0"];
            assert_eq!([name, direction, length, kind, bound], expected);
            assert_eq!((&**process, which), (HOSTILE, &format!("{number}")));
        }
        assert_eq!(packets.len(), 3, "{packets:?}");
        assert!(
            packets.iter().any(|packet| !packet[0].ends_with("000")),
            "nanoseconds: {packets:?}"
        );
        assert_eq!(read(&file, "pinif.kind == \"address-escape\"").len(), 2);
        assert_eq!(read(&file, "!pinif").len(), 0);

        // The next run goes on in the same file, with what it drops.
        let auditor = begin(&["--enforce"]);
        bench.send(&format!("{LEAK} --count 4"));
        wait_for(&place, 3);
        drop(auditor.stop());
        let dropped = read(&file, "pinif.dropped == 1");
        assert_eq!(dropped.len(), 3, "{dropped:?}");
        assert!(dropped.iter().all(|packet| packet[1] == interface));
        assert_eq!(read(&file, "pinif.dropped == 0").len(), 5);
    });
}
