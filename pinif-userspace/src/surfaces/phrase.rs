//! The phrases that the sinks for people share. All of them are safe to show.

use std::collections::BTreeMap;

use pinif_ebpf::loss::Loss;
use pinif_ebpf::verdict::Kind;

use crate::findings::{
    accepted::Accepted,
    alert_state::AlertState,
    explain::{self, CauseKind},
    finding::{ANY_INTERFACE, Finding},
    kinds,
    latent::Latent,
    line::{FindingLine, RelatedLine},
    ready::Ready,
    samples::Samples,
    subject::Subject,
};
use crate::text::words::{counted, grouped};
use crate::{hub::snapshot::Snapshot, text::escape::visible};

/// Who sent it, and to what it is bound: `telemetryd (pid 4242), bound to fab0`.
pub fn sender(finding: &Finding) -> String {
    let sender = others(finding).unwrap_or_else(|| (kinds::of(finding.kind).sender)(finding));
    visible(&sender).into_owned()
}

/// What happened, in a few words: `telemetryd (pid 4242), bound to fab0, left via eth1`.
pub fn outcome(finding: &Finding) -> String {
    let what = others(finding).unwrap_or_else(|| (kinds::of(finding.kind).what)(finding));
    let comma = if what.contains(", ") { "," } else { "" };
    let does = does(finding.kind, finding.dropped);
    let interface = finding.egress_interface();
    visible(&format!("{what}{comma} {does} {interface}")).into_owned()
}

/// Of a finding that stands for what has none of its own.
fn others(finding: &Finding) -> Option<String> {
    match finding.subject.as_deref()? {
        Subject::OtherPrograms { uid } => Some(other_programs(*uid)),
        Subject::Others => Some(OTHERS.to_owned()),
        Subject::Program { .. }
        | Subject::Kernel { .. }
        | Subject::Forwarded { .. }
        | Subject::Receiver { .. } => None,
    }
}

/// What stands for the programs of a user that have no finding of their own.
pub fn other_programs(uid: u32) -> String {
    format!("other programs of user {uid}")
}

/// What stands for all else that has none.
pub const OTHERS: &str = "others, of which none has a finding of its own";

/// What the packets of a kind do at their interface.
pub fn does(kind: Kind, dropped: bool) -> &'static str {
    if dropped {
        "dropped at"
    } else {
        kinds::of(kind).does
    }
}

/// A finding in one line: `telemetryd (pid 4242), bound to fab0: UDP to 203.0.113.9:53 left via eth1`.
pub fn headline(finding: &Finding) -> String {
    if !kinds::is_counted(finding.kind) {
        return unseen(finding);
    }
    if finding.has_no_packet() {
        return joined(finding);
    }
    format!(
        "{}: {} to {} {} {}",
        sender(finding),
        finding.protocol_name(),
        finding.destination(),
        does(finding.kind, finding.dropped),
        visible(finding.egress_interface())
    )
}

/// What is foreseen in one line: `fabricd (pid 640), unpinned: UDP to 10.0.0.2:9 would leave via eth1 with fab0 down`.
pub fn latent(latent: &Latent) -> String {
    let Latent {
        finding, condition, ..
    } = latent;
    format!(
        "{}: {} to {} would leave via {} with {}",
        sender(finding),
        finding.protocol_name(),
        latent.destination(),
        visible(finding.egress_interface()),
        visible(condition)
    )
}

/// How much was foreseen, to be added to the verdict: ` 2 latent leaks were foreseen.`
pub fn foreseen(latent: u64) -> String {
    match latent {
        0 => String::new(),
        1 => " 1 latent leak was foreseen.".to_owned(),
        many => format!(" {} were foreseen.", counted(many, "latent leak")),
    }
}

/// A finding of which another cause is known: as when it is shown again, with the cause where that is not said so.
pub fn change(finding: &Finding) -> String {
    let growth = growth(finding);
    let cause = explain::cause(finding);
    let cause = visible(&cause);
    if growth.contains(&*cause) {
        growth
    } else {
        format!("{growth} ({cause})")
    }
}

/// A finding that is shown again: `telemetryd (pid 4242), bound to fab0: 1,000 packets via eth1 so far`.
pub fn growth(finding: &Finding) -> String {
    if !kinds::is_counted(finding.kind) {
        return unseen(finding);
    }
    if finding.has_no_packet() {
        return joined(finding);
    }
    format!(
        "{}: {} {} {} so far{}",
        sender(finding),
        counted(finding.packets, "packet"),
        if finding.dropped { "dropped at" } else { "via" },
        visible(finding.egress_interface()),
        finding.samples.as_deref().map_or_else(String::new, several)
    )
}

/// That the policy accepts a finding: `accepted until 2030-12-31: TICKET-7`. Nothing, where it does not.
pub fn accepted(finding: &Finding) -> Option<String> {
    let accepted = finding.accepted.as_deref()?;
    let Accepted { reason, until, .. } = accepted;
    let text = format!("accepted until {until}: {reason}");
    (!accepted.expired).then(|| visible(&text).into_owned())
}

/// A finding whose state is another: `telemetryd (pid 4242), bound to fab0: quiet, no packet via eth1 since 2026-03-01T12:00:02Z`.
pub fn state(finding: &Finding) -> String {
    match finding.state {
        AlertState::Open => match &finding.accepted {
            Some(_) => format!("{}, not accepted any more: that is over", growth(finding)),
            None => format!("{}, open again", growth(finding)),
        },
        AlertState::Accepted => {
            let accepted = accepted(finding).unwrap_or_default();
            format!("{}: {accepted}", sender(finding))
        }
        AlertState::Quiet => format!(
            "{}: quiet, no packet {} {} since {}",
            sender(finding),
            if finding.dropped { "dropped at" } else { "via" },
            visible(finding.egress_interface()),
            finding.last_seen.to_seconds()
        ),
    }
}

/// The other packets of a finding's connections: `telemetryd (pid 4242), bound to fab0: of the same connections, 4 packets arrived on eth1
/// (ingress-escape), TCP 10.9.0.9:7000 → 192.0.2.1:40000`.
pub fn related(finding: &Finding) -> String {
    let line = FindingLine::from(finding);
    let related = with_it(&line).unwrap_or_default();
    format!("{}: {}", sender(finding), visible(&related))
}

/// The other packets of a finding's connections, in words; nothing, if there are none. Not safe to show yet.
pub fn with_it(finding: &FindingLine) -> Option<String> {
    let related = finding.related.iter();
    let related: Vec<String> = related.map(RelatedLine::phrase).collect();
    (!related.is_empty()).then(|| format!("of the same connections, {}", related.join("; ")))
}

/// That a finding is named in another: `sshd (pid 99), unpinned: of the same connections as finding a549f0330649, and counted there`.
pub fn part(finding: &Finding) -> String {
    let whole = finding.part_of();
    let whole = whole.map_or_else(|| "another".to_owned(), |whole| format!("finding {whole}"));
    format!(
        "{}: of the same connections as {whole}, and counted there",
        sender(finding)
    )
}

/// A group that was not joined: `telemetryd (pid 4242), bound to fab0: kept from joining 239.7.7.7 on eth1`.
fn joined(finding: &Finding) -> String {
    let group = finding.flow.map(|flow| flow.destination.address);
    let group = group.map_or_else(|| "a group".to_owned(), |group| group.to_string());
    let interface = finding.place.interface.as_deref();
    format!(
        "{}: kept from joining {group} on {}",
        sender(finding),
        interface.map_or("an interface that a route chooses".into(), visible)
    )
}

/// What a finding has seen several of: ` (3 processes, 16+ sockets, 2 destinations)`.
pub fn several(samples: &Samples) -> String {
    let Samples {
        processes,
        sockets,
        destinations,
    } = samples;
    let numbers = [
        (processes.count, processes.number(), "processes"),
        (sockets.count, sockets.number(), "sockets"),
        (destinations.count, destinations.number(), "destinations"),
    ];
    let several: Vec<String> = numbers
        .into_iter()
        .filter(|(count, ..)| *count > 1)
        .map(|(_, number, what)| format!("{number} {what}"))
        .collect();
    if several.is_empty() {
        String::new()
    } else {
        format!(" ({})", several.join(", "))
    }
}

/// A gap, of which no packet is known: `pktgen: traffic is not seen on eth1`. Where a part of pinif was removed, what follows of it: it may be
/// there again, and its hooks see no traffic.
fn unseen(finding: &Finding) -> String {
    if let Some(CauseKind::Removed(removal)) = finding.causes.first().map(|cause| &cause.kind) {
        return format!("{}. {}", sender(finding), removal.consequence());
    }
    let traffic = traffic(finding.kind, finding.egress_interface());
    format!("{}: {traffic}", sender(finding))
}

/// What traffic that is in no packet's finding does at its interface: `traffic is not seen on eth1`.
pub fn traffic(kind: Kind, interface: &str) -> String {
    let interface = match interface {
        ANY_INTERFACE => "any interface".into(),
        interface => visible(interface),
    };
    format!("traffic {} {interface}", does(kind, false))
}

/// What is audited: `Auditing 3 interfaces of card by tcx on Linux 6.18.44: eth1, fab0, lo.`, and whether leaks are dropped.
pub fn ready(ready: &Ready) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<String> = ready
        .interfaces
        .iter()
        .take(SHOWN)
        .map(|name| visible(name).into_owned())
        .collect();
    if ready.interfaces.len() > SHOWN {
        names.push(format!("and {} more", ready.interfaces.len() - SHOWN));
    }
    let netns = match ready.netns.as_slice() {
        [] => String::new(),
        [one] => format!(" of {}", visible(one)),
        several => format!(" of {} namespaces", several.len()),
    };
    let colon = if names.is_empty() { "" } else { ": " };
    let enforce = if ready.enforce {
        " Leaks are dropped."
    } else {
        ""
    };
    format!(
        "Auditing {}{netns} by {} on Linux {}{colon}{}.{enforce}",
        counted(ready.interfaces.len() as u64, "interface"),
        ready.attach.name(),
        visible(&ready.kernel),
        names.join(", ")
    )
}

/// How an audit stands, in short sentences: `Auditing 3 interfaces. 2 leaks, 1 risk.` It changes seldom.
pub fn status(snapshot: &Snapshot) -> String {
    let audited = snapshot.interfaces.iter();
    let (audited, refused): (Vec<_>, Vec<_>) =
        audited.partition(|interface| interface.refused.is_none());
    let mut sentences = vec![format!(
        "Auditing {}.",
        counted(audited.len() as u64, "interface")
    )];
    if !snapshot.is_ready {
        sentences.push("Not all are attached yet.".to_owned());
    }
    let found = snapshot.by_severity().into_iter().rev();
    let found: Vec<String> = found
        .map(|(severity, number)| counted(number, severity.name()))
        .collect();
    sentences.push(match found.as_slice() {
        [] => "No finding.".to_owned(),
        found => format!("{}.", found.join(", ")),
    });
    if snapshot.enforces {
        sentences.push("Leaks are dropped.".to_owned());
    }
    match refused.as_slice() {
        [] => {}
        [one] => sentences.push(format!("{} is not audited.", one.name)),
        several => sentences.push(format!(
            "{} are not audited.",
            counted(several.len() as u64, "interface")
        )),
    }
    if snapshot.policy.failure.is_some() {
        sentences
            .push("The policy file is wrong, and the policy before it is in force.".to_owned());
    }
    if snapshot.loses_counts() {
        sentences.push("Not all packets could be counted.".to_owned());
    }
    sentences.join(" ")
}

/// What became of events that found no room in the queue of a surface.
pub const MISSED: &str =
    "they could not be shown, since this was not read fast enough; all packets are counted";

/// What was lost, a sentence for each place that lost something.
pub fn lost(uncounted: &BTreeMap<String, u64>) -> Vec<String> {
    uncounted
        .iter()
        .filter(|(_, number)| **number > 0)
        .map(
            |(name, &number)| match Loss::ALL.into_iter().find(|loss| loss.name() == name) {
                Some(loss) => lost_by(loss, number),
                None => format!("{}: {}.", visible(name), grouped(number)),
            },
        )
        .collect()
}

/// What was lost for a reason, as a sentence.
pub fn lost_by(loss: Loss, number: u64) -> String {
    let packets = counted(number, "packet");
    match loss {
        Loss::Unparsed => format!("{packets} with unreadable headers: counted in no cell."),
        Loss::CellsFull => format!("{packets} beyond a full matrix: counted in no cell."),
        Loss::FindingsFull => {
            format!("{packets} beyond a full table of findings: counted in the matrix alone.")
        }
        Loss::SightingsFull => format!(
            "{} reported late: the ring buffer was full.",
            counted(number, "sighting")
        ),
        Loss::EndpointsFull => format!(
            "{} beyond a full table of local endpoints: copies of what they sent are not reported.",
            counted(number, "socket")
        ),
        Loss::EndpointsRefused => format!(
            "{} for which the kernel refused an entry, as where it has no memory: copies of what they sent are not reported.",
            counted(number, "socket")
        ),
        Loss::RecordsFull => format!(
            "{} beyond a full table of sockets: their processes may be unknown.",
            counted(number, "socket")
        ),
        Loss::CapturesFull => format!("{packets} not captured: the ring buffer was full."),
        Loss::LearnedFull => format!("What {packets} did is not learned: its table is full."),
        Loss::RoomsFull => format!("{packets} refused unjudged: too many were judged at once."),
    }
}
