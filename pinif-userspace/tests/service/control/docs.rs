//! `docs/control.md` holds: its commands run, and the published description is that of the types.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use pinif_userspace::control::protocol::path;
use serde_json::Value;

use super::asked::{LEAK, Place};
use crate::bench::scenario;

pub fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of the page's blocks of shell.
pub fn commands(page: &str) -> Vec<String> {
    let mut blocks = page.split("```");
    let mut lines = Vec::new();
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        if let Some(block) = block.strip_prefix("sh\n") {
            lines.extend(block.lines().map(str::to_owned));
        }
    }
    lines
}

#[test]
fn its_commands_run() {
    scenario("control documentation", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        bench.send(&format!("{LEAK} --count 2"));
        auditor.wait_for_finding("device-escape");
        let page = read("control.md");
        let socket = place.path().to_str().expect("a path");
        let shell = |line: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &line.replace("/run/pinif/pinif.sock", socket)]);
            command.stdout(Stdio::piped());
            command.spawn().expect("a shell")
        };
        let (streams, answers): (Vec<_>, Vec<_>) = commands(&page)
            .into_iter()
            .partition(|line| line.contains("/v1/events"));
        assert_eq!(
            (streams.len(), answers.len()),
            (2, 6),
            "all that the page has"
        );
        for line in &answers {
            let output = shell(line).wait_with_output().expect("it ends");
            assert!(output.status.success(), "{line}");
            let value: Value = serde_json::from_slice(&output.stdout).expect(line);
            assert_eq!(value.get("error"), None, "{line}: {value}");
        }
        let streams: Vec<_> = streams.iter().map(|line| shell(line)).collect();
        let follow = |place: &Place| {
            let status = place.ask(async |client| client.status().await);
            status
                .readers
                .iter()
                .filter(|reader| reader.follows)
                .count()
        };
        while follow(&place) < streams.len() {}
        auditor.stop();
        for stream in streams {
            let output = stream.wait_with_output().expect("it ends");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}");
            assert!(text.contains("\"type\":\"status\""), "{text}");
            assert!(text.contains("\"type\":\"summary\""), "{text}");
        }
    });
}

#[test]
fn the_description_names_each_path_and_only_what_is_there() {
    let description: Value =
        serde_json::from_str(&read("schema/pinif-control.openapi.json")).expect("JSON");
    let paths = description["paths"].as_object().expect("paths");
    let named: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
    assert_eq!(named, BTreeSet::from(path::ALL));
    let schemas = description["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let mut references = BTreeSet::new();
    collect(&description, &mut references);
    let known: BTreeSet<String> = schemas
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    assert_eq!(
        references, known,
        "each reference has a schema, and each schema a reference"
    );
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.insert(reference.clone());
            }
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
