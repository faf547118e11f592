//! `pinif audit --learn`, `pinif learn` and `pinif policy test`: what was sent becomes a policy, and another policy is tried on it.

use std::{
    io::Write as _,
    process::{Command, Output},
};

use nix::sys::signal::Signal;
use pinif_lab::BpfFs;
use pinif_userspace::{
    learned::{LearnedPage, Sender},
    schema,
};
use tempfile::NamedTempFile;

use crate::bench::{Bench, CONTROL_PLANE, Pinif, SENDER, leak, risk, scenario, valid};
use crate::control::asked::Place;

/// What is sent: by two sockets and one more to the backplane, which are bound to it, and by one to the outside that is bound to nothing.
fn traffic(bench: &Bench) {
    bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 3");
    bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 2");
    bench.send("udp --bind-device fab0 --to [fd00::2]:9 --count 2");
    bench.send("udp --to 203.0.113.9:9 --count 4");
}

/// `pinif` with these arguments.
fn pinif(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.args(arguments).output().expect("pinif runs")
}

/// What it prints, where it ends with this status.
fn printed(status: i32, arguments: &[&str]) -> String {
    let output = pinif(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{arguments:?}: {text}{errors}"
    );
    text
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("a path that is text")
}

/// The draft, without comments.
fn rules(draft: &str) -> String {
    let lines = draft.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_was_sent_becomes_a_policy_that_finds_what_differs() {
    scenario("learn", &[], |bench| {
        let place = Place::new();
        let socket = place.path().to_str().expect("a path that is text");
        let auditor = place.audit(bench, &["--learn"]);
        // It is there while it is asked: what ran is read of a process.
        let mut held =
            bench.sender("udp --bind-device fab0 --to 10.0.0.2:9 --count 2 --pause-after 1");
        held.wait_for("paused");
        traffic(bench);
        let mut learned = place.ask(async |client| client.learned().await);
        // They may have been sent within one unit of time.
        learned
            .traffic
            .sort_by_key(|one| (one.bound_device.is_none(), one.destination));
        let seen: Vec<_> = learned
            .traffic
            .iter()
            .map(|one| {
                let to = (one.destination.to_string(), one.network.to_string());
                let via = (one.bound_device.as_deref(), &*one.egress_interface);
                (to, one.port, via, one.sockets, one.exe.as_deref())
            })
            .collect();
        let to = |destination: &str, network: &str| (destination.to_owned(), network.to_owned());
        let sender = Some(*SENDER);
        assert_eq!(
            seen,
            [
                (
                    to("10.0.0.2", "10.0.0.0/24"),
                    Some(9),
                    (Some("fab0"), "fab0"),
                    Some(3),
                    sender
                ),
                (
                    to("fd00::2", "fd00::/64"),
                    Some(9),
                    (Some("fab0"), "fab0"),
                    Some(1),
                    sender
                ),
                (
                    to("203.0.113.9", "0.0.0.0/0"),
                    Some(9),
                    (None, "eth1"),
                    Some(1),
                    sender
                ),
            ],
            "{learned:#?}"
        );
        assert_eq!((learned.total, learned.not_learned), (3, 0));
        for one in &learned.traffic {
            assert_eq!(
                (one.origin, one.uid, &*one.netns),
                (Sender::Process, Some(0), bench.card().name())
            );
            assert!(one.cgroup.is_some() && !one.serves, "{one:?}");
        }

        let draft = printed(0, &["learn", "--socket", socket]);
        assert_eq!(
            rules(&draft),
            "[zone.eth1]\n\
             interfaces = [\"eth1\"]\n\
             [zone.fab0]\n\
             interfaces = [\"fab0\"]\n\
             [[rule]]\n\
             name = \"pinned-via-fab0\"\n\
             destination = [\"10.0.0.0/24\", \"fd00::/64\"]\n\
             only_via = [\"fab0\"]\n\
             pinned = true\n\
             [[rule]]\n\
             name = \"via-eth1\"\n\
             destination = [\"0.0.0.0/0\"]\n\
             only_via = [\"eth1\"]"
        );
        assert!(
            draft.contains(&format!(
                "#   {} (uid 0): 4 sockets via fab0, all bound to a device\n",
                *SENDER
            )),
            "{draft}"
        );
        let policy = file(&draft);
        printed(
            0,
            &[
                "policy",
                "check",
                path(&policy),
                "--netns",
                bench.card().name(),
            ],
        );
        let tried = printed(0, &["policy", "test", path(&policy), "--socket", socket]);
        assert!(
            tried.ends_with("nothing in 5 sockets would be a finding\n"),
            "{tried}"
        );

        // Written, it is the same, and the file of another is not overwritten.
        let folder = tempfile::tempdir().expect("a folder");
        let json = folder.path().join("seen.json");
        let json = json.to_str().expect("a path that is text");
        let write = [
            "learn", "--socket", socket, "--format", "json", "--output", json,
        ];
        printed(0, &write);
        printed(1, &write);
        let again = printed(0, &["learn", "--from", json]);
        assert_eq!(rules(&again), rules(&draft));
        let other = CONTROL_PLANE.replace("fab*", "elsewhere*");
        let other = file(&other);
        let tried = printed(2, &["policy", "test", path(&other), "--from", json]);
        let card = bench.card().name();
        let sender = *SENDER;
        assert_eq!(
            tried,
            format!(
                "leak policy-escape (rule control-plane): {sender} (uid 0) in {card}, bound to fab0, sent via fab0 to 10.0.0.2 port 9 and fd00::2 port 9: 4 sockets\n\
                 {}: 1 finding in 5 sockets\n",
                path(&other)
            )
        );
        // Once more as JSON; what is nothing to fail on is none here, too.
        let json_of = |more: &[&str], status| {
            let own = [
                "policy",
                "test",
                path(&other),
                "--from",
                json,
                "--format",
                "json",
            ];
            printed(status, &[&own[..], more].concat())
        };
        let tried = valid(json_of(&[], 2).trim_end(), schema::policy_test);
        assert_eq!(json_of(&["--fail-on", "never"], 0), json_of(&[], 2));
        assert_eq!(tried["policy"], path(&other));
        assert_eq!(
            (&tried["sockets"], &tried["complete"]),
            (&5.into(), &true.into())
        );
        let findings = tried["findings"].as_array().expect("a list");
        assert_eq!(findings.len(), 1);
        let found =
            ["severity", "kind", "rule", "exe", "bound_device"].map(|name| &findings[0][name]);
        assert_eq!(
            found,
            ["leak", "policy-escape", "control-plane", sender, "fab0"]
        );
        assert_eq!(findings[0]["sockets"], 4);
        let to = findings[0]["destinations"].as_array().expect("a list");
        assert_eq!(
            (to.len(), &to[0]["address"], &to[0]["port"]),
            (2, &"10.0.0.2".into(), &9.into())
        );

        // `pinif serve` passes it on, to the same commands.
        let web = folder.path().join("web.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.arg("serve").arg("--socket").arg(place.path());
        command
            .arg("--listen")
            .arg(format!("unix:{}", web.display()));
        let mut served = Pinif::start(command);
        served.wait_for_note("answering at unix:");
        let web = web.to_str().expect("a path that is text");
        let passed_on = printed(0, &["learn", "--socket", web]);
        assert_eq!(rules(&passed_on), rules(&draft));
        printed(0, &["policy", "test", path(&policy), "--socket", web]);
        served.signal(Signal::SIGTERM);
        assert_eq!(served.end().status.code(), Some(0));
        held.go_and_finish();
        let report = auditor.stop();
        report
            .expect()
            .contained("fab0", "fab0", 9)
            .contained_unpinned("eth1", 4)
            .nothing_else();

        // In force, it finds nothing of the same, and each thing that differs.
        let auditor = bench.auditor().policy(&draft).start();
        traffic(bench);
        let unpinned = bench.send("udp --to 10.0.0.2:9 --count 2");
        let escaped = bench.send("udp --pktinfo eth1 --to 10.0.0.2:9 --count 5");
        let report = auditor.stop();
        report
            .expect()
            .contained("fab0", "fab0", 7)
            .contained_unpinned("eth1", 4)
            .finding(
                risk("unpinned")
                    .egress("fab0")
                    .rule("pinned-via-fab0")
                    .packets(2)
                    .by(&unpinned),
            )
            .finding(
                leak("policy-escape")
                    .egress("eth1")
                    .rule("pinned-via-fab0")
                    .packets(5)
                    .by(&escaped),
            )
            .nothing_else();
    });
}

#[test]
fn an_auditor_that_does_not_learn_says_how_to() {
    scenario("learn not", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let (status, answer) = place.get("/v1/learned");
        assert_eq!(status, 404);
        assert_eq!(answer["fix"], "start it with `pinif audit --learn`");
        auditor.stop().expect().nothing_else();
    });
}

/// Each destination of a socket, whatever its verdict is cached for, and each socket of a destination, once.
#[test]
fn each_socket_is_counted_once_for_each_destination() {
    scenario("learn sockets", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &["--learn"]);
        let sockets: Vec<_> = (0..5)
            .map(|_| {
                let socket = bench.card().run(|| std::net::UdpSocket::bind("0.0.0.0:0"));
                socket.expect("the card").expect("a socket")
            })
            .collect();
        for _ in 0..3 {
            for host in 2..8u8 {
                for socket in &sockets {
                    let to = std::net::SocketAddr::from(([203, 0, 113, host], 9));
                    socket.send_to(b"x", to).expect("it is sent");
                }
            }
        }
        let learned = place.ask(async |client| client.learned().await);
        assert_eq!(learned.traffic.len(), 6, "{learned:#?}");
        for one in &learned.traffic {
            assert_eq!(one.sockets, Some(5), "{one:?}");
        }
        let (_, page) = place.get("/v1/learned?from=4&limit=1");
        let page: LearnedPage = serde_json::from_value(page).expect("a page");
        assert_eq!((page.total, page.next, page.traffic.len()), (6, Some(5), 1));
        assert_eq!(page.traffic[0], learned.traffic[4]);
        assert!(page.namespaces.is_empty());
        let report = auditor.stop();
        report
            .expect()
            .contained_unpinned("eth1", 90)
            .nothing_else();
    });
}

/// What was learned is not lost where the collector ends: the table is the programs', and the names are kept beside it.
#[test]
fn what_was_learned_outlives_the_collector() {
    scenario("learn persist", &[], |bench| {
        let pins = BpfFs::new("learn").expect("cannot mount a BPF file system");
        let directory = pins.path().join("auditor");
        let persist = format!("--persist={}", directory.display());
        let place = Place::new();
        let learned = || place.ask(async |client| client.learned().await);

        let first = place.audit(bench, &["--learn", &persist]);
        let mut held =
            bench.sender("udp --bind-device fab0 --to 10.0.0.2:9 --count 2 --pause-after 1");
        held.wait_for("paused");
        let before = learned();
        assert_eq!(before.traffic.len(), 1, "{before:#?}");
        held.go_and_finish();
        first.kill();
        // No collector looks at this one. Its program is known.
        bench.send("udp --to 203.0.113.9:9 --count 4");

        let second = place.audit(bench, &["--learn", &persist]);
        let after = learned();
        assert_eq!((&after.since, after.not_learned), (&before.since, 0));
        let [one, other] = &after.traffic[..] else {
            panic!("{after:#?}");
        };
        // It ended before this collector began.
        assert_eq!(one.exe.as_deref(), Some(*SENDER));
        assert_eq!((one, one.sockets), (&before.traffic[0], Some(1)));
        assert_eq!((&other.exe, other.sockets), (&one.exe, Some(1)));
        assert_eq!(other.egress_interface, "eth1");
        second.kill();

        // One that does not learn ends it.
        place.audit(bench, &[&persist]).kill();
        let again = place.audit(bench, &["--learn", &persist]);
        let anew = learned();
        assert!(
            anew.traffic.is_empty() && anew.since > before.since,
            "{anew:#?}"
        );
        again.kill();
        printed(0, &["detach", &persist]);
        assert!(!directory.exists());
    });
}
