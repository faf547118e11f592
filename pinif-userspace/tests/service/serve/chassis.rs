//! docs/chassis.md to the letter: a supervisor sees over the midplane which of its cards leaks, which has no auditor, and which cannot be
//! reached; and what was found meanwhile arrives once that one can.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread,
};

use pinif_lab::LinkKind;
use pinif_userspace::findings::finding::SentBy;
use serde_json::{Value, json};

use super::{
    collector::{Record, Sent, newest},
    midplane::{Midplane, NET, contrib, port},
    otlp::is_all,
};
use crate::{
    bench::{Need, Pinif, Report, Sent as Packets, leak, scenario},
    control::{
        asked::{LEAK, Place},
        docs::read,
    },
};

const CARDS: u8 = 16;
/// The card that leaks, the one that loses its auditor, and the one that loses its link to the midplane, and leaks then.
const LEAKS: u8 = 3;
const BLIND: u8 = 5;
const CUT_OFF: u8 = 7;

/// Where something leaks.
const LEAKING: &str =
    "pinif_findings%7bseverity=%22leak%22,state=%22open%22,chassis=~%22c1|%22%7d%3e0";

/// An alert's labels.
fn alert(name: &str, slot: u8, more: &[(&str, &str)]) -> Value {
    let mut labels = json!({
        "alertname": name,
        "chassis": "c1",
        "instance": format!("{NET}.{slot}:9759"),
        "job": "pinif",
        "severity": "critical",
        "slot": slot.to_string(),
    });
    for (name, value) in more {
        labels[name] = json!(value);
    }
    labels
}

/// The newest record of a finding of this card.
fn record(sent: &[Sent], slot: u8) -> Option<Record> {
    let mut records = newest(sent).into_values();
    records.find(|record| record.resource["slot"] == slot.to_string())
}

const NEEDS: [Need; 5] = [
    Need::Prometheus,
    Need::VictoriaMetrics,
    Need::Rotel,
    Need::Program("openssl"),
    Need::Link(LinkKind::Bridge),
];

#[test]
fn a_supervisor_sees_which_card_leaks_is_blind_or_is_cut_off() {
    scenario("chassis", &NEEDS, |_| {
        let midplane = Midplane::new(CARDS);
        let _supervisor = midplane.supervise();
        let reports: Vec<(Option<Report>, Option<Packets>)> = thread::scope(|scope| {
            let midplane = &midplane;
            let (steps, cards): (Vec<_>, Vec<_>) = (1..=CARDS)
                .map(|slot| {
                    let (go, step) = channel();
                    (go, scope.spawn(move || card(slot, midplane, &step)))
                })
                .unzip();
            // A failure drops the channels, so that the cards end too.
            let go_on = || steps.iter().for_each(|go| go.send(()).expect("it waits"));
            midplane.wait_for_slots("pinif_ready==1", 1..=CARDS);
            midplane.wait_for_alerts(&[]);

            midplane
                .bridge
                .set_down(&port(CUT_OFF))
                .expect("it is down");
            go_on();
            let kind = [("kind", "device-escape")];
            let leaks = alert("PinifLeak", LEAKS, &kind);
            let blind = alert("PinifCardBlind", BLIND, &[]);
            let silent = alert("PinifCardSilent", CUT_OFF, &[]);
            midplane.wait_for_alerts(&[leaks.clone(), blind.clone(), silent]);
            let sent = &midplane.records;
            let found = sent.wait_for("its record", |sent| record(sent, LEAKS));
            assert_eq!(found.resource["chassis"], "c1");
            assert_eq!(record(&sent.sent(), CUT_OFF), None);

            midplane.bridge.set_up(&port(CUT_OFF)).expect("it is up");
            let meanwhile = alert("PinifLeak", CUT_OFF, &kind);
            midplane.wait_for_alerts(&[leaks, blind, meanwhile]);
            midplane.wait_for_slots(LEAKING, [LEAKS, CUT_OFF]);
            midplane.wait_for_slots("pinif_ready==0", [BLIND]);
            sent.wait_for("its record", |sent| record(sent, CUT_OFF));
            go_on();
            let reports = cards.into_iter().map(|card| card.join().expect("a report"));
            reports.collect()
        });
        let reports: Vec<_> = reports
            .into_iter()
            .filter_map(|(report, sent)| Some((report?, sent)))
            .collect();
        assert_eq!(reports.len(), usize::from(CARDS) - 1);
        let findings = reports.iter().flat_map(|(report, _)| &report.findings);
        is_all(&midplane.records.sent(), findings);
        for (report, sent) in &reports {
            expect_of_a_card(report, sent.as_ref());
        }
    });
}

/// What the page shows of the files is what they have.
#[test]
fn the_page_has_the_settings_of_a_card() {
    let page = read("chassis.md");
    let settings = fs::read_to_string(contrib("chassis/card.toml")).expect("the settings");
    let (comment, settings) = settings.split_once('\n').expect("two lines");
    assert!(comment.starts_with("# "), "{comment}");
    assert!(page.contains(&format!("```toml\n{settings}```")), "{page}");
}

/// It found the packet that leaked, and else nothing; what left to the midplane is as it should be, and so is what the kernel says on
/// `lo` of a supervisor that cannot be reached.
fn expect_of_a_card(report: &Report, sent: Option<&Packets>) {
    let cells = report.summary.matrix.iter();
    let of_midplane = cells.filter(|cell| match &*cell.egress_interface {
        "lo" => cell.origin == SentBy::Kernel,
        egress => egress == "mid0",
    });
    let expectation = of_midplane.fold(report.expect(), |expectation, cell| {
        let (egress, packets) = (&cell.egress_interface, cell.packets);
        match cell.bound_device.as_deref() {
            Some(bound) => expectation.contained(bound, egress, packets),
            None => expectation.contained_unpinned(egress, packets),
        }
    });
    let expectation = match sent {
        Some(sent) => {
            let escape = leak("device-escape").bound("fab0").egress("eth1");
            expectation.finding(escape.packets(1).by(sent))
        }
        None => expectation,
    };
    expectation.nothing_else();
}

/// What becomes of a card. Gives what its auditor said, where it was not killed, and what leaked.
fn card(slot: u8, midplane: &Midplane, step: &Receiver<()>) -> (Option<Report>, Option<Packets>) {
    let mut made = None;
    scenario("chassis card", &[], |bench| {
        let place = Place::new();
        midplane.connect(bench.card(), slot);
        let settings = midplane.at(&format!("card{slot}.toml"));
        fs::write(&settings, card_settings(slot, midplane.folder.path())).expect("it is ours");
        let settings = settings.to_str().expect("a path");
        let mut auditor = place.audit(bench, &["--config", settings]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command
            .args(["serve", "--config", settings, "--history"])
            .arg(midplane.at(&format!("history{slot}.db")))
            .arg("--socket")
            .arg(place.path());
        let served = bench.card().run(|| Pinif::start(command));
        let mut served = served.expect("the namespace");
        served.wait_for_note(" is heard");
        step.recv().expect("the supervisor goes on");
        let sent = (slot == LEAKS || slot == CUT_OFF).then(|| {
            let sent = bench.send(&format!("{LEAK} --count 1"));
            auditor.wait_for_finding("device-escape");
            sent
        });
        let auditor = if slot == BLIND {
            auditor.kill();
            None
        } else {
            Some(auditor)
        };
        step.recv().expect("the supervisor goes on");
        // The supervisor goes on asking.
        let report = auditor.map(|auditor| auditor.stop_unsettled());
        served.kill();
        made = Some((report, sent));
    });
    made.expect("its needs are met")
}

/// `card.toml` for a slot, with the files that are for it in this folder.
fn card_settings(slot: u8, folder: &Path) -> String {
    let mut text = fs::read_to_string(contrib("chassis/card.toml")).expect("the settings");
    let own = folder.join(port(slot)).display().to_string();
    for (from, to) in [
        ("slot=7", format!("slot={slot}")),
        ("10.90.0.7", format!("{NET}.{slot}")),
        ("/etc/pinif/tls", own.clone()),
        ("/run/credentials/pinif-serve.service", own),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        text = text.replace(from, &to);
    }
    text
}
