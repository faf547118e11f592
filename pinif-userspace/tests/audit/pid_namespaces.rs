//! An auditor in a PID namespace of its own, beside processes that are not in it: the number that such a process has elsewhere is
//! another's there, and no finding may name that one.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use pinif_userspace::findings::line::FindingLine;

use crate::bench::{
    Auditor, Bench, Need, Pinif, Report, SENDER, Sender,
    lines::{Lines, Next},
    scenario,
};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10";
const FRAMES: &str = "--device eth1 --from 10.0.0.1:4000 --to 203.0.113.9:9 --count 100";

/// What starts the auditor, and others beside it.
const NEEDS: &[Need] = &[Need::Program("unshare"), Need::Program("nsenter")];

/// Makes it the first process of a PID namespace, with a `/proc` of that.
fn in_pid_namespace(command: &mut Command) {
    let mut outer = Command::new("unshare");
    outer.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    outer.arg(command.get_program()).args(command.get_args());
    *command = outer;
}

/// The namespace of an auditor that was started so, by its number out here.
struct PidNamespace(u32);

impl PidNamespace {
    fn of(pinif: &Pinif) -> Self {
        let outer = pinif.pid();
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
        let children = children.expect("it runs");
        Self(children.trim().parse().expect("one child"))
    }

    /// The file that leads to it.
    fn path(&self) -> String {
        format!("/proc/{}/ns/pid", self.0)
    }

    /// Ends the audit: `unshare` hands no signal on.
    fn end(&self, auditor: Auditor<'_>) -> Report {
        let first = Pid::from_raw(self.0.cast_signed());
        kill(first, Signal::SIGTERM).expect("pinif runs");
        auditor.over()
    }

    /// A process in it that has this number there, and waits.
    fn bystander(&self, number: u32) -> Bystander {
        // The next process gets the number after the last (`pid_ns_ctl_handler`).
        let script = r#"echo $(($0 - 1)) > /proc/sys/kernel/ns_last_pid; cat & echo $!; wait"#;
        let mut command = Command::new("nsenter");
        command.arg(format!("--pid={}", self.path()));
        command.args(["sh", "-c", script, &number.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("nsenter");
        let said = Lines::of(child.stdout.take().expect("piped"));
        match said.next() {
            Next::Line(line) => assert_eq!(line, number.to_string(), "another took the number"),
            Next::End | Next::Silence => panic!("there is no bystander"),
        }
        Bystander(child)
    }

    /// Starts a sender in it, a program of its own.
    fn sender(&self, bench: &Bench, folder: &Path, arguments: &str) -> Sender {
        let [program, entrance] = ["telemetryd", "entrance"].map(|name| folder.join(name));
        fs::copy(*SENDER, &program).expect("a copy of the sender");
        let script = format!(
            "#!/bin/sh\nexec nsenter --pid={} {} \"$@\"\n",
            self.path(),
            program.display()
        );
        fs::write(&entrance, script).expect("it is ours");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&entrance, mode).expect("it is ours");
        Sender::start_as(
            &entrance,
            bench.card(),
            Some(bench.cgroup_path()),
            arguments,
        )
    }
}

struct Bystander(Child);

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn finding(report: &Report, is: impl Fn(&FindingLine) -> bool) -> &FindingLine {
    let mut all = report.findings.iter();
    all.find(|finding| is(finding))
        .unwrap_or_else(|| panic!("{report}"))
}

/// The number, the name and the executable of a finding's process.
fn process(finding: &FindingLine) -> (Option<u32>, &str, Option<&str>) {
    let process = finding.process.as_ref().expect("its process is known");
    assert_eq!(process.uid, 0);
    (process.pid, &process.comm, process.exe.as_deref())
}

/// The numbers and the names of its samples.
fn sampled(finding: &FindingLine) -> Vec<(Option<u32>, Option<&str>)> {
    let samples = finding.samples.processes.samples.iter();
    samples
        .map(|process| (process.pid, process.comm.as_deref()))
        .collect()
}

#[test]
fn who_is_not_in_the_auditors_pid_namespace_has_no_number() {
    scenario("service pid-namespace", NEEDS, |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut auditor = bench.auditor().changed(in_pid_namespace).start();
        let namespace = PidNamespace::of(&auditor);
        let mut outside = bench.sender(&format!("--wait-stdin {LEAK} --pause-after 9"));
        outside.wait_for("ready");
        let _bystander = namespace.bystander(outside.pid());
        outside.go().wait_for("paused");
        auditor.wait_for_finding("device-escape");
        let inside = namespace.sender(bench, folder.path(), LEAK).finish();
        let outside = outside.go_and_finish();
        let report = namespace.end(auditor);

        let of_outside = finding(&report, |finding| {
            finding
                .process
                .as_ref()
                .is_some_and(|it| it.comm == "pinif-sender")
        });
        assert_eq!(
            process(of_outside),
            (None, "pinif-sender", None),
            "{report}"
        );
        assert_eq!(
            sampled(of_outside),
            [(None, Some("pinif-sender"))],
            "{report}"
        );
        let cgroup = of_outside.process.as_ref().and_then(|it| it.cgroup.clone());
        assert_eq!(cgroup, Some(bench.cgroup()), "{report}");
        assert!(of_outside.explanation.contains("pinif-sender"), "{report}");
        assert_eq!(of_outside.socket_cookie, Some(outside.cookie), "{report}");

        let of_inside = finding(&report, |finding| {
            finding
                .process
                .as_ref()
                .is_some_and(|it| it.comm == "telemetryd")
        });
        assert_eq!(process(of_inside).0, Some(inside.pid), "{report}");
        assert_eq!(sampled(of_inside)[0].0, Some(inside.pid), "{report}");
        assert_eq!(
            (of_outside.packets, of_inside.packets),
            (10, 10),
            "{report}"
        );
        assert_eq!(report.findings.len(), 2, "{report}");
    });
}

/// Of a socket that cannot be seen, its program is known by what the kernel recorded; what a socket that was there before does is not
/// known, where its process cannot be asked.
#[test]
fn unseen_senders_that_are_not_in_the_pid_namespace_are_not_taken_for_others() {
    scenario("gap pid-namespace", NEEDS, |bench| {
        let mut before = bench.sender(&format!("--wait-stdin packet {FRAMES}"));
        before.wait_for("ready");
        let mut auditor = bench.auditor().changed(in_pid_namespace).start();
        let namespace = PidNamespace::of(&auditor);
        let mut bypassing = bench.sender(&format!("packet --bypass --stay {FRAMES}"));
        bypassing.wait_for("sent");
        let _bystander = namespace.bystander(bypassing.pid());
        auditor.wait_for_finding_that("the sender", |finding| finding.process.is_some());
        bypassing.go_and_finish();
        let report = namespace.end(auditor);
        drop(before);

        let unseen = finding(&report, |finding| finding.egress_interface == "eth1");
        assert_eq!(unseen.kind.name(), "unaudited", "{report}");
        assert_eq!(process(unseen), (None, "pinif-sender", None), "{report}");
        assert_eq!(sampled(unseen), [(None, Some("pinif-sender"))], "{report}");
        let unknown = finding(&report, |finding| finding.egress_interface == "*");
        let why = "packet sockets of an unknown process cannot be asked: it is not in the PID namespace of /proc";
        assert!(unknown.cause.contains(why), "{report}");
    });
}

#[test]
fn people_read_that_the_number_is_unknown() {
    scenario("service pid-namespace-people", NEEDS, |bench| {
        let setup = bench.auditor().changed(in_pid_namespace);
        let mut pinif = setup.start_for_people();
        bench.send(LEAK);
        let headline = "pinif-sender (pid unknown), bound to fab0: ";
        pinif.wait_for_line("the finding", |line| line.contains(headline));
    });
}
