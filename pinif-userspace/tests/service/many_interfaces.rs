//! Interfaces that the kernel takes a second to attach to, and as long to detach from.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

use nix::sys::signal::Signal;
use pinif_userspace::{
    control::protocol::{Incomplete, Status},
    findings::{
        line::Line,
        ready::{Attach, Ready},
    },
};
use rtnetlink::{LinkMessageBuilder, LinkVeth};

use crate::{
    bench::{Bench, Ended, Pinif, scenario},
    control::asked::Place,
};

/// Pairs of interfaces beside the card's own: four batches in all.
const PAIRS: usize = 100;

/// Starts an auditor of a card that has many interfaces.
fn start(bench: &Bench, place: &Place) -> Pinif {
    let made = bench.card().netlink(async |handle| {
        for number in 0..PAIRS {
            let (one, other) = (format!("one{number}"), format!("other{number}"));
            let pair = LinkMessageBuilder::<LinkVeth>::new(&one, &other).build();
            handle.link().add(pair).execute().await?;
        }
        Ok(())
    });
    made.expect("the card can have more links");
    let setup = bench.auditor().arguments(["--format", "json"]);
    let setup = setup.arguments([Path::new("--socket"), place.path()]);
    Pinif::start(setup.into_command())
}

/// How an auditor says that it stands that was stopped before it was asked.
fn status_of_stopped(pinif: &Pinif, place: &Place) -> Status {
    let mut stream = place.connect();
    let request = b"GET /v1/status HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("it is taken");
    pinif.signal(Signal::SIGCONT);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn line(text: &str) -> Line<'static> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn ready(text: &str) -> Option<Ready> {
    match line(text) {
        Line::Ready(ready) => Some(ready.into_owned()),
        _ => None,
    }
}

/// How many programs a process has attached to interfaces by links (proc_pid_fdinfo(5)).
fn attached_by(pinif: &Pinif) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fdinfo", pinif.pid())).expect("it is there");
    let texts = descriptors.flatten().map(|entry| {
        let text = fs::read_to_string(entry.path());
        text.unwrap_or_default()
    });
    let is_link = |text: &String| text.lines().any(|line| line == "link_type:\ttcx");
    texts.filter(is_link).count()
}

#[test]
fn it_reports_and_answers_while_others_are_attached_and_ends_before_they_are_detached() {
    scenario("service many-interfaces", &[], |bench| {
        let leaking = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --until-line";
        let mut sender = bench.sender(&format!("--wait-stdin {leaking}"));
        sender.wait_for("ready").go();
        let pid = sender.pid();
        let place = Place::new();
        let mut pinif = start(bench, &place);
        let first = pinif.wait_for_line("a leak", |_| true);
        let Line::Finding(finding) = line(&first) else {
            panic!("nothing was found before all was attached: {first}");
        };
        assert_eq!(finding.process.and_then(|process| process.pid), Some(pid));
        pinif.signal(Signal::SIGSTOP);
        let status = status_of_stopped(&pinif, &place);
        assert_eq!(status.incomplete, [Incomplete::Starting]);
        let attached = status.interfaces.len();
        assert!((64..2 * PAIRS + 3).contains(&attached), "{attached}");
        assert_eq!(status.worst.len(), 1, "{:?}", status.worst);
        let text = pinif.wait_for_line("it was ready", |text| ready(text).is_some());
        let ready = ready(&text).expect("it is ready");
        // With lo, fab0 and eth1.
        assert_eq!(ready.interfaces.len(), 2 * PAIRS + 3);
        let status = place.ask(async |client| client.status().await);
        assert_eq!(status.incomplete, []);
        let sent = sender.go_and_finish().sent;

        pinif.signal(Signal::SIGINT);
        let is_summary = |text: &str| matches!(line(text), Line::Summary(_));
        let text = pinif.wait_for_line("the summary", is_summary);
        pinif.signal(Signal::SIGSTOP);
        let attached = attached_by(&pinif);
        pinif.signal(Signal::SIGCONT);
        let Line::Summary(summary) = line(&text) else {
            panic!("it is the summary: {text}");
        };
        let Ended { status, stdout, .. } = pinif.end();
        assert_eq!(status.code(), Some(2));
        assert_eq!(stdout.last(), Some(&text));

        let found = stdout.iter().filter_map(|text| match line(text) {
            Line::Finding(finding) => Some(*finding),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        let last = found.last().expect("a leak");
        assert!(found.iter().all(|finding| finding.id == last.id), "{text}");
        let leaked = summary.matrix.iter().filter(|cell| {
            cell.bound_device.as_deref() == Some("fab0") && cell.egress_interface == "eth1"
        });
        let leaked: u64 = leaked.map(|cell| cell.packets).sum();
        assert_eq!((last.packets, summary.findings), (leaked, 1));
        assert!((1..=sent).contains(&leaked), "{leaked} of {sent}");
        assert!(summary.uncounted.is_empty(), "{text}");
        if ready.attach == Attach::Tcx {
            assert!(
                attached > 64,
                "{attached} programs were attached when the summary came"
            );
        }
    });
}
