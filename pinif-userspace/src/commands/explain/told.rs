//! A finding as a line of JSON told it. All of it comes from a file that anybody may have written.

use std::net::{IpAddr, SocketAddr};

use pinif_ebpf::verdict::Kind;
use serde::Deserialize;

use crate::{text::escape::visible, text::words::counted};

/// What is explained of a finding (`findings/finding.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Told {
    pub id: String,
    pub kind: String,
    severity: String,
    time: String,
    rule: Option<String>,
    netns: String,
    bound_device: Option<String>,
    egress_interface: String,
    protocol: String,
    source: String,
    destination: String,
    packets: u64,
    bytes: u64,
    process: Option<Process>,
    cause: String,
    explanation: String,
    remedy: String,
    /// Lines from before `--enforce` do not have it.
    #[serde(default)]
    dropped: bool,
    /// What it would happen under, of one that is foreseen.
    r#if: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Process {
    pid: u32,
    comm: String,
}

#[derive(Deserialize)]
struct AnyLine {
    r#type: String,
}

/// The finding of a line; none of a line of another type.
pub(super) fn read(line: &str) -> serde_json::Result<Option<Told>> {
    let any: AnyLine = serde_json::from_str(line)?;
    if any.r#type == "finding" {
        serde_json::from_str(line).map(Some)
    } else {
        Ok(None)
    }
}

impl Told {
    /// The finding for a person, safe to show.
    pub fn text(&self) -> String {
        let who = match &self.process {
            Some(process) => format!("{} (pid {})", process.comm, process.pid),
            None => "no known process".to_owned(),
        };
        let bound = match &self.bound_device {
            Some(device) => format!("bound to {device}"),
            None => "unpinned".to_owned(),
        };
        // Of a gap there are no packets: no protocol, no addresses, and nothing to count.
        let is_gap = self.kind == Kind::Unaudited.name();
        let what = if is_gap {
            format!("{who}, not seen on {}", self.egress_interface)
        } else {
            let by = match (&self.r#if, self.dropped) {
                (Some(_), _) => "would leave by",
                (None, true) => "dropped at",
                (None, false) => "by",
            };
            format!(
                "{who}, {bound}, {} {by} {}",
                self.protocol, self.egress_interface
            )
        };
        let mut text = visible(&format!(
            "{} {} {}: {what}",
            self.severity, self.kind, self.id
        ))
        .into_owned();
        text.push('\n');
        let seen = if let Some(condition) = &self.r#if {
            format!("foreseen at {}, with {condition}", self.time)
        } else if is_gap {
            format!("found at {}", self.time)
        } else {
            format!(
                "{} and {} since {}",
                counted(self.packets, "packet"),
                counted(self.bytes, "byte"),
                self.time
            )
        };
        let flow = if is_gap {
            String::new()
        } else {
            format!("{} → {}, ", self.source, self.destination)
        };
        let path = format!(
            "{flow}namespace {}{}",
            self.netns,
            match &self.rule {
                Some(rule) => format!(", rule {rule}"),
                None => String::new(),
            }
        );
        for (label, value) in [
            ("what", &self.explanation),
            ("cause", &self.cause),
            ("mend", &self.remedy),
            ("path", &path),
            ("seen", &seen),
        ] {
            if !value.is_empty() {
                text.push_str(&format!("  {label:<10}{}\n", visible(value)));
            }
        }
        text
    }

    /// A kind's page with this finding's interfaces and addresses in the place of the page's own, where it tells how to
    /// mend it.
    pub fn page(&self, page: &str) -> String {
        let Some(mend) = page.find("\n## Mend it") else {
            return page.to_owned();
        };
        let own = [
            ("fab0", self.bound_device.clone()),
            ("eth1", Some(self.egress_interface.clone())),
            ("10.0.0.1", address(&self.source)),
            ("10.0.0.2", address(&self.destination)),
        ];
        let (before, mend) = page.split_at(mend);
        format!("{before}{}", replaced(mend, &own))
    }
}

/// The address of an endpoint.
fn address(endpoint: &str) -> Option<String> {
    let address = endpoint.parse::<SocketAddr>().map(|endpoint| endpoint.ip());
    let address = address.or_else(|_| endpoint.parse::<IpAddr>()).ok()?;
    Some(address.to_string())
}

/// The text with each word that stands for a value in place of it. Values that a shell or a table would take for more than
/// a word are left out: they are the process's own choice, and the lines are there to be copied.
fn replaced(text: &str, values: &[(&str, Option<String>)]) -> String {
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let word = &rest[start..];
        let length = word
            .find(|character| !is_part(character))
            .unwrap_or(word.len());
        let word = &word[..length];
        // A full stop at the end is the sentence's.
        let bare = word.trim_end_matches('.');
        let value = values.iter().find(|(stands_for, _)| *stands_for == bare);
        new.push_str(&rest[..start]);
        match value {
            Some((_, Some(value))) if value.chars().all(is_harmless) && !value.is_empty() => {
                new.push_str(value);
                new.push_str(&word[bare.len()..]);
            }
            _ => new.push_str(word),
        }
        rest = &rest[start + length..];
    }
    new.push_str(rest);
    new
}

fn is_part(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '.'
}

fn is_harmless(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | ':' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            id: "a549f0330649".to_owned(),
            kind: "device-escape".to_owned(),
            severity: "leak".to_owned(),
            time: "2026-03-01T12:00:00.125042Z".to_owned(),
            rule: None,
            netns: "card".to_owned(),
            bound_device: Some("bp0".to_owned()),
            egress_interface: "wan0".to_owned(),
            protocol: "udp".to_owned(),
            source: "10.1.0.1:40000".to_owned(),
            destination: "[fd00::2]:9".to_owned(),
            packets: 1000,
            bytes: 1,
            process: Some(Process {
                pid: 7,
                comm: "a\u{1b}b".to_owned(),
            }),
            cause: "IP_PKTINFO override".to_owned(),
            explanation: String::new(),
            remedy: "a\nmend".to_owned(),
            dropped: false,
            r#if: None,
        }
    }

    #[test]
    fn what_is_foreseen_has_not_happened() {
        let latent = Told {
            r#if: Some("bp0 down".to_owned()),
            packets: 0,
            ..told()
        };
        let text = latent.text();
        assert!(text.contains("udp would leave by wan0\n"), "{text}");
        let seen = "foreseen at 2026-03-01T12:00:00.125042Z, with bp0 down\n";
        assert!(text.ends_with(seen), "{text}");
    }

    #[test]
    fn what_was_dropped_is_told_so() {
        let dropped = Told {
            dropped: true,
            ..told()
        };
        let head = "bound to bp0, udp dropped at wan0\n";
        assert!(dropped.text().contains(head), "{}", dropped.text());
    }

    #[test]
    fn a_finding_is_told_with_its_values_and_safely() {
        assert_eq!(
            told().text(),
            "leak device-escape a549f0330649: a\\x1bb (pid 7), bound to bp0, udp by wan0\n\
             \x20 cause     IP_PKTINFO override\n\
             \x20 mend      a\\nmend\n\
             \x20 path      10.1.0.1:40000 → [fd00::2]:9, namespace card\n\
             \x20 seen      1,000 packets and 1 byte since 2026-03-01T12:00:00.125042Z\n"
        );
    }

    #[test]
    fn the_mend_has_the_findings_own_values() {
        let page = "# fab0\n\n## Mend it\n\nBind to fab0, or fab0.7. `ssh -B fab0 10.0.0.2`, not eth1's.\n";
        assert_eq!(
            told().page(page),
            "# fab0\n\n## Mend it\n\nBind to bp0, or fab0.7. `ssh -B bp0 fd00::2`, not wan0's.\n"
        );
    }

    #[test]
    fn a_name_that_a_shell_would_run_is_left_out() {
        let page = "\n## Mend it\n`-B fab0`";
        let hostile = Told {
            bound_device: Some("$(reboot)".to_owned()),
            ..told()
        };
        assert_eq!(hostile.page(page), page);
    }

    #[test]
    fn lines_of_other_types_and_of_none_are_told_apart() {
        assert_eq!(
            read("{\"type\":\"summary\",\"packets\":1}").expect("JSON"),
            None
        );
        for line in ["", "leak", "{}", "{\"type\":\"finding\"}", "[1]"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
