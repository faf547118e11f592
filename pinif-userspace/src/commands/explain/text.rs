//! A finding for a person, from its line of JSON. All of it comes from a file that anybody may have written.

use std::{
    mem,
    net::{IpAddr, SocketAddr},
};

use crate::{
    findings::{flow::protocol_name, kinds, line::FindingLine},
    surfaces::{
        details::details,
        fix::fix,
        grid::{Grid, Text},
        look::Look,
        phrase::traffic,
    },
    text::{escape::visible, words::wrapped_from},
};

/// Where the text of a detail begins.
const INDENT: usize = 12;

/// The finding for a person, safe to show. On a terminal of so many columns its remedies are fitted to them; the rest is to be.
pub(super) fn of(finding: &FindingLine, columns: Option<usize>) -> String {
    let who = match &finding.process {
        Some(process) => format!("{} ({})", process.comm, process.number()),
        None => "no known process".to_owned(),
    };
    let bound = match &finding.bound_device {
        Some(device) => format!("bound to {device}"),
        None => "unpinned".to_owned(),
    };
    // Of a gap there are no packets: no protocol, no addresses, and nothing to count.
    let is_gap = !kinds::is_counted(finding.kind);
    let what = if is_gap {
        let traffic = traffic(finding.kind, &finding.egress_interface);
        match &finding.process {
            Some(_) => format!("{who}: {traffic}"),
            None => traffic,
        }
    } else {
        let by = match (&finding.r#if, finding.dropped) {
            (Some(_), _) => "would leave via",
            (None, true) => "dropped at",
            (None, false) => "via",
        };
        format!(
            "{who}, {bound}, {} {by} {}",
            protocol_name(&finding.protocol),
            finding.egress_interface
        )
    };
    let mut text = visible(&format!(
        "{} {} {}: {what}",
        finding.severity.name(),
        finding.kind.name(),
        finding.id
    ))
    .into_owned();
    text.push('\n');
    for detail in details(finding) {
        let value = match columns {
            Some(columns) if detail.label == "fix" && !finding.remedies.is_empty() => {
                fix(&finding.remedies, columns, INDENT).into()
            }
            _ => detail.line(),
        };
        if !value.is_empty() {
            text.push_str(&format!("  {:<10}{value}\n", detail.label));
        }
    }
    text
}

/// A kind's page with this finding's interfaces and addresses in the place of the page's own, where it says how to
/// fix it.
pub(super) fn page(finding: &FindingLine, page: &str) -> String {
    let Some(fix) = page.find("\n## Fix it") else {
        return page.to_owned();
    };
    let own = [
        ("fab0", finding.bound_device.clone()),
        ("eth1", Some(finding.egress_interface.clone())),
        ("10.0.0.1", address(&finding.source)),
        ("10.0.0.2", address(&finding.destination)),
    ];
    let (before, fix) = page.split_at(fix);
    format!("{before}{}", replaced(fix, &own))
}

/// A page, or a finding, whose paragraphs are filled, and broken between words where a terminal ends. The rows of a table stand in columns,
/// of which the last is broken, too. Code stays as it is, for it is there to be copied.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    let mut fitted = String::with_capacity(text.len() + text.len() / 16);
    let mut paragraph = String::new();
    let fill = |paragraph: &mut String, fitted: &mut String| {
        if !paragraph.is_empty() {
            let indent = indent(paragraph, paragraph.trim_start());
            fitted.push_str(&wrapped_from(paragraph, columns, indent, 0));
            fitted.push('\n');
            paragraph.clear();
        }
    };
    let mut table: Vec<Vec<Text>> = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        let bare = line.trim_start();
        if !is_code && bare.starts_with('|') {
            fill(&mut paragraph, &mut fitted);
            table.extend(row(bare));
            continue;
        }
        fitted.push_str(&list(mem::take(&mut table), columns));
        let is_fence = bare.starts_with("```");
        is_code ^= is_fence;
        let is_kept = is_code || is_fence || line.starts_with("    ");
        if is_kept || bare.is_empty() {
            fill(&mut paragraph, &mut fitted);
            fitted.push_str(line);
            fitted.push('\n');
        } else if !paragraph.is_empty() && goes_on(line, bare, &paragraph) {
            paragraph.push(' ');
            paragraph.push_str(bare);
        } else {
            fill(&mut paragraph, &mut fitted);
            paragraph.push_str(line);
        }
    }
    fill(&mut paragraph, &mut fitted);
    fitted.push_str(&list(table, columns));
    fitted
}

/// The texts of a row of a table in Markdown; nothing of the line below its headings.
fn row(line: &str) -> Option<Vec<Text>> {
    let inside = line.trim().trim_matches('|');
    let is_rule = inside
        .chars()
        .all(|character| matches!(character, '-' | '|' | ' ' | ':'));
    // A bar that is part of a text is escaped (GitHub Flavored Markdown, 4.10).
    let texts = inside.replace("\\|", "\0");
    let texts = texts.split('|').map(|text| text.trim().replace('\0', "|"));
    (!is_rule).then(|| texts.map(Text::left).collect())
}

/// The rows of a table in columns.
fn list(mut rows: Vec<Vec<Text>>, columns: usize) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let headings = rows.remove(0);
    Grid { headings, rows }.list(Look::PLAIN, Some(columns))
}

/// Whether a line goes on with the paragraph before it, or with the item of a list. A finding's lines have a label each, below its first.
fn goes_on(line: &str, bare: &str, before: &str) -> bool {
    let is_item = |bare: &str| bare.starts_with("- ");
    let is_indented = line.len() != bare.len();
    !is_item(bare) && !before.starts_with('#') && (!is_indented || is_item(before))
}

/// Where the text of a line begins: after its label, as a finding's lines have one, or after the mark of a list.
fn indent(line: &str, bare: &str) -> usize {
    let before = line.len() - bare.len();
    match (before, bare.split_once(' ')) {
        (2, Some((label, rest))) if rest.starts_with(' ') => {
            let gap = rest.len() - rest.trim_start().len();
            2 + label.len() + 1 + gap
        }
        (before, Some(("-" | "*" | "1." | "2." | "3." | "4." | "5.", _))) => before + 2,
        _ => before,
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
    use pinif_ebpf::verdict::{Kind, Severity};

    use super::*;
    use crate::findings::alert_state::AlertState;
    use crate::findings::finding::{PacketDirection, SentBy};
    use crate::findings::process::Process;
    use crate::text::words::width;

    fn finding() -> FindingLine {
        FindingLine {
            id: "a549f0330649".to_owned(),
            time: "2026-03-01T12:00:00.125042Z".to_owned(),
            kind: Kind::DeviceEscape,
            severity: Severity::Leak,
            rule: None,
            netns: "card".to_owned(),
            bound_device: Some("bp0".to_owned()),
            bound_address: None,
            egress_interface: "wan0".to_owned(),
            direction: PacketDirection::Out,
            protocol: "udp".to_owned(),
            source: "10.1.0.1:40000".to_owned(),
            destination: "[fd00::2]:9".to_owned(),
            packets: 1000,
            bytes: 1,
            socket_cookie: None,
            process: Some(Process {
                pid: Some(7),
                started: None,
                comm: "a\u{1b}b".to_owned(),
                exe: None,
                uid: 0,
                cgroup: None,
            }),
            cause: "IP_PKTINFO override".to_owned(),
            explanation: String::new(),
            remedy: "a\nfix".to_owned(),
            remedies: Vec::new(),
            also: Vec::new(),
            subject: None,
            samples: Default::default(),
            origin: SentBy::Socket,
            dropped: false,
            uid: None,
            revision: 1,
            state: AlertState::Open,
            accepted: None,
            first_seen: "2026-03-01T12:00:00.125042Z".to_owned(),
            last_seen: "2026-03-01T12:00:01.125042Z".to_owned(),
            related: Vec::new(),
            part_of: None,
            latent: None,
            r#if: None,
        }
    }

    #[test]
    fn what_is_foreseen_has_not_happened() {
        let latent = FindingLine {
            r#if: Some("bp0 down".to_owned()),
            packets: 0,
            ..finding()
        };
        let text = of(&latent, None);
        assert!(text.contains("UDP would leave via wan0\n"), "{text}");
        assert!(text.contains("path      would leave via wan0, "), "{text}");
        let seen = "foreseen at 2026-03-01T12:00:00.125042Z, with bp0 down\n";
        assert!(text.ends_with(seen), "{text}");
    }

    #[test]
    fn of_a_gap_it_is_said_what_its_traffic_does() {
        let gap = |kind, process| FindingLine {
            kind,
            process,
            ..finding()
        };
        let head = |finding| {
            let text = of(&finding, None);
            let (head, _) = text.split_once('\n').unwrap_or_default();
            head.rsplit_once("a549f0330649: ")
                .map(|(_, what)| what.to_owned())
        };
        for (kind, process, what) in [
            (Kind::ArpFlux, None, "traffic may arrive on wan0"),
            (Kind::Unaudited, None, "traffic is not seen on wan0"),
            (
                Kind::Unaudited,
                finding().process,
                "a\\x1bb (pid 7): traffic is not seen on wan0",
            ),
        ] {
            assert_eq!(head(gap(kind, process)).as_deref(), Some(what));
        }
    }

    #[test]
    fn what_was_dropped_says_so() {
        let dropped = FindingLine {
            dropped: true,
            ..finding()
        };
        let head = "bound to bp0, UDP dropped at wan0\n";
        assert!(of(&dropped, None).contains(head), "{}", of(&dropped, None));
    }

    #[test]
    fn a_finding_is_shown_with_its_values_and_safely() {
        assert_eq!(
            of(&finding(), None),
            "leak device-escape a549f0330649: a\\x1bb (pid 7), bound to bp0, UDP via wan0\n\
             \x20 cause     IP_PKTINFO override\n\
             \x20 fix       a\\nfix\n\
             \x20 process   a\\x1bb, pid 7, uid 0\n\
             \x20 flow      UDP 10.1.0.1:40000 → [fd00::2]:9\n\
             \x20 path      left via wan0, bound to bp0, namespace card\n\
             \x20 seen      2026-03-01T12:00:00.125042Z, 1,000 packets, 1 byte\n"
        );
    }

    #[test]
    fn a_page_is_broken_between_words_and_code_stays() {
        let text = "# device-escape\n\nA packet left by another interface.\n\n- one of these and more\n\n```c\n\
                    setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE);\n```\n  fix       bind the socket to fab0 now\n";
        assert_eq!(
            fitted(text, 24),
            "# device-escape\n\nA packet left by another\ninterface.\n\n- one of these and more\n\n```c\n\
             setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE);\n```\n  fix       bind the\n            socket to\n            fab0 now\n"
        );
        // Every page, at any width: no word is lost, and none is broken.
        for kind in Kind::ALL {
            let page = kinds::of(kind).page;
            for columns in [40, 60, 80, 100] {
                let fitted = fitted(page, columns);
                let words = |text: &str| -> Vec<String> {
                    let text = text.replace("\\|", "\0").replace("| --- | --- |", "");
                    let words = text.split_whitespace().filter(|word| *word != "|");
                    words.map(|word| word.replace('\0', "|")).collect()
                };
                assert_eq!(words(&fitted), words(page));
                // What is wider is a command, or a word.
                let (prose, _) = fitted.split_once("\n## See it").expect("it is there");
                let (_, fixes) = fitted.split_once("\n## Fix it").expect("it is there");
                for line in [prose, fixes].into_iter().flat_map(str::lines) {
                    let copied =
                        line.matches('`').count() >= 2 || line.trim().split(' ').count() == 1;
                    assert!(width(line) <= columns || copied, "{line}");
                }
            }
            // However wide it is, a paragraph is a line.
            let filled = fitted(page, usize::MAX);
            let (prose, _) = filled.split_once("\n## See it").expect("it is there");
            let is_prose = |line: &&str| !line.is_empty() && !line.starts_with("- ");
            let lines: Vec<&str> = prose.lines().collect();
            let mut pairs = lines.windows(2);
            assert_eq!(pairs.find(|two| two.iter().all(is_prose)), None);
        }
    }

    #[test]
    fn the_remedy_has_the_findings_own_values() {
        let page =
            "# fab0\n\n## Fix it\n\nBind to fab0, or fab0.7. `ssh -B fab0 10.0.0.2`, not eth1's.\n";
        assert_eq!(
            super::page(&finding(), page),
            "# fab0\n\n## Fix it\n\nBind to bp0, or fab0.7. `ssh -B bp0 fd00::2`, not wan0's.\n"
        );
    }

    #[test]
    fn a_name_that_a_shell_would_run_is_left_out() {
        let page = "\n## Fix it\n`-B fab0`";
        let hostile = FindingLine {
            bound_device: Some("$(reboot)".to_owned()),
            ..finding()
        };
        assert_eq!(super::page(&hostile, page), page);
    }
}
