//! What readers are answered: what the auditor says, how old that is, and that there is none.

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::served::Served;
use crate::{
    bench::{Need, Pinif, leak, prometheus, scenario},
    control::{
        asked::{LEAK, Place, answer},
        docs::{commands, read},
    },
};

fn value(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(&format!("{name} "))?.parse().ok())
}

/// How old an answer is that has something in it.
fn age(answer: &Value) -> f64 {
    answer["age_s"].as_f64().expect("an age")
}

#[test]
fn an_auditor_is_passed_on_as_it_comes_hangs_and_goes() {
    scenario("serve auditor", &[], |bench| {
        let place = Place::new();
        let mut served = Served::start(&place, [""; 0]);
        served
            .pinif
            .wait_for_note("no auditor is heard: no auditor listens at");
        let (status, none) = served.json("/v1/status");
        assert_eq!(status, 503);
        assert!(
            none["error"]
                .as_str()
                .is_some_and(|error| error.starts_with("no auditor answers: "))
        );
        assert_eq!(none["last_heard"], Value::Null);
        let (status, metrics) = served.get("/metrics");
        assert_eq!(status, 200);
        assert_eq!(value(&metrics, "pinif_ready"), Some(0.0));
        assert_eq!(value(&metrics, "pinif_serve_auditor_up"), Some(0.0));
        assert_eq!(
            value(&metrics, "pinif_serve_heard_timestamp_seconds"),
            Some(0.0)
        );
        assert_eq!(value(&metrics, "pinif_serve_age_seconds"), None);

        let mut auditor = place.audit(bench, &[]);
        served.wait_until_heard();
        let sent = bench.send(&format!("{LEAK} --count 7"));
        let finding = auditor.wait_for_finding("device-escape");
        let (status, findings) = served.of_auditor("/v1/findings?severity=leak");
        assert_eq!((status, &findings["total"]), (200, &1.into()));
        assert_eq!(findings["findings"][0]["packets"], 7);
        assert_eq!(age(&findings), 0.0);
        let (status, one) = served.of_auditor(&format!("/v1/findings/{}", finding.id));
        assert_eq!((status, &one["packets"]), (200, &7.into()));
        // The state of a second ago may be given.
        let leaked = served.until("its matrix", |served| {
            let (_, matrix) = served.of_auditor("/v1/matrix");
            assert_eq!(age(&matrix), 0.0);
            let mut cells = matrix["matrix"].as_array()?.iter();
            cells.find(|cell| cell["severity"] == "leak").cloned()
        });
        assert_eq!(leaked["packets"], 7);
        let (status, policy) = served.of_auditor("/v1/policy");
        assert_eq!((status, &policy["zones"][0]["name"]), (200, &Value::Null));
        let (status, foreseen) = served.of_auditor("/v1/foreseen");
        assert_eq!((status, &foreseen["foresees"]), (200, &false.into()));
        let (status, sockets) = served.of_auditor("/v1/sockets?risk=misrouted&limit=1");
        assert_eq!((status, &sockets["total"]), (200, &0.into()));
        let now = served.until("its state", |served| {
            let (status, now) = served.json("/v1/status");
            (status == 200 && now["findings"] != Value::Array(Vec::new())).then_some(now)
        });
        assert!(age(&now) <= 2.0, "{now}");
        assert_eq!(now["worst"][0]["packets"], 7);
        // The series of a second ago may be given.
        let metrics = served.until("its metrics", |served| {
            let (_, metrics) = served.get("/metrics");
            let opened =
                r#"pinif_findings_opened_total{kind="device-escape",severity="leak",rule=""}"#;
            (value(&metrics, opened) == Some(1.0)).then_some(metrics)
        });
        assert_eq!(value(&metrics, "pinif_ready"), Some(1.0));
        for (target, status, error) in [
            ("/v1/findings?kind=x", 400, "there is no kind `x`"),
            (
                "/v1/findings/0123456789ab",
                404,
                "there is no finding `0123456789ab`",
            ),
            ("/v1/history", 404, "no history is kept"),
            ("/v1/sockets?risk=x", 400, "there is no risk `x`"),
            ("/v1/matrix?x", 400, "`?x` has no meaning here"),
        ] {
            let (got, answer) = served.of_auditor(target);
            assert_eq!(got, status, "{target}: {answer}");
            let said = answer["error"].as_str().unwrap_or_default();
            assert!(said.contains(error), "{target}: {answer}");
        }

        // Nothing that is older than two seconds is shown.
        auditor.signal(Signal::SIGSTOP);
        let hung = served.until("that it hangs", |served| {
            let (status, answer) = served.json("/v1/status");
            (status == 503).then_some(answer)
        });
        assert!(hung["last_heard"].is_string(), "{hung}");
        let (status, _) = served.json("/v1/findings");
        assert_eq!(status, 503);
        auditor.signal(Signal::SIGCONT);
        served.until("that it goes on", |served| {
            let (status, _) = served.json("/v1/status");
            (status == 200).then_some(())
        });

        let report = auditor.stop();
        served.pinif.wait_for_note("no auditor is heard");
        let (status, gone) = served.json("/v1/status");
        assert_eq!(status, 503);
        assert!(gone["last_heard"].is_string(), "{gone}");
        let (_, metrics) = served.get("/metrics");
        assert_eq!(value(&metrics, "pinif_ready"), Some(0.0));
        assert!(value(&metrics, "pinif_serve_heard_timestamp_seconds") > Some(0.0));
        served.stop();
        // It has noticed nothing of it.
        report
            .expect()
            .finding(
                leak("device-escape")
                    .bound("fab0")
                    .egress("eth1")
                    .packets(7)
                    .by(&sent),
            )
            .nothing_else();
    });
}

#[test]
fn only_readers_of_this_machine_are_answered_and_nothing_is_changed() {
    let place = Place::new();
    let served = Served::start(&place, [""; 0]);
    let ask = |head: &str| {
        let request = format!("{head}Connection: close\r\n\r\n");
        served.say(&request).0
    };
    for host in [
        "localhost",
        "LOCALHOST:9759",
        "127.0.0.1:1",
        "127.8.8.8",
        "[::1]:9759",
        "pinif",
    ] {
        assert_eq!(
            ask(&format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n")),
            200,
            "{host}"
        );
    }
    for host in [
        "attacker.example",
        "localhost.attacker.example",
        "192.0.2.1",
        "[::2]",
        "",
    ] {
        assert_eq!(
            ask(&format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n")),
            421,
            "{host}"
        );
    }
    assert_eq!(ask("GET /metrics HTTP/1.1\r\n"), 421);
    assert_eq!(
        ask("GET http://attacker.example/metrics HTTP/1.1\r\nHost: localhost\r\n"),
        421
    );
    assert_eq!(
        ask("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"),
        405
    );
    assert_eq!(ask("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n"), 404);
    // The page loads and runs nothing but the files of this server, and is shown in no other's frame.
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/parts.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        let (status, text) = served.say(&request);
        assert_eq!(status, 200, "{path}");
        for header in [
            &*format!("content-type: {content_type}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            let header = format!("\r\n{header}\r\n");
            assert!(text.contains(&header), "{path} has not {header}: {text}");
        }
    }
    assert_eq!(ask("GET /page/ HTTP/1.1\r\nHost: localhost\r\n"), 404);
    // `systemctl reload` of the unit: there is nothing to be read again here.
    served.pinif.signal(Signal::SIGHUP);
    let long = "a".repeat(100_000);
    assert_eq!(
        ask(&format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n"
        )),
        431
    );
    served.stop();
}

#[test]
fn what_it_cannot_begin_with_is_said() {
    let serve = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        let output = command
            .arg("serve")
            .args(arguments)
            .output()
            .expect("pinif runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = serve(&["--history", "/nowhere/history.db"]);
    assert!(
        error.contains("the folder of the history /nowhere/history.db is not there"),
        "{error}"
    );
    let error = serve(&["--history", "/nowhere/history.db", "--history-size", "1M"]);
    assert!(error.contains("a history needs 4 MiB at least"), "{error}");
}

/// What reads metrics takes the auditor's and those behind them as one text.
#[test]
fn prometheus_reads_what_is_passed_on() {
    scenario("serve promtool", &[Need::Prometheus], |bench| {
        let programs = prometheus().expect("it is there");
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let served = Served::with_history(&place, &folder.path().join("history.db"));
        let text = served.until("an auditor's metrics", |served| {
            let (_, text) = served.get("/metrics");
            let is_whole =
                text.contains("\npinif_ready 1") && text.contains("\npinif_serve_age_seconds ");
            is_whole.then_some(text)
        });
        let mut promtool = Command::new(programs.join("promtool"))
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = promtool.stdin.take().expect("a pipe");
        stdin.write_all(text.as_bytes()).expect("it reads");
        drop(stdin);
        let output = promtool.wait_with_output().expect("it ends");
        // 3 is what it has against names alone.
        let code = output.status.code();
        assert!(code == Some(0) || code == Some(3), "{output:?}");
        served.stop();
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn a_socket_in_the_file_system_is_the_groups() {
    let place = Place::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("web.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.arg("serve").arg("--socket").arg(place.path());
    command
        .arg("--listen")
        .arg(format!("unix:{}", path.display()));
    let mut served = Pinif::start(command);
    served.wait_for_note("answering at unix:");
    let mode = fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut stream = UnixStream::connect(&path).expect("it listens");
    let request = b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).expect("it is taken");
    let (status, text) = answer(&mut stream);
    assert_eq!(status, 200);
    assert!(text.contains("\npinif_ready 0"), "{text}");
    served.signal(Signal::SIGTERM);
    assert_eq!(served.end().status.code(), Some(0));
    assert!(!path.exists());
}

/// The commands of docs/history.md, with the port that it has here.
#[test]
fn the_commands_of_its_page_run() {
    scenario("serve documentation", &[Need::Program("curl")], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let mut served = Served::with_history(&place, &folder.path().join("history.db"));
        served.wait_until_heard();
        served.until("its state", |served| {
            (served.get("/v1/status").0 == 200).then_some(())
        });
        let mut commands = commands(&read("history.md"));
        // What asks another host is run with a certificate (`secure.rs`).
        commands.retain(|line| !line.contains("https://"));
        assert_eq!(commands.len(), 4, "all that the page has");
        for line in commands {
            let line = line.replace("curl ", "curl --fail --retry 9 ");
            let line = line.replace("localhost:9759", &format!("localhost:{}", served.port()));
            let output = Command::new("sh").args(["-c", &line]).output();
            let output = output.expect("a shell");
            assert!(output.status.success(), "{line}: {output:?}");
            assert!(!output.stdout.is_empty(), "{line}");
        }
        served.stop();
        auditor.stop().expect().nothing_else();
    });
}
