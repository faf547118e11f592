//! Multipath TCP under a pin: its connections come about, and all their subflows leave by the device, or do not come about.

use pinif_lab::Route;
use serde_json::Value;

use crate::bench::{Bench, Held, Need, SENDER, Sender, scenario};

const MPTCP: [Need; 2] = [Need::Mptcp, Need::Program("ip")];
const BYTES: u64 = 1_000_000;

/// Gives the peer's address a route by eth1, which an unbound socket takes, and starts a server there.
fn server(bench: &Bench) -> Sender {
    let detour = Route::new("10.0.0.2/32".parse().expect("a prefix"), "eth1");
    let detour = detour.via("192.0.2.2".parse().expect("an address"));
    bench.card().add_route(detour).expect("a route");
    let server = format!("tcp --mptcp --listen 10.0.0.2:7000 --bytes {BYTES} --close last");
    let mut server = bench.far_sender(&bench.chassis.peer, &server);
    server.wait_for("ready").go();
    server
}

/// That a connection sends all by fab0, and tries nothing else.
fn stays_inside(bench: &Bench, command: &[&str], options: &str) -> Held {
    let server = server(bench);
    let mut run = bench.pinned("fab0", "");
    run.args(command).arg(*SENDER);
    let arguments = format!("tcp --mptcp --to 10.0.0.2:7000 --bytes {BYTES} {options}");
    run.args(arguments.split_whitespace());
    let (held, outside) = bench.outside_while(|| bench.held(run));
    server.finish();
    assert_eq!((held.sent().sent, outside), (1, 0), "{held:?}");
    assert_eq!(held.account.pinned, 1, "{held:?}");
    assert!(
        matches!(held.account.left()[..], [("fab0", packets)] if packets > 3),
        "{held:?}"
    );
    assert_eq!(held.account.kept(), [], "{held:?}");
    assert_eq!(held.account.refused, 0, "{held:?}");
    held
}

#[test]
fn a_connection_is_pinned_from_birth() {
    scenario("run mptcp", &MPTCP, |bench| {
        stays_inside(bench, &[], "");
    });
}

#[test]
fn a_connection_may_be_bound_to_its_own_device() {
    scenario("run mptcp-same-device", &MPTCP, |bench| {
        stays_inside(bench, &[], "--bind-device fab0");
    });
    let needs = [Need::Mptcp, Need::Program("setpriv")];
    scenario("run mptcp-unprivileged", &needs, |bench| {
        let unprivileged = ["setpriv", "--reuid", "65534", "--clear-groups"];
        stays_inside(bench, &unprivileged, "--bind-device fab0");
    });
}

#[test]
fn a_connection_of_ipv6_is_pinned_from_birth() {
    scenario("run mptcp-v6", &MPTCP, |bench| {
        let detour = Route::new("fd00::2/128".parse().expect("a prefix"), "eth1");
        let detour = detour.via("2001:db8::2".parse().expect("an address"));
        bench.card().add_route(detour).expect("a route");
        let server = "tcp --mptcp --listen [fd00::2]:7000 --close last";
        let mut server = bench.far_sender(&bench.chassis.peer, server);
        server.wait_for("ready").go();
        let (held, outside) =
            bench.outside_while(|| bench.send_held("tcp --mptcp --to [fd00::2]:7000"));
        server.finish();
        assert_eq!((held.sent().sent, outside), (1, 0), "{held:?}");
        assert_eq!(held.account.kept(), [], "{held:?}");
    });
}

/// Without `dev`, the kernel would let the routes choose.
#[test]
fn a_subflow_of_an_endpoint_leaves_by_the_device() {
    scenario("run mptcp-endpoint", &MPTCP, |bench| {
        bench.run("ip", "mptcp limits set subflow 2");
        bench.run("ip", "mptcp endpoint add 192.0.2.1 subflow");
        stays_inside(bench, &[], "");
    });
}

#[test]
fn a_subflow_of_an_endpoint_with_another_device_does_not_come_about() {
    scenario("run mptcp-endpoint-device", &MPTCP, |bench| {
        bench.run("ip", "mptcp limits set subflow 2");
        bench.run("ip", "mptcp endpoint add 192.0.2.1 dev eth1 subflow");
        stays_inside(bench, &[], "");
    });
}

#[test]
fn a_listener_is_pinned_and_shown_so() {
    scenario("run mptcp-listener", &MPTCP, |bench| {
        use std::io::{BufRead as _, BufReader, Write as _};
        use std::process::{Command, Stdio};
        let mut run = bench.pinned("fab0", "");
        run.arg(*SENDER);
        run.args("tcp --mptcp --listen 10.0.0.1:7000 --close last".split(' '));
        run.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let auditor = bench.audit(&[]);
        let mut child = run.spawn().expect("pinif");
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = said.next().expect("a line").expect("a line");
        assert!(ready.starts_with("ready"), "{ready}");
        let listed = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .args([
                "sockets",
                "--netns",
                bench.card().name(),
                "--format",
                "json",
            ])
            .output()
            .expect("pinif");
        let listed = String::from_utf8(listed.stdout).expect("UTF-8");
        let bound: Vec<Value> = listed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|line| line["local"] == "10.0.0.1:7000")
            .map(|line| line["bound_device"].clone())
            .collect();
        assert!(!bound.is_empty(), "{listed}");
        assert!(bound.iter().all(|device| device == "fab0"), "{listed}");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(b"go\n")
            .expect("it waits");
        let client = bench.far_sender(
            &bench.chassis.peer,
            "tcp --mptcp --to 10.0.0.1:7000 --close first",
        );
        client.finish();
        let output = child.wait_with_output().expect("pinif");
        assert!(output.status.success(), "{output:?}");
        let report = auditor.stop();
        let packets = report.sent_by("fab0").packets;
        report
            .expect()
            .contained("fab0", "fab0", packets)
            .nothing_else();
    });
}
