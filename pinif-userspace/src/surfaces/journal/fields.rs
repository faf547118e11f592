//! The fields of a finding's entry (systemd.journal-fields(7)). Their names are a contract (`docs/journal.md`).

use std::collections::BTreeMap;

use super::{message_id::message_id, native::Entry, transition::Transition};
use crate::{findings::line::FindingLine, text::escape::visible};

/// What entries are called by in journalctl(1).
const IDENTIFIER: &str = "pinif";

/// An entry of no finding.
pub fn note(priority: u8, message: &str) -> Entry {
    Entry::default()
        .with("MESSAGE", &visible(message))
        .with("PRIORITY", &priority.to_string())
        .with("SYSLOG_IDENTIFIER", IDENTIFIER)
}

/// The entry of a finding, on this [`machine`].
pub fn entry(
    line: &FindingLine,
    transition: Transition,
    machine: &[(String, String)],
    priority: u8,
    message: &str,
) -> Entry {
    let begun = note(priority, message).with("MESSAGE_ID", message_id(line.kind));
    let fields = values(line, transition).into_iter();
    let of_finding = fields.fold(begun, |entry, (name, value)| entry.with(name, &value));
    let fields = machine.iter();
    fields.fold(of_finding, |entry, (name, value)| entry.with(name, value))
}

/// The fields of the machine: its id, where it has one, and each label. A label's name has letters, digits and `_` alone there, as the
/// journal and a shell want it.
pub fn machine(host: Option<&str>, labels: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let of_label = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_ascii_uppercase(),
        _ => '_',
    };
    let labels = labels.iter().map(|(name, value)| {
        let name = name.chars().map(of_label).collect::<String>();
        (format!("PINIF_LABEL_{name}"), visible(value).into_owned())
    });
    let host = host.map(|host| ("PINIF_HOST".to_owned(), visible(host).into_owned()));
    host.into_iter().chain(labels).collect()
}

/// The fields of a finding that are pinif's own, of which this is new. Names in it are safe to show; the journal's reader shows fields as they are.
pub fn values(line: &FindingLine, transition: Transition) -> Vec<(&'static str, String)> {
    let process = line.process.as_ref();
    let pid = process.and_then(|process| process.pid);
    let fields = [
        ("PINIF_KIND", Some(line.kind.name())),
        ("PINIF_SEVERITY", Some(line.severity.name())),
        ("PINIF_STATE", Some(line.state.name())),
        ("PINIF_TRANSITION", Some(transition.name())),
        ("PINIF_ID", Some(&*line.id)),
        ("PINIF_UID", line.uid.as_deref()),
        ("PINIF_REVISION", Some(&*line.revision.to_string())),
        ("PINIF_RULE", line.rule.as_deref()),
        ("PINIF_NETNS", Some(&*line.netns)),
        ("PINIF_BOUND", line.bound_device.as_deref()),
        ("PINIF_EGRESS", Some(&*line.egress_interface)),
        ("PINIF_PROCESS", process.map(|process| &*process.comm)),
        ("PINIF_PID", pid.map(|pid| pid.to_string()).as_deref()),
        (
            "PINIF_EXECUTABLE",
            process.and_then(|process| process.exe.as_deref()),
        ),
        ("PINIF_PACKETS", Some(&*line.packets.to_string())),
        ("PINIF_BYTES", Some(&*line.bytes.to_string())),
        ("PINIF_CAUSE", Some(&*line.cause)),
        ("PINIF_FIX", Some(&*line.remedy)),
    ]
    .map(|(name, value)| Some((name, visible(value?).into_owned())));
    fields.into_iter().flatten().collect()
}
