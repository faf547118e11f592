//! Findings in a table, the gravest first: at the end of an audit, and of one that runs.

use std::{borrow::Cow, cmp::Reverse};

use pinif_ebpf::verdict::{Kind, Severity};

use super::{
    grid::{Grid, Text},
    look, phrase,
    shown::Row,
};
use crate::{
    findings::{
        alert_state::AlertState,
        kinds::{self, headline},
        line::{FindingLine, Subject},
    },
    text::{escape::visible, words::grouped},
};

/// A finding in a table. Its texts are safe to show.
pub struct Item<'a> {
    severity: Severity,
    kind: Kind,
    netns: Cow<'a, str>,
    interface: Cow<'a, str>,
    packets: u64,
    bytes: u64,
    dropped: bool,
    fate: &'static str,
    sender: Cow<'a, str>,
    /// The kinds, interfaces, packets and bytes of what is named in it.
    related: Vec<(Kind, Cow<'a, str>, [u64; 2])>,
    /// What it is called, and whether somebody is to look at it, where the table has that.
    id: Option<(&'a str, AlertState)>,
}

impl<'a> From<&'a Row> for Item<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            severity: row.severity,
            kind: row.kind,
            netns: row.netns(),
            interface: row.egress_interface(),
            packets: row.packets,
            bytes: row.bytes,
            dropped: row.dropped,
            fate: row.fate(),
            sender: Cow::Borrowed(&row.sender),
            related: row
                .related
                .iter()
                .map(|one| (one.kind, visible(&one.interface), [one.packets, one.bytes]))
                .collect(),
            id: None,
        }
    }
}

impl<'a> From<&'a FindingLine> for Item<'a> {
    fn from(finding: &'a FindingLine) -> Self {
        Self {
            severity: finding.severity,
            kind: finding.kind,
            netns: visible(&finding.netns),
            interface: visible(&finding.egress_interface),
            packets: finding.packets,
            bytes: finding.bytes,
            dropped: finding.dropped,
            fate: if finding.dropped {
                "dropped"
            } else {
                kinds::of(finding.kind).fate
            },
            sender: Cow::Owned(sender(finding)),
            related: finding
                .related
                .iter()
                .map(|one| {
                    let interface = visible(&one.egress_interface);
                    (one.kind, interface, [one.packets, one.bytes])
                })
                .collect(),
            id: Some((&finding.id, finding.state)),
        }
    }
}

/// Who sent a finding's packets, or what makes a gap, safe to show: `telemetryd (pid 4242), bound to fab0`.
pub fn sender(finding: &FindingLine) -> String {
    let sender = match &finding.subject {
        Some(Subject::OtherPrograms { uid }) => phrase::other_programs(*uid),
        Some(Subject::Others) => phrase::OTHERS.to_owned(),
        // Nobody has sent a packet of it: what makes it so stands for the sender.
        _ if !kinds::is_counted(finding.kind) && finding.process.is_none() => finding.cause.clone(),
        _ => headline::of(
            finding.process.as_ref(),
            finding.bound_device.as_deref(),
            finding.origin,
        ),
    };
    visible(&sender).into_owned()
}

/// The last columns of a row.
struct Last<'a> {
    fate: &'a str,
    id: Option<(&'a str, AlertState)>,
    sender: &'a str,
}

/// The table, the gravest first.
pub fn table<'a, T: 'a>(findings: impl IntoIterator<Item = &'a T>) -> Grid
where
    Item<'a>: From<&'a T>,
{
    let mut items: Vec<Item<'a>> = findings.into_iter().map(Item::from).collect();
    items.sort_by_key(|item| Reverse(item.severity));
    let several = items.iter().any(|item| item.netns != items[0].netns);
    let fates = items.iter().any(|item| item.dropped);
    let ids = items.iter().any(|item| item.id.is_some());
    let mut headings = vec![Text::left("finding"), Text::left("kind")];
    headings.extend(several.then(|| Text::left("netns")));
    headings.extend([
        Text::left("interface"),
        Text::right("packets"),
        Text::right("bytes"),
    ]);
    headings.extend(fates.then(|| Text::left("fate")));
    headings.extend(
        ids.then(|| [Text::left("id"), Text::left("state")])
            .into_iter()
            .flatten(),
    );
    headings.push(Text::left("sender"));
    let cells = |item: &Item<'_>,
                 first: [Text; 2],
                 interface: &str,
                 [packets, bytes]: [u64; 2],
                 last: Last<'_>| {
        let mut texts = Vec::from(first);
        texts.extend(several.then(|| Text::left(&*item.netns)));
        texts.extend([
            Text::left(interface),
            Text::right(grouped(packets)),
            Text::right(grouped(bytes)),
        ]);
        texts.extend(fates.then(|| Text::left(last.fate)));
        if ids {
            let (id, state) = last.id.map_or(("", ""), |(id, state)| (id, state.name()));
            texts.extend([Text::left(id), Text::left(state)]);
        }
        texts.push(Text::left(last.sender));
        texts
    };
    let rows = items.iter().flat_map(|item| {
        let severity = Text::left(item.severity.name()).styled(look::of_severity(item.severity));
        let own = cells(
            item,
            [severity, Text::left(item.kind.name())],
            &item.interface,
            [item.packets, item.bytes],
            Last {
                fate: item.fate,
                id: item.id,
                sender: &item.sender,
            },
        );
        let related = item.related.iter().map(|(kind, interface, counts)| {
            cells(
                item,
                [Text::left("with it"), Text::left(kind.name())],
                interface,
                *counts,
                Last {
                    fate: kinds::of(*kind).fate,
                    id: None,
                    sender: "of the same connections",
                },
            )
        });
        std::iter::once(own).chain(related).collect::<Vec<_>>()
    });
    Grid {
        rows: rows.collect(),
        headings: headings
            .into_iter()
            .map(|text| text.styled(look::strong()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{example, finding::SentBy};

    #[test]
    fn nobody_has_sent_what_no_packet_is_known_of() {
        let line = |kind| FindingLine {
            kind,
            process: None,
            subject: None,
            origin: SentBy::Kernel,
            cause: "pktgen\u{1b}".to_owned(),
            ..FindingLine::from(&example::finding(1))
        };
        for kind in [Kind::Unaudited, Kind::ArpFlux] {
            assert_eq!(sender(&line(kind)), "pktgen\\x1b");
        }
        let sent = sender(&line(Kind::DeviceEscape));
        assert!(sent.starts_with("the kernel"), "{sent}");
    }
}
