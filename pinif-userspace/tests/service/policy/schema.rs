//! The schema that editors check a policy by: it takes each good one, and what it refuses is an error.

use std::{fs, path::Path, sync::LazyLock};

use jsonschema::Validator;
use pinif_userspace::{policy::Policy, schema};
use serde_json::Value;

use super::ZONES;

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema::policy()).expect("it is a schema"));

/// What the schema refuses a policy for. None, where it is no TOML: then there is nothing to ask it of.
fn refusals(text: &str) -> Option<Vec<String>> {
    let policy = json(toml::from_str(text).ok()?);
    let errors = VALIDATOR.iter_errors(&policy);
    Some(
        errors
            .map(|error| error.instance_path().to_string())
            .collect(),
    )
}

/// A policy as an editor asks the schema of it: a date is its text.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| (key, json(value)));
            Value::Object(entries.collect())
        }
        other => serde_json::to_value(other).expect("JSON has it"),
    }
}

/// Holds the schema to take a good policy.
#[track_caller]
pub fn takes(text: &str) {
    assert_eq!(
        refusals(text).as_deref(),
        Some(&[][..]),
        "the schema refuses:\n{text}"
    );
}

#[test]
fn it_takes_each_good_policy_and_refuses_no_other() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/policy");
    let (mut good, mut bad) = (0, 0);
    for entry in fs::read_dir(corpus).expect("the corpus") {
        let text = fs::read(entry.expect("an entry").path()).expect("a policy");
        let Ok(text) = String::from_utf8(text) else {
            continue;
        };
        match Policy::parse(&text, "policy.toml") {
            Ok(_) => {
                good += 1;
                takes(&text);
            }
            Err(_) => bad += 1,
        }
    }
    assert!(good >= 3 && bad >= 9, "{good} good ones, {bad} bad ones");
}

/// Each is refused where it is wrong, and by pinif as well.
#[test]
fn it_refuses_what_an_editor_is_to_mark() {
    let rule = |body: &str| {
        format!("{ZONES}[[rule]]\nname = \"r\"\nonly_via = \"front\"\nport = 1\n{body}\n")
    };
    let cases = [
        (rule("nam = 1"), "/rule/0"),
        (rule("pinned = \"yes\""), "/rule/0/pinned"),
        (rule("action = \"deny\""), "/rule/0/action"),
        (rule("destination = [\"host\"]"), "/rule/0/destination"),
        (rule("source = []"), "/rule/0/source"),
        (rule("source_port = 65536"), "/rule/0/source_port"),
        (rule("source_port = \"ssh\""), "/rule/0/source_port"),
        (rule("protocol = \"tpc\""), "/rule/0/protocol"),
        (rule("protocol = 256"), "/rule/0/protocol"),
        (rule("user = -1"), "/rule/0/user"),
        (rule("executable = \"fabd\""), "/rule/0/executable"),
        (rule("cgroup = \"fabd.service\""), "/rule/0/cgroup"),
        (
            format!("{ZONES}[[rule]]\nname = \"r\"\nport = 1\n"),
            "/rule/0",
        ),
        (
            format!("{ZONES}[[rule]]\nname = \"r\"\nonly_via = \"front\"\n"),
            "/rule/0",
        ),
        (
            format!("{ZONES}[[rule]]\nport = 1\nonly_via = \"front\"\n"),
            "/rule/0",
        ),
        (format!("{ZONES}[rule]\nname = \"r\"\n"), "/rule"),
        (format!("zones = 1\n{ZONES}"), ""),
        (format!("unparsed = \"keep\"\n{ZONES}"), "/unparsed"),
        ("[zone.a]\ncontained = true\n".to_owned(), "/zone/a"),
        (
            "[zone.a]\ninterfaces = [\"a\", 1]\n".to_owned(),
            "/zone/a/interfaces",
        ),
        (
            "[zone]\ninterfaces = [\"a\"]\n".to_owned(),
            "/zone/interfaces",
        ),
    ];
    for (text, place) in cases {
        assert_eq!(refusals(&text), Some(vec![place.to_owned()]), "{text}");
        assert!(
            Policy::parse(&text, "policy.toml").is_err(),
            "pinif takes:\n{text}"
        );
    }
}
