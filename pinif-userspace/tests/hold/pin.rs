//! `pinif pin`: a running service's cgroup is pinned, listed, followed and released.

use std::fs;
use std::process::Output;

use crate::bench::{Bench, Sender, scenario};

/// A destination that the default route leads out of eth1.
const SEND: &str = "udp --to 10.9.0.9:9 --count 1000";

fn cgroup(bench: &Bench) -> &str {
    bench.cgroup_path().to_str().expect("UTF-8")
}

fn said(output: &Output) -> (Option<i32>, String) {
    let stream = if output.status.success() {
        &output.stdout
    } else {
        &output.stderr
    };
    (
        output.status.code(),
        String::from_utf8_lossy(stream).into_owned(),
    )
}

fn done(output: &Output) -> String {
    let (status, said) = said(output);
    assert_eq!(status, Some(0), "{said}");
    said
}

fn refused(output: &Output) -> String {
    let (status, said) = said(output);
    assert_eq!((status, said.lines().count()), (Some(1), 1), "{said}");
    said
}

fn pin(bench: &Bench) -> String {
    done(&bench.pin(&["--cgroup", cgroup(bench), "--interface", "fab0"]))
}

/// A sender that has its socket, and waits.
fn early(bench: &Bench, arguments: &str) -> Sender {
    let mut sender = bench.sender(&format!("--wait-stdin {arguments}"));
    sender.wait_for("ready");
    sender
}

#[test]
fn a_services_new_sockets_are_pinned_until_that_is_undone() {
    scenario("pin new-sockets", &[], |bench| {
        let path = cgroup(bench);
        let (_, outside) = bench.outside_while(|| bench.send(SEND));
        assert_eq!(outside, 1000, "before");
        assert_eq!(pin(bench), format!("{path} is pinned to fab0\n"));
        let (sent, outside) = bench.outside_while(|| bench.send(SEND));
        assert_eq!((sent.sent, outside), (1000, 0));
        let override_it = "udp --to 10.0.0.2:9 --pktinfo eth1 --count 1000";
        let (sent, outside) = bench.outside_while(|| bench.send(override_it));
        assert_eq!((sent.sent, outside), (0, 0));

        let account = bench.pin_of(bench.cgroup_path());
        assert_eq!((account.pinned, account.refused), (2, 0));
        assert_eq!(account.left(), [("fab0", 1000)]);
        assert_eq!(account.kept(), [("eth1", 1000)]);
        let listed = done(&bench.pin(&["--list"]));
        let of_this: Vec<_> = listed
            .lines()
            .skip_while(|line| *line != path)
            .take(4)
            .collect();
        let expected = [
            path,
            "  2 sockets pinned to fab0",
            "  1,000 packets left via fab0, none via another interface",
            "  1,000 packets were dropped instead of leaving via eth1",
        ];
        assert_eq!(of_this, expected, "{listed}");

        let undone = done(&bench.pin(&["--undo", "--cgroup", path]));
        assert_eq!(
            undone,
            format!(
                // Those that it had are closed.
                "{path} is no longer pinned\n"
            )
        );
        let (_, outside) = bench.outside_while(|| bench.send(SEND));
        assert_eq!(outside, 1000, "afterwards");
    });
}

#[test]
fn sockets_that_are_there_are_bound() {
    scenario("pin existing", &[], |bench| {
        let mut unconnected = early(bench, SEND);
        let mut connected = early(bench, &format!("{SEND} --connect"));
        let mut elsewhere = early(
            bench,
            "udp --bind-device eth1 --to 203.0.113.9:9 --count 1000",
        );
        let mut internal = early(bench, "udp --connect --to 127.0.0.1:9 --count 1");
        let message = pin(bench);
        assert_eq!(
            message,
            format!(
                "{} is pinned to fab0; of the sockets that were there, 2 are bound to it, and one is not, but can send via no \
                 other either: restart the service\n",
                cgroup(bench)
            )
        );
        let ((), outside) = bench.outside_while(|| {
            for sender in [
                &mut unconnected,
                &mut connected,
                &mut elsewhere,
                &mut internal,
            ] {
                sender.go();
            }
            assert_eq!(unconnected.finish().sent, 1000);
            assert_eq!(connected.finish().sent, 1000);
            assert_eq!(elsewhere.finish().sent, 0);
            internal.finish();
        });
        assert_eq!(outside, 0);
        let account = bench.pin_of(bench.cgroup_path());
        assert_eq!(account.left(), [("lo", 1), ("fab0", 2000)]);
        assert_eq!((account.kept(), account.pinned), (vec![("eth1", 1000)], 0));
        let listed = done(&bench.pin(&["--list"]));
        let mut of_this = listed.lines().skip_while(|line| *line != cgroup(bench));
        assert_eq!(
            of_this.nth(1),
            Some("  pinned to fab0; no socket was made since"),
            "{listed}"
        );
    });
}

#[test]
fn a_pin_is_pointed_at_the_interface_that_has_its_name_now() {
    scenario("pin refresh", &[], |bench| {
        let path = cgroup(bench);
        pin(bench);
        let mut sender = early(bench, SEND);
        let first = bench.pin_of(bench.cgroup_path()).index;
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        card.delete_link("fab0").expect("it is there");
        let refresh = || done(&bench.pin(&["--refresh", "--cgroup", path]));

        // Without a word to the pin, nothing leaves: the index is no interface's.
        let (sent, outside) = bench.outside_while(|| bench.send(SEND));
        assert_eq!((sent.sent, sent.refused["ENODEV"], outside), (0, 1000, 0));
        assert_eq!(
            refresh(),
            format!("{path} is pinned to fab0, which is away: nothing leaves until it is back\n")
        );
        assert_eq!(bench.pin_of(bench.cgroup_path()).index, None);

        card.veth("fab0", peer, "fab0", 0x01).expect("a link");
        for end in [card, peer] {
            end.set_up("fab0").expect("up");
        }
        card.wait_until_operational("fab0").expect("operational");
        card.add_address("fab0", "10.0.0.1/24".parse().expect("an address"))
            .expect("an address");
        let message = refresh();
        let second = bench.pin_of(bench.cgroup_path()).index.expect("it is back");
        assert_ne!(Some(second), first);
        assert_eq!(
            message,
            format!("{path} is pinned to fab0, which is interface {second} now\n")
        );
        assert_eq!(pin(bench), format!("{path} is pinned to fab0, as before\n"));

        let (both, outside) = bench.outside_while(|| {
            sender.go();
            (sender.finish().sent, bench.send(SEND).sent)
        });
        assert_eq!((both, outside), ((1000, 1000), 0));
    });
}

#[test]
fn an_index_that_is_another_interfaces_by_now_is_not_the_pins() {
    scenario("pin reused-index", &[], |bench| {
        pin(bench);
        let card = bench.card();
        let index = card.index("fab0").expect("it is there");
        card.delete_link("fab0").expect("it is there");
        // The outside's cable is plugged in under the index that the pin still points to.
        let command = format!("link add eth2 index {} type veth peer name far2", index.0);
        bench.ask("ip", &command);
        for link in ["eth2", "far2"] {
            card.set_up(link).expect("up");
        }
        card.wait_until_operational("eth2").expect("operational");
        let before = card.sent("eth2").expect("it is there").packets;
        let sent = bench.send(SEND);
        assert_eq!((sent.sent, sent.refused["EPERM"]), (0, 1000));
        assert_eq!(card.sent("eth2").expect("it is there").packets, before);
        let account = bench.pin_of(bench.cgroup_path());
        assert_eq!(
            (account.kept(), account.left()),
            (vec![("eth2", 1000)], vec![])
        );
    });
}

#[test]
fn what_cannot_be_pinned_is_reported_with_the_fix() {
    scenario("pin errors", &[], |bench| {
        let path = cgroup(bench);
        let root = bench
            .cgroup_path()
            .parent()
            .expect("the root")
            .to_str()
            .expect("UTF-8");
        let ask = |arguments: &[&str]| refused(&bench.pin(arguments));
        bench.lacks("fab9", &ask(&["--cgroup", path, "--interface", "fab9"]));
        assert!(
            ask(&["--cgroup", root, "--interface", "fab0"])
                .starts_with("pinif: the root cgroup holds every process of this machine")
        );
        assert!(
            ask(&["--cgroup", "/proc", "--interface", "fab0"])
                .contains("no cgroup of the second version")
        );
        assert!(
            ask(&["--cgroup", "/no/such", "--interface", "fab0"])
                .starts_with("pinif: there is no cgroup /no/such; name")
        );
        let unpinned = format!(
            "pinif: the cgroup {path} is not pinned; `pinif pin --list` shows those that are\n"
        );
        assert_eq!(ask(&["--undo", "--cgroup", path]), unpinned);
        assert_eq!(ask(&["--list", "--cgroup", path]), unpinned);

        pin(bench);
        let message = ask(&["--cgroup", path, "--interface", "eth1"]);
        assert_eq!(
            message,
            format!(
                "pinif: the cgroup {path} is pinned to fab0 already; undo that first: `pinif pin --undo --cgroup {path}`\n"
            )
        );
        let below = bench.cgroup_path().join("below");
        fs::create_dir(&below).expect("a cgroup");
        let below = below.to_str().expect("UTF-8");
        assert!(
            ask(&["--cgroup", below, "--interface", "eth1"]).contains("and those below it with it")
        );
        done(&bench.pin(&["--undo", "--cgroup", path]));
        done(&bench.pin(&["--cgroup", below, "--interface", "eth1"]));
        assert!(
            ask(&["--cgroup", path, "--interface", "fab0"])
                .contains("is pinned to eth1, and both would hold")
        );
        done(&bench.pin(&["--undo", "--cgroup", below]));
        fs::remove_dir(below).expect("it is empty");
    });
}

#[test]
fn sockets_that_stay_bound_are_named_when_a_pin_is_undone() {
    scenario("pin stay-bound", &[], |bench| {
        let there = early(bench, "udp --connect --to 10.0.0.2:9 --count 5");
        pin(bench);
        let undone = done(&bench.pin(&["--undo", "--cgroup", cgroup(bench)]));
        let start = format!(
            "{} is no longer pinned; 1 socket stays bound to fab0 until it is closed: pinif-sender (pid {}) UDP 10.0.0.1:",
            cgroup(bench),
            there.pid()
        );
        assert!(undone.starts_with(&start), "{undone}");
        // It is so.
        bench.card().set_down("fab0").expect("down");
        let (_, outside) = bench.outside_while(|| there.go_and_finish());
        assert_eq!(outside, 0);
    });
}
