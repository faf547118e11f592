//! Namespaces with a name.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::Command;

use nix::sys::signal::Signal;
use pinif_lab::Namespace;
use pinif_userspace::host::netns::NetNs;
use rtnetlink::LinkUnspec;

use super::containers::Container;
use super::{cells, directory, glob, plug, row, send, wait_until_gone};
use crate::bench::{Pinif, scenario};
use crate::gaps::foreign::{self, CgroupHook};

#[test]
fn a_namespace_that_comes_later_is_audited_until_it_goes() {
    scenario("6 netns-named-later", &[], |bench| {
        let outside = &bench.chassis.outside;
        let other = Namespace::new("other").expect("a namespace");
        let mut auditor = bench.audit(&["--netns", &glob("box")]);
        let netns = Namespace::new("box").expect("a namespace");
        let name = netns.name().to_owned();
        auditor.wait_for_note(&format!("{name} is audited from now on"));
        // The same index as the card's fab0, which it must not be taken for.
        let index = bench.card().index("fab0").expect("it is there").0;
        plug(&netns, "web0", index, outside);
        auditor.wait_for_note("web0 is audited from now on");
        plug(&other, "web1", index, outside);
        send(bench, &netns, "web0", 300);
        send(bench, &other, "web1", 200);
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 100");
        drop(netns);
        auditor.wait_for_note(&format!("{name} is gone"));
        wait_until_gone(outside, "to-web0");
        let report = auditor.stop();
        assert_eq!(cells(&report, &name), row("web0", 300), "{report}");
        assert_eq!(cells(&report, bench.card().name()), row("fab0", 100));
        assert_eq!(report.summary.matrix.len(), 2, "{report}");
        assert!(!report.stderr.contains(other.name()), "{report}");
        assert_eq!(report.ready.netns, [bench.card().name()]);
    });
}

/// A hook is one of the cgroup, and a finding is in a namespace.
#[test]
fn a_hook_that_is_refused_is_reported_where_the_first_namespace_comes_later() {
    scenario("6 netns-missing-hook", &[], |bench| {
        foreign::alone_on(bench.cgroup_path(), CgroupHook::SocketCreate);
        let (card, later) = (bench.card().name(), glob("box"));
        let of_later_ones_alone = |command: &mut Command| {
            let mut changed = Command::new(command.get_program());
            for argument in command.get_args() {
                changed.arg(if argument == card {
                    later.as_ref()
                } else {
                    argument
                });
            }
            *command = changed;
        };
        let mut auditor = bench.auditor().changed(of_later_ones_alone).start();
        let netns = Namespace::new("box").expect("a namespace");
        auditor.wait_for_finding("unaudited");
        let report = auditor.stop();
        assert_eq!(report.ready.netns, [""; 0]);
        let [finding] = &report.findings[..] else {
            panic!("there is one finding: {report}");
        };
        assert_eq!(finding.kind.name(), "unaudited");
        assert_eq!(finding.netns, netns.name());
        let cause = "the kernel refused pinif_create on the cgroup (Operation not permitted";
        assert!(finding.cause.starts_with(cause), "{report}");
    });
}

#[test]
fn a_namespace_that_was_there_goes_although_it_was_asked_for_by_name() {
    scenario("6 netns-named-goes", &[], |bench| {
        let outside = &bench.chassis.outside;
        let netns = Namespace::new("box").expect("a namespace");
        let name = netns.name().to_owned();
        plug(&netns, "web0", 0, outside);
        let mut auditor = bench.audit(&["--netns", &name]);
        send(bench, &netns, "web0", 300);
        drop(netns);
        auditor.wait_for_note(&format!("{name} is gone"));
        wait_until_gone(outside, "to-web0");
        let report = auditor.stop();
        assert_eq!(cells(&report, &name), row("web0", 300), "{report}");
    });
}

#[test]
fn a_namespace_whose_name_goes_stays_audited_while_a_process_is_in_it() {
    scenario("6 netns-unnamed", &[], |bench| {
        let outside = &bench.chassis.outside;
        let netns = Namespace::new("box").expect("a namespace");
        let name = netns.name().to_owned();
        plug(&netns, "web0", 0, outside);
        let mut auditor = bench.audit(&["--netns", &glob("box")]);
        let arguments = format!(
            "--cgroup {} udp --bind-device web0 --to 198.51.100.2:9 --count 300 --wait-stdin",
            directory(bench).display()
        );
        let mut sender = bench.far_sender(&netns, &arguments);
        sender.wait_for("ready");
        drop(netns);
        // Another comes, so that it is known when the auditor has looked.
        let next = Namespace::new("box").expect("a namespace");
        auditor.wait_for_note(&format!("{} is audited from now on", next.name()));
        sender.go();
        sender.finish();
        auditor.wait_for_note(&format!("{name} is gone"));
        wait_until_gone(outside, "to-web0");
        let report = auditor.stop();
        assert_eq!(cells(&report, &name), row("web0", 300), "{report}");
    });
}

#[test]
fn an_interface_that_moves_has_its_counts_in_both_namespaces() {
    scenario("6 netns-moved", &[], |bench| {
        let outside = &bench.chassis.outside;
        let [one, other] = [(); 2].map(|()| Namespace::new("box").expect("a namespace"));
        plug(&one, "web0", 0, outside);
        let mut auditor = bench.audit(&["--netns", &glob("box")]);
        send(bench, &one, "web0", 300);
        let there = File::open(other.path()).expect("it is there");
        let index = one.index("web0").expect("it is there").0;
        let moved = LinkUnspec::new_with_index(index)
            .setns_by_fd(there.as_raw_fd())
            .build();
        let moved = one.netlink(async |handle| Ok(handle.link().set(moved).execute().await?));
        moved.expect("it can be moved");
        // It leaves the one before it is in the other, but the events of two namespaces have no order: it is gone from the one, and audited in
        // the other.
        for _ in 0..2 {
            auditor.wait_for_note("web0 is ");
        }
        other.set_up("web0").expect("it is there");
        other.wait_until_operational("web0").expect("it is up");
        send(bench, &other, "web0", 200);
        let report = auditor.stop();
        assert_eq!(cells(&report, one.name()), row("web0", 300), "{report}");
        assert_eq!(cells(&report, other.name()), row("web0", 200), "{report}");
        assert_eq!(report.summary.matrix.len(), 2, "{report}");
    });
}

/// All namespaces of the machine are looked at, and nothing is attached to but what has this test's own name.
#[test]
fn all_namespaces_are_all_that_have_a_name_or_a_process() {
    scenario("6 netns-all", &[], |bench| {
        let link = format!("pin{}", std::process::id());
        let nobodys = Container::new(bench, 4);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.args(["audit", "--all-netns", "--interface", &link, "--cgroup"]);
        command.arg(directory(bench)).args(["--format", "json"]);
        let mut pinif = Pinif::start(command);
        let ready = pinif.wait_for_line("it was ready", |_| true);
        let ready: serde_json::Value = serde_json::from_str(&ready).expect("JSON");
        let netns = ready["netns"].as_array().expect("a list");
        let is_there = |name: &str| netns.iter().any(|netns| netns == name);
        assert!(is_there(bench.card().name()), "{ready}");
        assert!(is_there(nobodys.name()), "{ready}");
        assert!(
            is_there(&NetNs::current().expect("current").name),
            "{ready}"
        );
        assert_eq!(ready["interfaces"], serde_json::json!([]));
        plug(bench.card(), &link, 0, &bench.chassis.outside);
        pinif.wait_for_note(&format!("{link} is audited from now on"));
        send(bench, bench.card(), &link, 30);
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert!(ended.status.success(), "{ended:?}");
        let summary = ended.stdout.last().expect("a summary");
        let summary: serde_json::Value = serde_json::from_str(summary).expect("JSON");
        assert_eq!(summary["packets"], 30, "{summary}");
        assert_eq!(
            summary["matrix"][0]["netns"],
            bench.card().name(),
            "{summary}"
        );
    });
}
