//! Counts are exact: what was sent is what was counted, to the packet, whatever happens meanwhile. What each kernel counted
//! is held against the drivers' own counters as well.

use std::fs;
use std::iter;
use std::path::Path;

use nix::sys::signal::Signal;
use pinif_ebpf::share::{OF_A_USER, OF_PROGRAMS};
use pinif_ebpf::verdict::Kind;
use pinif_lab::Namespace;
use pinif_lab::send::{self, Extras};
use pinif_lab::socket::as_user;
use pinif_userspace::findings::line::Subject;
use socket2::{Domain, Socket, Type};

use crate::bench::{Bench, CONTROL_PLANE, Report, SENDER, Sender, leak, scenario};

const PINNED: &str = "storm --bind-device fab0 --to 10.0.0.2:9";
const LEAKING: &str = "storm --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";

#[test]
fn several_processors_send_on_one_socket() {
    scenario("exact one-socket", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{PINNED} --sharing one --threads 4 --count 50000"));
        assert_eq!(sent.sent, 200_000, "{:?}", sent.refused);
        let report = auditor.stop();
        let expected = report.expect().contained("fab0", "fab0", sent.sent);
        expected.nothing_else();
    });
}

#[test]
fn several_processors_leak_on_one_socket() {
    scenario("exact one-leaking-socket", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!(
            "{LEAKING} --sharing one --threads 4 --count 50000"
        ));
        assert_eq!(sent.sent, 200_000, "{:?}", sent.refused);
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        let report = auditor.stop();
        let expected = report.expect().finding(escape.packets(sent.sent).by(&sent));
        expected.nothing_else();
    });
}

#[test]
fn sockets_are_closed_while_they_send() {
    scenario("exact closed-while-sending", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{PINNED} --sharing closed --count 20000"));
        assert!(sent.refused.is_empty(), "{:?}", sent.refused);
        let report = auditor.stop();
        let expected = report.expect().contained("fab0", "fab0", sent.sent);
        expected.nothing_else();
    });
}

#[test]
fn two_hundred_thousand_sockets_live_for_one_packet() {
    scenario("exact short-lives", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{PINNED} --threads 4 --count 50000"));
        assert_eq!(sent.sent, 200_000, "{:?}", sent.refused);
        let report = auditor.stop();
        let expected = report.expect().contained("fab0", "fab0", sent.sent);
        expected.nothing_else();
    });
}

#[test]
fn a_collector_that_stands_still_loses_no_count() {
    scenario("exact stopped-collector", &[], |bench| {
        let auditor = bench.audit(&[]);
        auditor.signal(Signal::SIGSTOP);
        let sent = bench.send(&format!("{LEAKING} --threads 2 --count 20000 --each 2"));
        assert_eq!(sent.sent, 40_000, "{:?}", sent.refused);
        auditor.signal(Signal::SIGCONT);
        let report = auditor.stop();
        assert_eq!(counts(&report), [(40_000, "16+", "1")]);
        assert_eq!(report.status.code(), Some(2), "{}", report.stderr);
        assert_eq!(report.summary.packets, sent.sent);
    });
}

/// What is read of the table alone, which has no order, is shown by the time of its first packet.
#[test]
fn what_is_found_at_the_end_is_shown_by_its_time() {
    scenario("exact order", &[], |bench| {
        let auditor = bench.audit(&[]);
        auditor.signal(Signal::SIGSTOP);
        let leaked = bench.card().run(|| leak_as_users(8));
        leaked.expect("the card is there");
        // It is there when the auditor goes on, which has read nothing by then.
        auditor.signal(Signal::SIGTERM);
        auditor.signal(Signal::SIGCONT);
        let report = auditor.over();
        let times: Vec<_> = report
            .findings
            .iter()
            .map(|finding| finding.time.as_str())
            .collect();
        assert_eq!(times.len(), 8, "{report}");
        assert!(times.is_sorted(), "{times:?}");
    });
}

/// Packets, sockets and processes of each finding.
fn counts(report: &Report) -> Vec<(u64, &'static str, &'static str)> {
    let number = |count, more| match (count, more) {
        (1, false) => "1",
        (16, true) => "16+",
        other => panic!("{other:?}"),
    };
    let counts = report.findings.iter().map(|finding| {
        let (sockets, processes) = (&finding.samples.sockets, &finding.samples.processes);
        (
            finding.packets,
            number(sockets.count, sockets.more),
            number(processes.count, processes.more),
        )
    });
    counts.collect()
}

/// A program that leaks by 70,000 sockets has one fault, and hides no other program's.
#[test]
fn seventy_thousand_sockets_of_a_program_are_one_finding() {
    scenario("exact many-sockets", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{LEAKING} --threads 4 --count 17500"));
        assert_eq!(sent.sent, 70_000, "{:?}", sent.refused);
        let directory = tempfile::tempdir().expect("a directory");
        let other = directory.path().join("telemetryd");
        fs::copy(*SENDER, &other).expect("a copy of the sender");
        let leak = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 3";
        let other = Sender::start_as(&other, bench.card(), Some(bench.cgroup_path()), leak);
        let other = other.finish();
        let report = auditor.stop();
        assert_eq!(counts(&report), [(70_000, "16+", "1"), (3, "1", "1")]);
        let process = report.findings[1].process.as_ref();
        let process = process.map(|process| (process.pid, &*process.comm));
        assert_eq!(process, Some((Some(other.pid), "telemetryd")));
        assert_eq!(report.summary.packets, 70_003);
        assert!(report.summary.uncounted.is_empty(), "{report}");
    });
}

/// Whoever makes a cgroup for each of its packets fills its share, and no more.
#[test]
fn a_user_who_invents_subjects_has_a_share() {
    scenario("exact share", &[], |bench| {
        const MORE: u64 = 20;
        let auditor = bench.audit(&[]);
        let leak = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
        for _ in 0..OF_A_USER + MORE {
            let cgroup = bench.cgroup_below("invented");
            let sender =
                Sender::start_as(Path::new(*SENDER), bench.card(), Some(cgroup.path()), leak);
            assert_eq!(sender.finish().sent, 1);
        }
        let report = auditor.stop();
        let (others, own): (Vec<_>, Vec<_>) = report
            .findings
            .iter()
            .partition(|finding| matches!(finding.subject, Some(Subject::OtherPrograms { .. })));
        assert_eq!(own.len() as u64, OF_A_USER);
        assert!(own.iter().all(|finding| finding.packets == 1), "{report}");
        let [others] = &others[..] else {
            panic!("{others:#?}");
        };
        assert_eq!((others.packets, others.samples.processes.count), (MORE, 16));
        assert!(others.samples.processes.more, "{others:#?}");
        assert_eq!(others.subject, Some(Subject::OtherPrograms { uid: 0 }));
        assert!(
            others.explanation.contains("User 0 has 1024 findings"),
            "{others:#?}"
        );
        assert!(report.summary.uncounted.is_empty(), "{report}");
    });
}

/// Nor do many users together fill the table: what else leaks has room.
#[test]
fn all_programs_together_have_a_share() {
    scenario("exact share-of-all", &[], |bench| {
        const MORE: u64 = 500;
        let auditor = bench.audit(&[]);
        let leaked = bench.card().run(|| leak_as_users(OF_PROGRAMS + MORE));
        leaked.expect("the card is there");
        let report = auditor.stop();
        let (others, own): (Vec<_>, Vec<_>) = report
            .findings
            .iter()
            .partition(|finding| finding.subject == Some(Subject::Others));
        assert_eq!(own.len() as u64, OF_PROGRAMS);
        let [others] = &others[..] else {
            panic!("{others:#?}");
        };
        assert_eq!((others.packets, others.samples.sockets.more), (MORE, true));
        assert!(report.summary.uncounted.is_empty(), "{}", report.stderr);
        assert_eq!(report.summary.packets, OF_PROGRAMS + MORE);
    });
}

/// A packet of each of so many users, which leaves by another interface than its socket's device.
fn leak_as_users(users: u64) {
    const FIRST: u32 = 3_000_000;
    let to = "10.0.0.2:9".parse().expect("an address");
    let extras = Extras {
        packet_info: Some(send::index("eth1").expect("it is there")),
        ..Extras::default()
    };
    for user in 0..users as u32 {
        let socket = as_user(FIRST + user, || {
            Socket::new(Domain::IPV4, Type::DGRAM, None)
        });
        let socket = socket.expect("a socket");
        socket.bind_device(Some(b"fab0")).expect("it is there");
        send::send(&socket, b"x", Some(to), extras).expect("it leaves");
    }
}

/// Another host's packets to a contained address are one finding, whatever ports they come from, and hide no leak.
#[test]
fn seventy_thousand_packets_of_another_host_are_one_finding() {
    scenario("exact other-host", &[], |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let before = bench.received();
        let flood = "storm --to 10.0.0.1:9 --threads 4 --count 17500";
        let sent = bench.far_sender(&bench.chassis.outside, flood).finish();
        assert_eq!(sent.sent, 70_000, "{:?}", sent.refused);
        bench.wait_until_received(before, 70_000);
        let leaking = bench.send(&format!("{LEAKING} --count 3 --sharing one"));
        let report = auditor.stop();
        // The kernel's answers, port unreachable, are graver, and name what they answer. It may limit their rate.
        let all = report.findings.iter().flat_map(|finding| {
            let related = finding.related.iter();
            let related = related.map(|related| (related.kind, related.packets));
            iter::once((finding.kind, finding.packets)).chain(related)
        });
        let kinds = all.filter(|(kind, _)| *kind != Kind::AddressEscape);
        assert_eq!(
            kinds
                .map(|(kind, packets)| (kind.name(), packets))
                .collect::<Vec<_>>(),
            [("ingress-escape", 70_000), ("device-escape", leaking.sent)],
            "{report}"
        );
        assert!(report.findings.len() <= 3, "{report}");
        assert!(report.summary.uncounted.is_empty(), "{report}");
    });
}

#[test]
fn interfaces_come_and_go_while_others_send() {
    scenario("exact interfaces-come-and-go", &[], |bench| {
        let auditor = bench.audit(&[]);
        let mut sender =
            bench.sender("udp --bind-device fab0 --to 10.0.0.2:9 --until-line --wait-stdin");
        sender.wait_for("ready").go();
        come_and_go(bench, 500);
        sender.go();
        let sent = sender.finish();
        let report = auditor.stop();
        let expected = report.expect().contained("fab0", "fab0", sent.sent);
        expected.nothing_else();
    });
}

fn come_and_go(bench: &Bench, times: usize) {
    let far = Namespace::new("far").expect("cannot make a namespace");
    for _ in 0..times {
        let card = bench.card();
        card.veth("tmp0", &far, "tmp1", 77).expect("no link");
        card.delete_link("tmp0").expect("the link stays");
    }
}
