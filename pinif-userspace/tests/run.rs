//! `pinif run`: whatever a command does, its packets leave by the device or not at all, and all of them are counted.

mod bench;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use pinif_userspace::lab::{Device, LinkKind, Route, patience};

use bench::{Account, Bench, Held, Need, SENDER, Sent, scenario};

/// What the card's default route would lead out of eth1, if nothing were pinned.
const INSIDE: &str = "10.9.0.9:9";

/// That a sender's packets all left by fab0, and none by eth1.
fn stays_inside(name: &str, arguments: &str, packets: u64) {
    scenario(name, &[], |bench| {
        let before = bench.inside();
        let (held, outside) = bench.outside_while(|| bench.send_held(arguments));
        assert_eq!(held.sent().refused, BTreeMap::new(), "{held:?}");
        assert_eq!(outside, 0, "{held:?}");
        assert_eq!(bench.inside() - before, packets, "{held:?}");
        assert_eq!(held.account.left(), [("fab0", packets)]);
        assert_eq!(held.account.kept(), []);
        assert_eq!((held.account.refused, held.account.uncounted), (0, 0));
    });
}

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
fn a_udp_socket_is_pinned_from_birth() {
    stays_inside("run udp", &format!("udp --to {INSIDE} --count 1000"), 1000);
}

#[test]
fn a_connected_udp_socket_is_pinned_from_birth() {
    stays_inside(
        "run udp-connected",
        &format!("udp --connect --to {INSIDE} --count 1000"),
        1000,
    );
}

#[test]
fn a_udp_socket_of_ipv6_is_pinned_from_birth() {
    scenario("run udp6", &[], |bench| {
        let astray = Route::new("fd00::2/128".parse().expect("a prefix"), "eth1");
        let astray = astray.via("2001:db8::2".parse().expect("an address"));
        bench.card().add_route(astray).expect("a route");
        let (_, outside) = bench.outside_while(|| bench.send("udp --to [fd00::2]:9 --count 10"));
        assert_eq!(outside, 10, "without a pin");
        let before = bench.inside();
        let (held, outside) =
            bench.outside_while(|| bench.send_held("udp --to [fd00::2]:9 --count 1000"));
        assert_eq!((held.sent().sent, outside), (1000, 0), "{held:?}");
        assert_eq!(bench.inside() - before, 1000);
        assert_eq!(held.account.left(), [("fab0", 1000)]);
    });
}

#[test]
fn a_raw_socket_is_pinned_from_birth() {
    stays_inside("run raw", "raw --to 10.9.0.9 --count 1000", 1000);
}

#[test]
fn a_ping_socket_is_pinned_from_birth() {
    stays_inside("run ping", "ping --to 10.9.0.9 --count 1000", 1000);
}

#[test]
fn multicast_is_pinned_from_birth() {
    stays_inside("run multicast", "udp --to 239.1.1.1:9 --count 1000", 1000);
}

#[test]
fn a_socket_at_the_address_of_another_interface_is_pinned_all_the_same() {
    stays_inside(
        "run crossed",
        &format!("udp --bind 192.0.2.1 --to {INSIDE} --count 1000"),
        1000,
    );
}

#[test]
fn segments_of_one_message_are_counted_as_they_are_on_the_wire() {
    scenario("run gso", &[], |bench| {
        let arguments = format!("udp --to {INSIDE} --count 100 --size 1000 --gso 100");
        let (held, outside) = bench.outside_while(|| bench.send_held(&arguments));
        assert_eq!((held.sent().sent, outside), (100, 0), "{held:?}");
        assert_eq!(held.account.left(), [("fab0", 1000)]);
    });
}

#[test]
fn the_sockets_of_threads_are_pinned() {
    scenario("run threads", &[], |bench| {
        let arguments = format!("storm --to {INSIDE} --threads 8 --count 250 --each 50");
        let (held, outside) = bench.outside_while(|| bench.send_held(&arguments));
        assert_eq!((held.sent().sent, outside), (2000, 0));
        assert_eq!(held.account.left(), [("fab0", 2000)]);
        // Each thread makes a socket for every 50 messages, and there is one before.
        assert_eq!(held.account.pinned, 40);
    });
}

#[test]
fn a_socket_of_io_uring_is_pinned() {
    scenario("run io-uring", &[], |bench| {
        let arguments = format!("ring --to {INSIDE} --count 1000");
        let (held, outside) = bench.outside_while(|| bench.send_held(&arguments));
        assert_eq!((held.sent().sent, outside), (1000, 0), "{held:?}");
        assert_eq!(held.account.left(), [("fab0", 1000)]);
        assert_eq!(held.account.pinned, 1);
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

#[test]
fn a_mark_that_routes_elsewhere_routes_nothing_elsewhere() {
    stays_inside(
        "run mark",
        "udp --mark 7 --to 203.0.113.9:9 --count 1000",
        1000,
    );
}

/// That an attempt is refused, and told with who made it.
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
fn unbinding_and_rebinding_are_refused_and_told() {
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
        run.args(["setpriv", "--reuid", "65534", "--clear-groups", SENDER]);
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
        run.args(["setpriv", "--reuid", "65534", "--clear-groups", SENDER]);
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
        run.arg(SENDER);
        let arguments = "udp --to 203.0.113.9:9 --count 20 --rebind eth1 --rebind-after 10";
        run.args(arguments.split(' '));
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.sent().sent, outside), (20, 10), "{held:?}");
        let mut left = held.account.left();
        left.sort_unstable();
        assert_eq!(left, [("eth1", 10), ("fab0", 10)]);

        let mut run = bench.pinned("fab0", "--allow-rebind");
        run.arg(SENDER);
        run.args("udp --to 10.0.0.2:9 --pktinfo eth1 --count 20".split(' '));
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.account.kept(), outside), (vec![("eth1", 20)], 0));
    });
}

#[test]
fn children_and_what_they_execute_are_pinned() {
    scenario("run children", &[], |bench| {
        let mut run = bench.pinned("fab0", "");
        let script = format!(
            "{SENDER} udp --to {INSIDE} --count 100 & (exec {SENDER} raw --to 10.9.0.9 --count 100) & wait; \
             {SENDER} ping --to 10.9.0.9 --count 100"
        );
        run.args(["sh", "-c", &script]);
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.account.pinned, outside), (3, 0), "{held:?}");
        assert_eq!(held.account.left(), [("fab0", 300)]);
    });
}

#[test]
fn a_tcp_connection_is_pinned_on_both_its_sides() {
    scenario("run tcp", &[], |bench| {
        let server = "tcp --listen 10.0.0.2:7000 --bytes 100000 --close last";
        let mut server = bench.far_sender(&bench.chassis.peer, server);
        server.wait_for("ready").go();
        let (held, outside) =
            bench.outside_while(|| bench.send_held("tcp --to 10.0.0.2:7000 --bytes 100000"));
        server.finish();
        bench.settle();
        assert_eq!((held.sent().sent, outside), (1, 0), "{held:?}");
        assert_eq!(held.account.pinned, 1);
        assert!(matches!(held.account.left()[..], [("fab0", packets)] if packets > 3));

        // Nobody is there: the connection does not come about, rather than by the default route.
        let mut run = bench.pinned("fab0", "");
        run.args(["curl", "--max-time", "1", "--silent", "http://203.0.113.9/"]);
        if Need::Program("curl").unmet().is_none() {
            let (held, outside) = bench.outside_while(|| bench.held(run));
            assert_eq!(outside, 0, "{held:?}");
            assert!(matches!(held.account.left()[..], [("fab0", _)]), "{held:?}");
        }
    });
}

#[test]
fn the_hosts_own_addresses_are_reached() {
    scenario("run own-address", &[], |bench| {
        let (held, outside) =
            bench.outside_while(|| bench.send_held("udp --to 10.0.0.1:9 --connect --count 1"));
        assert_eq!(outside, 0);
        assert_eq!(held.account.left(), [("lo", 1)], "{held:?}");
    });
}

#[test]
fn a_socket_of_a_vrf_leaves_by_its_members() {
    scenario("run vrf", &[Need::Link(LinkKind::Vrf)], |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Vrf, "blue").id(10))
            .expect("a vrf");
        card.set_up("blue").expect("up");
        card.enslave("fab0", "blue").expect("enslaved");
        let mut run = bench.pinned("blue", "");
        run.arg(SENDER);
        run.args("udp --to 10.0.0.2:9 --count 1000".split(' '));
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.sent().sent, outside), (1000, 0), "{held:?}");
        assert_eq!(held.account.kept(), []);
        let fab0 = held
            .account
            .left()
            .into_iter()
            .find(|(name, _)| *name == "fab0");
        assert_eq!(fab0, Some(("fab0", 1000)), "{held:?}");

        let mut run = bench.pinned("blue", "");
        run.arg(SENDER);
        run.args("udp --to 10.0.0.2:9 --pktinfo eth1 --count 1000".split(' '));
        let (held, outside) = bench.outside_while(|| bench.held(run));
        assert_eq!((held.sent().sent, outside), (0, 0), "{held:?}");
    });
}

#[test]
fn a_vlans_packets_do_not_leave_untagged_by_its_trunk() {
    scenario("run vlan", &[Need::Link(LinkKind::Vlan)], |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Vlan, "fab0.7").over("fab0").id(7))
            .expect("a vlan");
        card.set_up("fab0.7").expect("up");
        let before = bench.inside();
        let mut run = bench.pinned("fab0.7", "");
        run.arg(SENDER);
        run.args("udp --to 10.0.0.2:9 --pktinfo fab0 --count 1000".split(' '));
        let held = bench.held(run);
        assert_eq!(held.account.kept(), [("fab0", 1000)], "{held:?}");
        assert_eq!(bench.inside() - before, 0);
    });
}

#[test]
fn a_process_that_goes_to_another_namespace_makes_no_sockets_there() {
    scenario("run unshare", &[Need::Program("unshare")], |bench| {
        let mut run = bench.pinned("fab0", "");
        run.args(["unshare", "--net", SENDER, "udp", "--to", INSIDE]);
        let held = bench.held(run);
        assert_eq!(
            (held.account.elsewhere, held.account.pinned),
            (1, 0),
            "{held:?}"
        );
        assert!(!held.output.status.success());
    });
}

#[test]
fn a_socket_that_is_handed_in_is_told() {
    scenario("run handed-in", &[], |bench| {
        let socket = bench
            .card()
            .run(|| std::net::UdpSocket::bind("10.0.0.1:700"));
        let socket = socket.expect("the card").expect("a socket");
        let mut run = bench.pinned("fab0", "");
        run.arg("true").stdin(OwnedFd::from(socket));
        let held = bench.held(run);
        let errors = String::from_utf8_lossy(&held.output.stderr);
        assert!(
            errors.starts_with(
                "pinif: descriptor 0, a udp socket at 10.0.0.1:700, was handed in: it is not pinned, and not held\n"
            ),
            "{errors}"
        );
    });
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience(Duration::from_secs(30));
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        thread::yield_now();
    }
}

/// The cgroup of the one command that runs.
fn cgroup_of_command(bench: &Bench) -> std::path::PathBuf {
    let mut found = fs::read_dir(bench.cgroup_path())
        .expect("the cgroup is there")
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    found.next().expect("a command runs").path()
}

/// Makes fab0 once more, as it was, with another index.
fn plug_in(bench: &Bench) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    card.veth("fab0", peer, "fab0", 0x01).expect("a link");
    for end in [card, peer] {
        end.set_up("fab0").expect("up");
    }
    card.wait_until_operational("fab0").expect("operational");
    card.add_address("fab0", "10.0.0.1/24".parse().expect("an address"))
        .expect("an address");
}

#[test]
fn the_pin_follows_the_interface_by_its_name() {
    scenario("run interface-comes-back", &[], |bench| {
        let send = format!("{SENDER} udp --to {INSIDE} --count 1000");
        let mut run = bench.pinned("fab0", "");
        // One socket outlives the interface.
        let script = format!(
            "{send}; echo one; read go; {send}; echo two; read go; {send}; echo three; \
             exec {SENDER} --wait-stdin udp --to {INSIDE} --count 2000 --pause-after 1000"
        );
        run.args(["sh", "-c", &script]);
        run.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = run.spawn().expect("pinif");
        let mut go = child.stdin.take().expect("piped");
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut wait_for = |word: &str| {
            let line = said.find(|line| line.as_ref().is_ok_and(|line| line.starts_with(word)));
            line.unwrap_or_else(|| panic!("it never said {word}"))
                .expect("a line")
        };
        wait_for("one");
        let cgroup = cgroup_of_command(bench);
        let first = bench.pin_of(&cgroup).index;
        let ((), outside) = bench.outside_while(|| {
            bench.card().delete_link("fab0").expect("it is there");
            wait_until("the pin knows that it is away", || {
                bench.pin_of(&cgroup).index.is_none()
            });
            go.write_all(b"go\n").expect("it waits");
            wait_for("two");
            plug_in(bench);
            wait_until("the pin knows that it is back", || {
                bench.pin_of(&cgroup).index.is_some()
            });
            go.write_all(b"go\n").expect("it waits");
            wait_for("three");
            wait_for("ready");
            go.write_all(b"go\n").expect("it waits");
            wait_for("paused");
            let second = bench.pin_of(&cgroup).index;
            assert_ne!(first, second);
            bench.card().delete_link("fab0").expect("it is there");
            wait_until("the pin knows that it is away", || {
                bench.pin_of(&cgroup).index.is_none()
            });
            plug_in(bench);
            // The socket is bound to the new one once the pin points to it, or a moment later.
            wait_until("the pin knows that it is back", || {
                bench.pin_of(&cgroup).index.is_some()
            });
            wait_until("the socket is bound anew", || is_bound(bench, &cgroup));
            go.write_all(b"go\n").expect("it waits");
        });
        let output = child.wait_with_output().expect("a child");
        let errors = String::from_utf8_lossy(&output.stderr);
        let account = Account::of(errors.lines().last().expect("an account"));
        assert_eq!((outside, account.away), (0, 1), "{errors}");
        assert_eq!(account.kept(), []);
        // Each fab0 is counted apart.
        assert_eq!(
            account.left(),
            [("fab0", 1000), ("fab0", 2000), ("fab0", 1000)],
            "{errors}"
        );
        assert!(errors.contains("No such device"), "{errors}");
    });
}

/// Whether every UDP socket of the card is bound to the interface that the pin points to.
fn is_bound(bench: &Bench, cgroup: &std::path::Path) -> bool {
    use pinif_userspace::host::{netns::NetNs, sockets};
    let netns = NetNs::named(bench.card().name()).expect("the card");
    let index = bench.pin_of(cgroup).index;
    let all = sockets::list(&netns).expect("sock_diag");
    all.iter()
        .all(|socket| socket.device.map(|device| device.0) == index)
}

#[test]
fn a_pinif_that_is_killed_leaves_its_command_held() {
    scenario("run killed", &[], |bench| {
        let mut run = bench.pinned("fab0", "");
        // The shell is the sender's parent, with which that would end.
        let script = format!(
            "{SENDER} --wait-stdin udp --to 10.0.0.2:9 --pktinfo eth1 --count 2000 --pause-after 1000; true"
        );
        run.args(["sh", "-c", &script]);
        run.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = run.spawn().expect("pinif");
        let mut go = child.stdin.take().expect("piped");
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut next = || said.next().expect("a line").expect("text");
        assert_eq!(next(), "ready");
        let cgroup = cgroup_of_command(bench);
        let ((), outside) = bench.outside_while(|| {
            go.write_all(b"go\n").expect("it waits");
            assert_eq!(next(), "paused");
            assert_eq!(bench.pin_of(&cgroup).kept(), [("eth1", 1000)]);
            child.kill().expect("it runs");
            child.wait().expect("a child");
            go.write_all(b"go\n").expect("it waits");
            let sent: Sent = serde_json::from_str(&next()).expect("what it sent");
            assert_eq!(sent.sent, 0);
        });
        assert_eq!(outside, 0);
        assert_eq!(bench.pin_of(&cgroup).kept(), [("eth1", 2000)]);
        wait_until("the cgroup is empty", || fs::remove_dir(&cgroup).is_ok());
    });
}

/// The exit status of `sh -c SCRIPT`.
fn status(bench: &Bench, script: &str) -> std::process::ExitStatus {
    let mut run = bench.pinned("fab0", "");
    run.args(["sh", "-c", script]);
    bench.held(run).output.status
}

#[test]
fn the_end_is_the_commands() {
    scenario("run exit-status", &[], |bench| {
        assert_eq!(status(bench, "exit 0").code(), Some(0));
        assert_eq!(status(bench, "exit 7").code(), Some(7));
        assert_eq!(status(bench, "kill -TERM $$").signal(), Some(15));
        assert_eq!(status(bench, "kill -KILL $$").signal(), Some(9));
        let mut run = bench.pinned("fab0", "");
        run.args([
            "sh",
            "-c",
            "echo \"$1 $PINIF_TEST\"; read line; echo \"$line\" >&2; cat",
            "sh",
            "-x",
        ]);
        run.env("PINIF_TEST", "kept")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = run.spawn().expect("pinif");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(b"one\ntwo\n").expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("a child");
        assert_eq!(output.stdout, b"-x kept\ntwo\n");
        assert!(output.stderr.starts_with(b"one\n"), "{output:?}");
    });
}

#[test]
fn what_cannot_be_executed_ends_as_with_env() {
    scenario("run not-found", &[], |bench| {
        for (command, code, said) in [
            (
                "/no/such/command",
                127,
                "pinif: cannot run /no/such/command: No such file or directory (os error 2)\n",
            ),
            (
                "/etc/passwd",
                126,
                "pinif: cannot run /etc/passwd: Permission denied (os error 13)\n",
            ),
        ] {
            let output = bench
                .pinned("fab0", "")
                .arg(command)
                .output()
                .expect("pinif");
            assert_eq!(output.status.code(), Some(code));
            assert_eq!(String::from_utf8_lossy(&output.stderr), said);
        }
        let left = fs::read_dir(bench.cgroup_path()).expect("the cgroup is there");
        let left = left
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir());
        assert_eq!(left.count(), 0, "no cgroup stays");
    });
}

#[test]
fn signals_go_on_to_the_command() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGQUIT,
    ] {
        scenario(
            &format!("run {}", signal.as_str().to_lowercase()),
            &[],
            |bench| {
                let name = &signal.as_str()[3..];
                let mut run = bench.pinned("fab0", "");
                run.args([
                    "sh",
                    "-c",
                    &format!("trap 'exit 42' {name}; echo ready; read line"),
                ]);
                run.stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null());
                let mut child = run.spawn().expect("pinif");
                let _open = child.stdin.take();
                let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
                assert_eq!(said.next().expect("a line").expect("text"), "ready");
                kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it runs");
                assert_eq!(child.wait().expect("a child").code(), Some(42));
            },
        );
    }
}

#[test]
fn a_command_that_stops_stops_pinif_and_goes_on_with_it() {
    scenario("run stopped", &[], |bench| {
        let mut run = bench.pinned("fab0", "");
        run.args(["sh", "-c", "kill -STOP $$; exit 5"])
            .stderr(Stdio::null());
        let mut child = run.spawn().expect("pinif");
        let pid = Pid::from_raw(child.id().cast_signed());
        let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("a child");
        assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
        kill(pid, Signal::SIGCONT).expect("it is there");
        assert_eq!(child.wait().expect("a child").code(), Some(5));
    });
}

#[test]
fn an_interrupt_at_the_terminal_comes_once() {
    scenario("run terminal", &[], |bench| {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let mut run = bench.pinned("fab0", "");
        run.args([
            "sh",
            "-c",
            "trap 'echo caught' INT; echo ready; until read line; do :; done; echo \"got $line\"; exit 6",
        ]);
        let slave = || pty.slave.try_clone().expect("a descriptor");
        run.stdin(slave()).stdout(slave()).stderr(Stdio::null());
        // SAFETY: system calls only, between fork and exec.
        unsafe {
            run.pre_exec(|| {
                nix::unistd::setsid()?;
                if libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let mut child = run.spawn().expect("pinif");
        let mut terminal = fs::File::from(pty.master.try_clone().expect("a descriptor"));
        let mut lines = BufReader::new(fs::File::from(pty.master))
            .lines()
            .map_while(Result::ok);
        let mut wait_for = |word: &str| {
            let mut before = Vec::new();
            for line in lines.by_ref() {
                if line.contains(word) {
                    return before;
                }
                before.push(line);
            }
            panic!("it never said {word}, but {before:?}")
        };
        wait_for("ready");
        terminal.write_all(b"\x03").expect("a terminal");
        wait_for("caught");
        terminal.write_all(b"word\n").expect("a terminal");
        let between = wait_for("got word");
        assert!(
            !between.iter().any(|line| line.contains("caught")),
            "{between:?}"
        );
        assert_eq!(child.wait().expect("a child").code(), Some(6));
    });
}

#[test]
fn what_a_command_leaves_behind_stays_pinned() {
    scenario("run left-behind", &[], |bench| {
        let mut run = bench.pinned_reported("fab0", "human");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        run.args([
            "sh",
            "-c",
            "exec 3<&0; sh -c 'read line' <&3 2>/dev/null & exit 3",
        ]);
        run.stdin(reader).stdout(Stdio::null());
        let output = run.output().expect("pinif");
        assert_eq!(output.status.code(), Some(3));
        let errors = String::from_utf8_lossy(&output.stderr);
        let cgroup = cgroup_of_command(bench);
        assert_eq!(
            errors,
            format!(
                "pinif: 0 sockets pinned to fab0\npinif: no packet left\npinif: one process of the command goes on, and it \
                 stays pinned, in the cgroup {}\n",
                cgroup.display()
            )
        );
        assert_eq!(bench.pin_of(&cgroup).interface, "fab0");
        drop(writer);
        wait_until("the process is gone", || {
            fs::read_to_string(cgroup.join("cgroup.procs")).is_ok_and(|procs| procs.is_empty())
        });
        // The next one takes away what was left.
        status(bench, "true");
        assert!(!cgroup.exists());
    });
}

/// What pinif says when it cannot run a command.
fn refusal(mut run: Command) -> String {
    let output = run.arg("true").output().expect("pinif");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_command_that_cannot_be_pinned_is_not_run() {
    scenario("run errors", &[Need::Program("setpriv")], |bench| {
        bench.lacks("fab9", &refusal(bench.pinned("fab9", "")));
        let mut run = Command::new(env!("CARGO_BIN_EXE_pinif"));
        run.args(["run", "--interface", "lo", "--netns", "no-such-card", "--"]);
        assert!(refusal(run).starts_with("pinif: there is no network namespace `no-such-card`"));
        let mut run = Command::new(env!("CARGO_BIN_EXE_pinif"));
        run.args(["run", "--interface", "lo", "--cgroup", "/proc", "--"]);
        assert!(refusal(run).starts_with("pinif: /proc is no cgroup of the second version; name"));
        let mut run = Command::new("setpriv");
        run.args(["--reuid", "65534", "--clear-groups", "--bounding-set=-all"]);
        run.args([
            env!("CARGO_BIN_EXE_pinif"),
            "run",
            "--interface",
            "lo",
            "--",
        ]);
        let said = refusal(run);
        assert!(said.starts_with("pinif: root is needed"), "{said}");
        let usage = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .arg("run")
            .output()
            .expect("pinif");
        assert_eq!(usage.status.code(), Some(125));
    });
}

#[test]
fn a_threaded_cgroup_is_told() {
    scenario("run threaded", &[], |bench| {
        let threaded = bench.cgroup_path().join("threaded");
        fs::create_dir(&threaded).expect("a cgroup");
        fs::write(threaded.join("cgroup.type"), "threaded").expect("threaded");
        let mut run = Command::new(env!("CARGO_BIN_EXE_pinif"));
        run.args(["run", "--interface", "lo", "--cgroup"])
            .arg(&threaded)
            .arg("--");
        let said = refusal(run);
        fs::remove_dir(&threaded).expect("it is empty");
        assert!(
            said.contains("can hold no process") && said.contains("threaded"),
            "{said}"
        );
        assert!(said.contains("--cgroup"), "{said}");
    });
}

#[test]
fn a_run_within_a_run_is_pinned_to_the_same_or_refused() {
    scenario("run nested", &[], |bench| {
        let nested = |interface: &str| -> Held {
            let mut run = bench.pinned("fab0", "");
            run.args([
                env!("CARGO_BIN_EXE_pinif"),
                "run",
                "--interface",
                interface,
                "--",
                SENDER,
            ]);
            run.args(["udp", "--to", INSIDE, "--count", "10"]);
            bench.held(run)
        };
        let (same, outside) = bench.outside_while(|| nested("fab0"));
        assert_eq!((same.sent().sent, outside), (10, 0), "{same:?}");
        assert_eq!(same.account.left(), [("fab0", 10)]);
        let other = nested("eth1");
        assert_eq!(other.output.status.code(), Some(125), "{other:?}");
        let said = String::from_utf8_lossy(&other.output.stderr);
        assert!(
            said.contains("is pinned to fab0 already, and cannot be pinned to eth1 as well"),
            "{said}"
        );
    });
}
