//! What programs read.
use std::io;

use pinif_userspace::findings::finding::Finding;
use pinif_userspace::findings::line;
use pinif_userspace::findings::process::Process;
use pinif_userspace::hub::Change;
use pinif_userspace::surfaces::{Level, Surface};

use super::stage::{self, json};
use super::story;

fn validator() -> jsonschema::Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(&line::schema())
        .expect("the schema is one")
}

#[test]
fn every_json_line_is_valid_and_one_write() -> io::Result<()> {
    let (mut sink, out, notes) = json();
    stage::leaking(&mut sink)?;
    sink.finding(
        &Finding {
            process: None,
            socket: None,
            ..story::at(&story::device_escape(), |place| place.bound_device = None)
        },
        Change::Opened,
    )?;
    sink.note(Level::Warning, "policy\nbad")?;
    let validator = validator();
    let writes = out.writes();
    for write in &writes {
        assert!(
            write.ends_with('\n') && write.matches('\n').count() == 1,
            "{write}"
        );
        let line: serde_json::Value = serde_json::from_str(write).expect("JSON");
        if let Err(error) = validator.validate(&line) {
            panic!("{error} in {line}");
        }
    }
    let types: Vec<&str> = writes.iter().filter_map(|line| line.get(9..15)).collect();
    assert_eq!(
        types,
        [
            "ready\"", "findin", "findin", "findin", "findin", "findin", "summar", "findin"
        ]
    );
    assert_eq!(notes.text(), "warning: policy\\nbad\n");
    Ok(())
}

#[test]
fn a_broken_line_is_not_valid() -> io::Result<()> {
    let (mut sink, out, _) = json();
    sink.finding(&story::device_escape(), Change::Opened)?;
    let good: serde_json::Value = serde_json::from_str(&out.text()).expect("JSON");
    let validator = validator();
    assert!(validator.is_valid(&good));
    let broken = |change: fn(&mut serde_json::Map<String, serde_json::Value>)| {
        let mut line = good.clone();
        change(line.as_object_mut().expect("an object"));
        line
    };
    for line in [
        broken(|line| drop(line.remove("packets"))),
        broken(|line| drop(line.remove("process"))),
        broken(|line| drop(line.insert("packets".to_owned(), "many".into()))),
        broken(|line| drop(line.insert("kind".to_owned(), "contained".into()))),
        broken(|line| drop(line.insert("severity".to_owned(), "grave".into()))),
        broken(|line| drop(line.insert("id".to_owned(), "7D1A5C0FFEE1".into()))),
        broken(|line| drop(line.insert("time".to_owned(), "noon".into()))),
        broken(|line| drop(line.insert("type".to_owned(), "summary".into()))),
        serde_json::json!({}),
    ] {
        assert!(!validator.is_valid(&line), "{line}");
    }
    let more = broken(|line| drop(line.insert("new".to_owned(), 1.into())));
    assert!(validator.is_valid(&more), "fields may be added");
    Ok(())
}

#[test]
fn the_fields_stand_in_the_order_of_the_contract() -> io::Result<()> {
    let (mut sink, out, _) = json();
    sink.finding(&story::device_escape(), Change::Opened)?;
    let text = out.text();
    let fields = [
        "type",
        "id",
        "time",
        "kind",
        "severity",
        "rule",
        "netns",
        "bound_device",
        "bound_address",
        "egress_interface",
        "protocol",
        "source",
        "destination",
        "packets",
        "bytes",
        "socket_cookie",
        "process",
        "pid",
        "comm",
        "exe",
        "uid",
        "cgroup",
        "cause",
        "explanation",
        "remedy",
        "origin",
    ];
    let places: Vec<Option<usize>> = fields
        .iter()
        .map(|field| text.find(&format!("\"{field}\":")))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{text}"
    );
    Ok(())
}

#[test]
fn json_keeps_every_text_and_shows_a_terminal_none_of_its_tricks() -> io::Result<()> {
    let comm = "a\u{1b}[31m\u{9b}2J\u{202e}\u{e0041}\"\\\n";
    let process = Process {
        pid: Some(1),
        started: None,
        comm: comm.to_owned(),
        exe: None,
        uid: 0,
        cgroup: None,
    };
    let (mut sink, out, _) = json();
    sink.finding(
        &Finding {
            process: Some(process.into()),
            ..story::device_escape()
        },
        Change::Opened,
    )?;
    let text = out.text();
    let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(line["process"]["comm"], comm);
    assert!(
        text.contains(r#""a\u001b[31m\u009b2J\u202e\udb40\udc41\"\\\n""#),
        "{text}"
    );
    Ok(())
}
