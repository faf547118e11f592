//! What tries to leave by another interface all the same.

use std::collections::BTreeMap;

use super::INSIDE;
use crate::bench::{Need, SENDER, scenario};

/// That a sender's attempts to leave by another interface all failed, each with `EPERM`.
fn is_kept(name: &str, arguments: &str) {
    scenario(name, &[], |bench| {
        let before = bench.inside();
        let (held, outside) = bench.outside_while(|| bench.send_held(arguments));
        assert_eq!(held.sent().sent, 0, "{held:?}");
        assert_eq!(
            held.sent().refused,
            BTreeMap::from([("EPERM".to_owned(), 1000)])
        );
        assert_eq!((outside, bench.inside() - before), (0, 0), "{held:?}");
        assert_eq!(held.account.kept(), [("eth1", 1000)]);
        assert_eq!(held.account.left(), []);
    });
}

#[test]
fn an_ipv4_packet_info_is_kept() {
    is_kept(
        "run pktinfo-udp",
        "udp --to 10.0.0.2:9 --pktinfo eth1 --count 1000",
    );
    is_kept(
        "run pktinfo-raw",
        "raw --to 10.0.0.2 --pktinfo eth1 --count 1000",
    );
    is_kept(
        "run pktinfo-ping",
        "ping --to 10.0.0.2 --pktinfo eth1 --count 1000",
    );
}

#[test]
fn an_ipv6_scope_is_kept() {
    is_kept(
        "run scope-udp",
        "udp --to [fe80::2]:9 --scope eth1 --count 1000",
    );
    is_kept(
        "run scope-multicast",
        "udp --to [ff02::1]:9 --scope eth1 --count 1000",
    );
    is_kept(
        "run scope-raw",
        "raw --to fe80::2 --scope eth1 --count 1000",
    );
}

#[test]
fn the_kernel_refuses_what_it_refuses_of_any_pinned_socket() {
    scenario("run pktinfo6", &[], |bench| {
        let arguments = "udp --to [fd00::2]:9 --pktinfo eth1 --count 1000";
        let (held, outside) = bench.outside_while(|| bench.send_held(arguments));
        assert_eq!(
            held.sent().refused,
            BTreeMap::from([("EINVAL".to_owned(), 1000)])
        );
        assert_eq!((outside, held.account.kept()), (0, vec![]));
    });
    for option in ["--unicast-if", "--multicast-if"] {
        scenario(&format!("run {}", &option[2..]), &[], |bench| {
            let arguments = format!("udp --to {INSIDE} {option} eth1");
            let (held, outside) = bench.outside_while(|| bench.send_held(&arguments));
            assert!(!held.output.status.success(), "{held:?}");
            assert_eq!(outside, 0, "{held:?}");
        });
    }
}

/// That an attempt is refused, and reported with who made it.
fn is_refused(name: &str, arguments: &str, device: Option<&str>) {
    scenario(name, &[], |bench| {
        let (held, outside) = bench.outside_while(|| bench.send_held(arguments));
        let errors = String::from_utf8_lossy(&held.output.stderr);
        assert!(errors.contains("Operation not permitted"), "{errors}");
        assert_eq!((outside, held.account.left()), (0, vec![("fab0", 10)]));
        assert_eq!(held.account.refused, 1);
        let [attempt] = &held.account.attempts[..] else {
            panic!("{held:?}")
        };
        assert_eq!((&*attempt.comm, attempt.times), ("pinif-sender", 1));
        assert_eq!(attempt.device.as_deref(), device);
    });
}

#[test]
fn unbinding_and_rebinding_are_refused_and_reported() {
    let to = format!("udp --to {INSIDE} --count 20");
    is_refused("run unbind", &format!("{to} --unbind-after 10"), None);
    is_refused(
        "run rebind",
        &format!("{to} --rebind eth1 --rebind-after 10"),
        Some("eth1"),
    );
}

#[test]
fn a_socket_may_be_bound_to_its_own_device_without_privileges() {
    scenario("run same-device", &[Need::Program("setpriv")], |bench| {
        let mut run = bench.pinned("fab0", "");
        run.args(["setpriv", "--reuid", "65534", "--clear-groups", *SENDER]);
        run.args([
            "udp",
            "--bind-device",
            "fab0",
            "--to",
            INSIDE,
            "--count",
            "1000",
        ]);
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.sent().sent, outside), (1000, 0), "{held:?}");
        assert_eq!(held.account.left(), [("fab0", 1000)]);
        assert_eq!(held.account.refused, 0);
    });
}

#[test]
fn an_auditor_above_a_pin_changes_nothing_of_it() {
    scenario("run audited", &[Need::Program("setpriv")], |bench| {
        let auditor = bench.audit(&[]);
        let mut run = bench.pinned("fab0", "");
        run.args(["setpriv", "--reuid", "65534", "--clear-groups", *SENDER]);
        run.args(["udp", "--bind-device", "fab0"]);
        run.args(["--to", INSIDE, "--count", "1000"]);
        let held = bench.held(run);
        assert_eq!(held.sent().sent, 1000, "{held:?}");
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 1000)
            .nothing_else();
    });
}

#[test]
fn where_it_is_allowed_sockets_are_bound_anew() {
    scenario("run allow-rebind", &[], |bench| {
        let mut run = bench.pinned("fab0", "--allow-rebind");
        run.arg(*SENDER);
        let arguments = "udp --to 203.0.113.9:9 --count 20 --rebind eth1 --rebind-after 10";
        run.args(arguments.split(' '));
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.sent().sent, outside), (20, 10), "{held:?}");
        let mut left = held.account.left();
        left.sort_unstable();
        assert_eq!(left, [("eth1", 10), ("fab0", 10)]);

        let mut run = bench.pinned("fab0", "--allow-rebind");
        run.arg(*SENDER);
        run.args("udp --to 10.0.0.2:9 --pktinfo eth1 --count 20".split(' '));
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.account.kept(), outside), (vec![("eth1", 20)], 0));
    });
}
