//! `pinif audit --foresee`: what would leak is reported beside what leaks.

use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;

use pinif_ebpf::verdict::Severity;
use pinif_userspace::control::{Client, protocol::ForeseenNow};
use serde_json::Value;
use socket2::SockRef;
use tempfile::NamedTempFile;

use crate::bench::{Auditor, Bench, CONTROL_PLANE, scenario, valid};
use crate::foresee::pinif;

/// Control traffic stays on the backplane, whose addresses may be seen outside: else these are reported first.
fn policy() -> String {
    CONTROL_PLANE.replace("contained = true", "")
}

/// A socket of this process on the card, which sends to the backplane.
fn inside(bench: &Bench) -> UdpSocket {
    let socket = bench.card().run(|| {
        let socket = UdpSocket::bind("0.0.0.0:7001").expect("a socket");
        socket.connect("10.0.0.2:9").expect("a route");
        socket
    });
    socket.expect("the card is there")
}

/// The next finding that is foreseen.
fn foreseen(auditor: &mut Auditor<'_>) -> Value {
    let line = auditor.wait_for_line("it foresaw something", |line| {
        line.contains("\"latent\":true")
    });
    valid(&line, pinif_userspace::findings::line::schema)
}

/// What the auditor at a socket says that it foresees.
fn asked(place: &Path) -> ForeseenNow {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut client = Client::find(Some(place)).expect("a path");
        client.foreseen().await.expect("an answer")
    })
}

/// A change that changes no route.
fn change(bench: &Bench, number: u8) {
    let address = format!("10.200.0.{number}/32").parse().expect("an address");
    bench.card().add_address("fab0", address).expect("added");
}

/// What is foreseen of this destination, once it is.
fn foreseen_at(auditor: &mut Auditor<'_>, to: &str) -> Value {
    let to = format!("\"destination\":\"{to}\"");
    let line = auditor.wait_for_line("the request was foreseen", |line| {
        line.contains("\"latent\":true") && line.contains(&to)
    });
    valid(&line, pinif_userspace::findings::line::schema)
}

/// A finding's line has these values.
fn has(finding: &Value, values: &[(&str, &str)]) {
    for (key, value) in values {
        assert_eq!(finding[key], *value, "{finding}");
    }
}

#[test]
fn what_would_leak_is_reported_once_while_it_holds() {
    scenario("foresee audit", &[], |bench| {
        let socket = inside(bench);
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("pinif.sock");
        let path = place.to_str().expect("a path that is text");
        let arguments = ["--foresee", "--fail-on", "risk", "--socket", path];
        let mut auditor = bench.audit_with(&policy(), &arguments);
        let first = foreseen(&mut auditor);
        let now = asked(&place);
        assert!(now.foresees);
        assert_eq!((now.total, now.findings.len()), (1, 1));
        assert_eq!(now.findings[0].r#if.as_deref(), Some("fab0 down"));
        assert_eq!(first["id"], now.findings[0].id);
        for (key, value) in [
            ("type", "finding"),
            ("kind", "policy-escape"),
            ("severity", "risk"),
            ("if", "fab0 down"),
            ("rule", "control-plane"),
            ("netns", bench.card().name()),
            ("egress_interface", "eth1"),
            ("source", "10.0.0.1:7001"),
            ("destination", "10.0.0.2:9"),
        ] {
            assert_eq!(first[key], value, "{first}");
        }
        // A pinned socket stays: what was foreseen holds no more, as is seen with the next change.
        SockRef::from(&socket)
            .bind_device(Some(b"fab0"))
            .expect("a device");
        change(bench, 1);
        let id = first["id"].as_str().expect("an id").to_owned();
        auditor.wait_for_note(&format!(
            "{id} would not be a policy-escape any more with fab0 down"
        ));
        SockRef::from(&socket).bind_device(None).expect("unbound");
        change(bench, 2);
        let again = foreseen(&mut auditor);
        assert_ne!(again["id"], first["id"]);
        assert_eq!(again["socket_cookie"], first["socket_cookie"]);

        // While it holds, it is not reported again; what is new is.
        let detour = "10.0.0.2/32".parse().expect("a prefix");
        let gateway = "192.0.2.2".parse().expect("an address");
        let route = pinif_lab::Route::new(detour, "eth1").via(gateway);
        let other = bench.card().run(|| {
            let socket = UdpSocket::bind("0.0.0.0:7002").expect("a socket");
            socket.connect("10.0.0.3:9").expect("a route");
            socket
        });
        change(bench, 3);
        let new = foreseen(&mut auditor);
        assert_eq!(new["source"], "10.0.0.1:7002");
        drop(other);

        // What has happened is a leak, and not foreseen any more.
        bench.card().add_route(route).expect("a route");
        socket.send(b"x").expect("it is sent");
        let finding = auditor.wait_for_finding("policy-escape");
        assert_eq!(finding.severity, Severity::Leak);
        let report = auditor.stop_unsettled();
        assert_eq!(report.status.code(), Some(2), "{report}");
        assert_eq!(report.findings.len(), 4, "{report}");
        for finding in &report.findings {
            let lines = report
                .lines
                .iter()
                .filter(|line| line.contains(&finding.id));
            assert_eq!(lines.count(), 1, "{report}");
        }
    });
}

#[test]
fn what_is_foreseen_counts_as_a_risk() {
    scenario("foresee audit status", &[], |bench| {
        let _socket = inside(bench);
        for (fail_on, status) in [("leak", 0), ("risk", 2)] {
            let arguments = ["--foresee", "--fail-on", fail_on];
            let mut auditor = bench.audit_with(&policy(), &arguments);
            foreseen(&mut auditor);
            let report = auditor.stop();
            assert_eq!(report.status.code(), Some(status), "{report}");
        }
    });
}

#[test]
fn people_see_what_would_leak() {
    scenario("foresee audit people", &[], |bench| {
        let _socket = inside(bench);
        let mut pinif = bench.auditor().arguments(["--foresee"]).start_for_people();
        let line = pinif.wait_for_line("it foresaw something", |line| line.contains("Z  risk"));
        let own = std::process::id();
        assert!(
            line.contains("Z  risk  address-escape  ")
                && line.ends_with(&format!(
                    "(pid {own}), unpinned: UDP to 10.0.0.2:9 would leave via eth1 with fab0 down"
                )),
            "{line}"
        );
        pinif.signal(nix::sys::signal::Signal::SIGTERM);
        let ended = pinif.end();
        let said = |text: &str| ended.stdout.iter().any(|line| line.contains(text));
        assert!(said("1 latent leak was foreseen."), "{ended:#?}");
    });
}

/// A program that makes a socket for each request has none when the network is looked at.
#[test]
fn sockets_that_are_gone_are_foreseen_as_they_were_seen() {
    scenario("foresee audit gone", &[], |bench| {
        let pinned = policy().replace(
            "only_via = [\"backplane\"]",
            "only_via = [\"backplane\"]\npinned = true",
        );
        assert!(pinned.contains("pinned = true"), "{pinned}");
        // The first look is over then: it could find the request's socket closed, and not yet what the finding knows of it.
        let _open = inside(bench);
        let mut auditor = bench.audit_with(&pinned, &["--foresee"]);
        foreseen(&mut auditor);
        let request = bench.send("udp --to 10.0.0.2:9 --count 1");
        auditor.wait_for_finding("unpinned");
        change(bench, 1);
        let finding = foreseen_at(&mut auditor, "10.0.0.2:9");
        has(
            &finding,
            &[
                ("kind", "policy-escape"),
                ("if", "fab0 down"),
                ("rule", "control-plane"),
                ("egress_interface", "eth1"),
            ],
        );
        assert_eq!(finding["process"]["pid"], request.pid, "{finding}");
        // As it would, once it is so.
        bench.card().set_down("fab0").expect("down");
        bench.send("udp --to 10.0.0.2:9 --count 1");
        let leak = auditor.wait_for_finding("policy-escape");
        assert_eq!(leak.egress_interface, "eth1");
        auditor.stop_unsettled();
    });
}

/// The socket of a request is gone when somebody asks; the auditor has seen it.
#[test]
fn what_an_audit_beside_it_has_seen_is_foreseen() {
    scenario("foresee beside-audit", &[], |bench| {
        let pinned = policy().replace(
            "only_via = [\"backplane\"]",
            "only_via = [\"backplane\"]\npinned = true",
        );
        let mut file = NamedTempFile::with_suffix(".toml").expect("a file");
        file.write_all(pinned.as_bytes()).expect("it is written");
        let path = file.path().to_str().expect("a path");
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("pinif.sock");
        let socket = socket.to_str().expect("a path");
        let foresee = |asks: &[&str]| {
            let all = [
                &["--policy", path, "--down", "fab0", "--format", "json"],
                asks,
            ];
            let output = pinif(bench, &all.concat());
            let lines = String::from_utf8(output.stdout).expect("text");
            let lines = lines.lines();
            let lines = lines.map(|line| valid(line, pinif_userspace::schema::foresee));
            (output.status.code(), lines.collect::<Vec<_>>())
        };
        let request = bench.send("udp --to 10.0.0.2:9 --count 1");
        let (status, lines) = foresee(&[]);
        assert_eq!((status, lines.len()), (Some(0), 1), "{lines:?}");

        let mut auditor = bench.audit_with(&pinned, &["--socket", socket]);
        let seen = bench.send("udp --to 10.0.0.2:9 --count 1");
        auditor.wait_for_finding("unpinned");
        let (status, lines) = foresee(&["--socket", socket]);
        let [finding, _] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(status, Some(2), "{finding}");
        has(
            finding,
            &[
                ("kind", "policy-escape"),
                ("if", "fab0 down"),
                ("rule", "control-plane"),
                ("egress_interface", "eth1"),
                ("destination", "10.0.0.2:9"),
            ],
        );
        assert_eq!(finding["process"]["pid"], seen.pid, "{finding}");
        assert_ne!(finding["process"]["pid"], request.pid, "{finding}");
        auditor.stop_unsettled();

        // What was contained, and that no finding says anything of, is known by the address that it sent from.
        let auditor = bench.audit_with(&policy(), &["--socket", socket]);
        let outside = bench.send("udp --to 203.0.113.9:9 --count 1");
        let contained = bench.send("udp --to 10.0.0.2:9 --count 1");
        let (status, lines) = foresee(&["--socket", socket]);
        let [finding, summary] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(status, Some(2), "{finding}");
        has(
            finding,
            &[
                ("kind", "policy-escape"),
                ("rule", "control-plane"),
                ("egress_interface", "eth1"),
                ("destination", "10.0.0.0/8"),
                ("protocol", "udp"),
            ],
        );
        assert_eq!(finding["process"]["pid"], contained.pid, "{finding}");
        let why = finding["explanation"].as_str().expect("a text");
        assert!(
            why.contains("socket is closed; one like it would send UDP to 10.0.0.0/8 via fab0. With fab0 down, it would leave via eth1"),
            "{why}"
        );
        assert_ne!(finding["process"]["pid"], outside.pid, "{finding}");
        assert_eq!(summary["asked"], serde_json::json!([socket]), "{summary}");
        auditor.stop_unsettled();
        // One that is named has to answer.
        let (status, lines) = foresee(&["--socket", socket]);
        assert_eq!((status, lines.len()), (Some(1), 0), "{lines:?}");
    });
}

/// What a contained socket sent that is gone, no finding says. The address that it sent from does, as far as networks.
#[test]
fn sockets_that_were_contained_and_are_gone_are_foreseen_by_the_address_that_they_sent_from() {
    scenario("foresee audit contained-gone", &[], |bench| {
        let mut auditor = bench.audit_with(&policy(), &["--foresee"]);
        let outside = bench.send("udp --to 203.0.113.9:9 --count 1");
        let inside = bench.send("udp --to 10.0.0.2:9 --count 1");
        change(bench, 1);
        // The first look at the network, which the start asks for, may find the sockets themselves, before their end.
        let finding = foreseen_at(&mut auditor, "10.0.0.0/8");
        has(
            &finding,
            &[
                ("kind", "policy-escape"),
                ("if", "fab0 down"),
                ("rule", "control-plane"),
                ("egress_interface", "eth1"),
                ("protocol", "udp"),
            ],
        );
        assert_eq!(finding["process"]["pid"], inside.pid, "{finding}");
        let report = auditor.stop_unsettled();
        let of_outside = format!("\"pid\":{},", outside.pid);
        assert!(
            !report.lines.iter().any(|line| line.contains(&of_outside)),
            "{report}"
        );
    });
}
