//! One collector at a time, and the end of it all.

use std::fs;
use std::process::{Command, Output};

use super::place::{CLSACT, Place, attached, filters};
use crate::bench::{Bench, Need, leak, scenario};

/// What an auditor says that does not start.
pub fn refused(command: Command) -> String {
    let mut command = command;
    let output: Output = command.output().expect("cannot run pinif");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_collector_and_the_end_wait_for_the_first() {
    scenario("persist second-collector", &[], |bench| {
        let place = Place::new();
        let first = place.audit(bench, &[]);
        let pid = first.pid();
        let message = refused(place.auditor(bench).into_command());
        let attends = format!("another collector (process {pid}) attends to what is pinned in ");
        assert!(message.contains(&attends), "{message}");
        let output = place.detach();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(&attends), "{message}");
        // Neither has harmed it.
        let sent = bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10");
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        first
            .stop()
            .expect()
            .finding(escape.packets(10).by(&sent))
            .nothing_else();
    });
}

#[test]
fn detaching_leaves_nothing() {
    scenario("persist detach", &[Need::Tcx], |bench| {
        let place = Place::new();
        let nothing = format!("no auditor is pinned in {}\n", place.directory().display());
        assert_eq!(place.detached(), nothing);
        let auditor = place.audit(bench, &[]);
        let interfaces = auditor.ready().interfaces.len();
        auditor.kill();
        assert_eq!(attached(bench).len(), 3);
        let message = place.detached();
        let removed = format!("detached from {interfaces} interfaces and 9 cgroup hooks; ");
        assert!(message.starts_with(&removed), "{message}");
        assert_eq!(attached(bench), [""; 0]);
        assert!(!place.directory().exists());
        assert_eq!(place.detached(), nothing);
        // The next one begins at nothing.
        place.audit(bench, &[]).stop().expect().nothing_else();
    });
}

#[test]
fn detaching_removes_filters() {
    let needs = &[Need::Program("tc")];
    scenario("persist detach-clsact", needs, |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, CLSACT);
        let removed = format!(
            "detached from {} interfaces",
            auditor.ready().interfaces.len()
        );
        auditor.kill();
        assert_eq!(filters(bench), 3);
        let message = place.detached();
        assert!(message.starts_with(&removed), "{message}");
        assert_eq!(filters(bench), 0);
        assert!(!place.directory().exists());
    });
}

/// An auditor that goes with its process is no company for one that stays.
fn refuses_company(bench: &Bench, arguments: &[&str]) {
    let place = Place::new();
    place.audit(bench, arguments).kill();
    let message = refused(bench.auditor().arguments(arguments).into_command());
    assert!(
        message.contains("a persistent auditor is attached in"),
        "{message}"
    );
    assert!(message.contains("`pinif detach`"), "{message}");
    let elsewhere = Place::new();
    let message = refused(elsewhere.auditor(bench).arguments(arguments).into_command());
    assert!(
        message.contains("a persistent auditor is attached in"),
        "{message}"
    );
    assert!(!elsewhere.directory().exists(), "nothing is left of it");
    place.detached();
    bench.audit(arguments).stop().expect().nothing_else();
}

#[test]
fn one_that_goes_is_refused_beside_one_that_stays() {
    scenario("persist beside", &[], |bench| refuses_company(bench, &[]));
}

#[test]
fn one_that_goes_is_refused_beside_filters_that_stay() {
    scenario("persist beside-clsact", &[], |bench| {
        refuses_company(bench, CLSACT);
    });
}

#[test]
fn another_way_to_attach_is_refused() {
    scenario("persist another-mode", &[Need::Tcx], |bench| {
        let place = Place::new();
        place.audit(bench, &[]).kill();
        let message = refused(place.auditor(bench).arguments(CLSACT).into_command());
        assert!(
            message.contains("is attached by tcx; start with `--attach tcx`"),
            "{message}"
        );
    });
}

#[test]
fn what_is_no_bpf_file_system_is_refused() {
    scenario("persist no-bpffs", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let argument = format!("--persist={}", folder.path().join("pins").display());
        let message = refused(bench.auditor().arguments([argument]).into_command());
        assert!(
            message.contains("is in no BPF file system; mount one with"),
            "{message}"
        );
        assert_eq!(fs::read_dir(folder.path()).expect("it is ours").count(), 0);
    });
}
