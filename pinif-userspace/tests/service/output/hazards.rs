//! One name with every hazard in it, through every sink: none comes out as it is, and JSON says exactly what was said.

use std::io;
use std::sync::Arc;

use pinif_ebpf::verdict::Kind;
use pinif_userspace::findings::explain::{Cause, CauseKind};
use pinif_userspace::findings::finding::{Finding, Place, Rule};
use pinif_userspace::findings::latent::Latent;
use pinif_userspace::findings::process::Process;
use pinif_userspace::findings::subject::Subject;
use pinif_userspace::findings::summary::Cell;
use pinif_userspace::host::namespaces::Enter;
use pinif_userspace::hub::Change;
use pinif_userspace::surfaces::journal::Journal;
use pinif_userspace::surfaces::{Level, Surface};
use pinif_userspace::text::escape::is_hazardous;
use serde_json::Value;

use super::stage::{self, Clock, Stream, human, json};
use super::story;

/// Every character that is a hazard, each behind a letter, so that a lost one is seen.
fn hostile() -> String {
    let hazards = (char::MIN..=char::MAX).filter(|character| is_hazardous(*character));
    hazards.flat_map(|hazard| ['x', hazard]).collect()
}

/// A finding whose every text is hostile.
pub fn finding(text: &str) -> Finding {
    let name = || Some(text.into());
    let finding = story::at(&story::device_escape(), |place| {
        *place = Place {
            boot: place.boot.take(),
            netns: text.into(),
            enter: Enter::Named(text.into()),
            interface: name(),
            bound_device: name(),
            source_owner: name(),
            contained_zone: name(),
            contained_interface: name(),
            rule: Some(Rule {
                name: name(),
                only_via: vec![text.into()],
                interfaces: vec![text.into()],
                alerts: false,
            }),
        };
    });
    Finding {
        kind: Kind::PolicyEscape,
        process: Some(Arc::new(Process {
            pid: Some(1),
            started: None,
            comm: text.to_owned(),
            exe: Some(text.to_owned()),
            uid: 0,
            cgroup: Some(text.to_owned()),
        })),
        subject: Some(Arc::new(Subject::Program {
            exe: name(),
            uid: None,
            cgroup: name(),
        })),
        causes: Arc::new([Cause::certain(CauseKind::LinkGone(text.to_owned()))]),
        ..finding
    }
}

/// The same finding, of which another cause is known.
pub fn with_another_cause(finding: &Finding, text: &str) -> Finding {
    Finding {
        causes: Arc::new([Cause::certain(CauseKind::Bound(text.to_owned()))]),
        ..finding.clone()
    }
}

/// All events that a surface can get, with hostile texts in all places.
fn feed(sink: &mut dyn Surface, text: &str) -> io::Result<()> {
    let finding = finding(text);
    let mut ready = story::ready();
    ready.netns = vec![text.to_owned()];
    ready.interfaces = vec![text.to_owned()];
    ready.kernel = text.to_owned();
    sink.note(Level::Warning, text)?;
    sink.ready(&ready)?;
    sink.finding(&finding, Change::Opened)?;
    sink.finding(&stage::grown(&finding, 1000, 1000), Change::Grew)?;
    sink.finding(&with_another_cause(&finding, text), Change::Grew)?;
    sink.foreseen(&Latent {
        finding: finding.clone(),
        condition: text.to_owned(),
        is_closed: false,
        now: vec![text.into()],
        source: None,
        network: None,
    })?;
    let cell = Cell {
        netns: text.to_owned(),
        bound_device: Some(text.to_owned()),
        ..story::cell(None, text, 1, 1)
    };
    let mut summary = story::summary(vec![cell], 1);
    summary.uncounted.insert(text.to_owned(), 1);
    sink.summary(&summary)
}

#[test]
fn no_hazard_passes_to_a_person() -> io::Result<()> {
    let hostile = hostile();
    let (mut person, out, notes) = human(|| Some(40), false, &Clock::default());
    feed(&mut person, &hostile)?;
    let lines = Stream::default();
    feed(
        &mut Journal::new(lines.clone(), Clock::default().reader()),
        &hostile,
    )?;
    for stream in [out, notes, lines] {
        let text = stream.text();
        assert!(
            text.contains("\\u{202e}") && text.contains("\\x1b"),
            "{text}"
        );
        let passed = text
            .chars()
            .find(|&passed| passed != '\n' && is_hazardous(passed));
        assert_eq!(passed, None);
    }
    Ok(())
}

#[test]
fn no_hazard_passes_in_json_and_every_text_is_exact() -> io::Result<()> {
    let hostile = hostile();
    let (mut sink, out, notes) = json();
    feed(&mut sink, &hostile)?;
    for text in [out.text(), notes.text()] {
        let passed = text
            .chars()
            .find(|&passed| passed != '\n' && is_hazardous(passed));
        assert_eq!(passed, None);
    }
    let lines: Vec<Value> = out
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [ready, finding, _, _, latent, summary] = &lines[..] else {
        panic!("{} lines", lines.len());
    };
    for exact in [
        &ready["netns"][0],
        &ready["kernel"],
        &finding["rule"],
        &finding["netns"],
        &finding["bound_device"],
        &finding["egress_interface"],
        &finding["process"]["comm"],
        &finding["process"]["exe"],
        &finding["process"]["cgroup"],
        &finding["subject"]["exe"],
        &latent["if"],
        &summary["matrix"][0]["bound_device"],
    ] {
        assert_eq!(exact, &hostile);
    }
    for words in [
        &finding["cause"],
        &finding["explanation"],
        &finding["remedy"],
        &latent["explanation"],
        &latent["remedy"],
    ] {
        let words = words.as_str().expect("a text");
        assert!(words.contains(&*hostile), "{words}");
    }
    assert_eq!(summary["uncounted"][&*hostile], 1);
    Ok(())
}
