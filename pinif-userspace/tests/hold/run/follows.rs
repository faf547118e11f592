//! A pin follows its interface by the name, and outlives the pinif that made it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::Duration;

use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};

use super::{INSIDE, cgroup_of_command};
use crate::bench::{Account, Bench, Events, SENDER, Sent, scenario, wait_until};

/// How often a pin is looked at. `pinif run` moves it a moment after it learns of the interface, which is no event.
const PIN: Duration = Duration::from_millis(20);

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
        let sender = *SENDER;
        let send = format!("{sender} udp --to {INSIDE} --count 1000");
        let mut run = bench.pinned("fab0", "");
        // One socket outlives the interface.
        let script = format!(
            "{send}; echo one; read go; {send}; echo two; read go; {send}; echo three; \
             exec {sender} --wait-stdin udp --to {INSIDE} --count 2000 --pause-after 1000"
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
        let moved = Events::every(PIN);
        let ((), outside) = bench.outside_while(|| {
            bench.card().delete_link("fab0").expect("it is there");
            wait_until("the pin knows that it is away", &moved, || {
                bench.pin_of(&cgroup).index.is_none()
            });
            go.write_all(b"go\n").expect("it waits");
            wait_for("two");
            plug_in(bench);
            wait_until("the pin knows that it is back", &moved, || {
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
            wait_until("the pin knows that it is away", &moved, || {
                bench.pin_of(&cgroup).index.is_none()
            });
            plug_in(bench);
            // The socket is bound to the new one once the pin points to it, or a moment later.
            wait_until("the pin knows that it is back", &moved, || {
                bench.pin_of(&cgroup).index.is_some()
            });
            wait_until("the socket is bound anew", &moved, || {
                is_bound(bench, &cgroup)
            });
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
        // Before Linux 5.18, a hook that refuses a socket cannot choose the error (`bpf_set_retval`).
        let chooses = is_helper_supported(ProgramType::CgroupSock, BpfHelper::BPF_FUNC_set_retval);
        let error = if chooses.expect("the kernel says") {
            "No such device"
        } else {
            "Operation not permitted"
        };
        assert!(errors.contains(error), "{errors}");
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
        let sender = *SENDER;
        // The shell is the sender's parent, with which that would end.
        let script = format!(
            "{sender} --wait-stdin udp --to 10.0.0.2:9 --pktinfo eth1 --count 2000 --pause-after 1000; true"
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
        let events = Events::of_files([cgroup.join("cgroup.events")]);
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
        wait_until("the cgroup is empty", &events, || {
            fs::remove_dir(&cgroup).is_ok()
        });
    });
}
