//! netconsole, which is configured for the whole machine: a scenario of a machine of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pinif_userspace::findings::line::{FindingLine, Line};

use crate::bench::{Bench, Need, scenario};
use pinif_lab::LinkKind;

/// Where netconsole is configured.
const TARGETS: &str = "/sys/kernel/config/netconsole";

/// A link of the first namespace by which the kernel's log is sent, until this is dropped.
struct Target(PathBuf);

impl Target {
    fn new() -> Self {
        // No veth: later kernels let netconsole send by none (`IFF_DISABLE_NETPOLL`).
        ip("link add nc0 type dummy");
        ip("link set nc0 up");
        let target = Self(PathBuf::from(TARGETS).join("pinif"));
        fs::create_dir(&target.0).expect("a target");
        for (name, value) in [
            ("dev_name", "nc0"),
            ("local_ip", "10.77.0.1"),
            ("remote_ip", "10.77.0.2"),
        ] {
            target.set(name, value);
        }
        target
    }

    fn set(&self, name: &str, value: &str) {
        fs::write(self.0.join(name), value).expect("netconsole takes it");
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // The link goes with the machine where that fails.
        let _ = fs::write(self.0.join("enabled"), "0");
        let _ = fs::remove_dir(&self.0);
        let _ = Command::new("ip").args(["link", "delete", "nc0"]).status();
    }
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status();
    assert!(done.expect("ip runs").success(), "{arguments}");
}

/// What an audit of the link finds, which looks when it begins and when it ends.
fn found(bench: &Bench) -> Vec<FindingLine> {
    let output = Command::new(env!("CARGO_BIN_EXE_pinif"))
        .args(["audit", "--interface", "nc0", "--format", "json"])
        .args(["--duration", "1s", "--no-socket", "--cgroup"])
        .arg(bench.cgroup_path())
        .output()
        .expect("pinif runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = text.lines().map(|line| {
        let line: Line<'_> = serde_json::from_str(line).expect("a line");
        match line {
            Line::Finding(finding) => Some(*finding),
            _ => None,
        }
    });
    lines.flatten().collect()
}

#[test]
fn netconsole_is_reported_until_it_is_off() {
    let needs = [
        Need::OwnMachine,
        Need::Netconsole,
        Need::Link(LinkKind::Dummy),
    ];
    scenario("gap netconsole", &needs, |bench| {
        let target = Target::new();
        assert_eq!(found(bench), []);
        target.set("enabled", "1");
        let all = found(bench);
        let [finding, ..] = &all[..] else {
            panic!("there must be one finding: {all:#?}")
        };
        assert!(all.iter().all(|line| line.id == finding.id), "{all:#?}");
        assert_eq!(
            (
                finding.kind.name(),
                &*finding.egress_interface,
                &*finding.cause
            ),
            ("unaudited", "nc0", "netconsole")
        );
        assert_eq!(
            finding.remedy,
            "send the log by a program (a syslog daemon), or audit the next hop"
        );
        target.set("enabled", "0");
        assert_eq!(found(bench), []);
    });
}
