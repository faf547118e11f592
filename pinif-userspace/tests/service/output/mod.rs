//! What pinif prints: for programs against the schema, for people, and the examples in the documentation.

pub mod examples;
mod hazards;
mod json;
mod people;
pub mod stage;
pub mod story;

use std::io;

use self::stage::{Clock, Gone, Stream, human, json, no_terminal};
use pinif_ebpf::loss::Loss;
use pinif_userspace::hub::Change;
use pinif_userspace::schema;
use pinif_userspace::surfaces::human::Human;
use pinif_userspace::surfaces::journal::Journal;
use pinif_userspace::surfaces::json::Json;
use pinif_userspace::surfaces::look::Look;
use pinif_userspace::surfaces::notes::Notes;
use pinif_userspace::surfaces::output::{Output, WithoutReader};
use pinif_userspace::surfaces::{Level, Surface};
use pinif_userspace::text::streams::is_closed;

#[test]
fn the_schema_in_the_documentation_is_that_of_the_types() {
    for (name, schema) in schema::ALL {
        let made = serde_json::to_string_pretty(&schema()).expect("JSON");
        let path = format!("docs/schema/{name}.schema.json");
        examples::file(&path, &format!("{made}\n"));
    }
    let made = serde_json::to_string_pretty(&schema::control()).expect("JSON");
    examples::file(
        "docs/schema/pinif-control.openapi.json",
        &format!("{made}\n"),
    );
}

#[test]
fn the_examples_in_the_documentation_are_what_the_sinks_print() -> io::Result<()> {
    let clock = Clock::default();
    let (mut sink, leaking, _) = human(no_terminal, false, &clock);
    stage::leaking(&mut sink)?;
    let (mut sink, contained, _) = human(no_terminal, false, &clock);
    stage::contained(
        &mut sink,
        &story::summary(vec![story::cell(Some("fab0"), "fab0", 1000, 66_000)], 0),
    )?;
    let (mut sink, enforced, _) = human(no_terminal, false, &clock);
    stage::enforced(&mut sink)?;
    let later = Clock::default();
    later.set(300);
    let (mut sink, states, _) = human(no_terminal, false, &later);
    let states = after_the_first(&mut sink, &states)?;
    let (mut sink, lines, _) = json();
    stage::leaking(&mut sink)?;
    let journal = Stream::default();
    stage::leaking(&mut Journal::new(journal.clone(), clock.reader()))?;
    let entries = Stream::default();
    let mut sink = Journal::new(entries.clone(), clock.reader());
    let entries = after_the_first(&mut sink, &entries)?;
    examples::blocks(
        "docs/output.md",
        &[
            ("human", &leaking.text()),
            ("contained", &contained.text()),
            ("enforced", &enforced.text()),
            ("states", &states),
            ("journal-states", &entries),
            ("json", &lines.text()),
            ("journal", &journal.text()),
        ],
    );
    Ok(())
}

/// What a sink prints of a finding's states, after the finding itself.
fn after_the_first(sink: &mut dyn Surface, out: &Stream) -> io::Result<String> {
    sink.finding(&story::device_escape(), Change::Opened)?;
    let first = out.text();
    stage::states(sink)?;
    let all = out.text();
    let rest = all.strip_prefix(&first).expect("it was printed first");
    Ok(rest.trim_start().to_owned())
}

#[test]
fn the_documentation_names_every_loss() {
    for loss in Loss::ALL {
        let incomplete = if loss.loses_counts() { "yes" } else { "no" };
        let rows = examples::read("docs/output.md");
        let row = rows
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", loss.name())));
        assert!(
            row.is_some_and(|row| row.ends_with(&format!("| {incomplete} |"))),
            "{}: {row:?}",
            loss.name()
        );
    }
}

#[test]
fn a_reader_that_goes_is_no_failure() {
    let mut json = Json::new(gone(), Notes::new(Gone));
    let error = json
        .finding(&story::device_escape(), Change::Opened)
        .expect_err("the reader has gone");
    assert!(is_closed(&error));
    assert!(json.note(Level::Info, "no process reads this").is_ok());
    let mut human = Human::new(
        gone(),
        Notes::new(Gone),
        Look::PLAIN,
        no_terminal,
        Clock::default().wall(),
    );
    let error = human
        .finding(&story::device_escape(), Change::Opened)
        .expect_err("the reader has gone");
    assert!(is_closed(&error));
    assert!(human.ready(&story::ready()).is_ok());
}

fn gone() -> Output<Gone> {
    Output::new(Gone, WithoutReader::Ends)
}
