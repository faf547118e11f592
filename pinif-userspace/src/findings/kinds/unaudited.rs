//! `unaudited`: traffic that cannot be seen here. No packet is known of it, and its one cause says what it is.

use super::{Row, headline, row};
use crate::{
    findings::{
        explain::{CauseKind, Remedy, causes, choice, phrases::process},
        finding::Finding,
    },
    kernel::attach::Lack,
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: false,
    does: "is not seen on",
    fate: "not seen",
    page: include_str!("../../../kinds/unaudited.md"),
    sender,
    what: sender,
    foreseen: row::nothing,
    causes: |_, _, _| Vec::new(),
    home: row::source_owner,
    explanation,
    remedies,
};

/// What makes the gap.
fn sender(finding: &Finding) -> String {
    match finding.process {
        Some(_) => headline::who(finding),
        None => causes::text(&finding.causes),
    }
}

fn explanation(finding: &Finding) -> String {
    let unseen = "pinif neither judges nor counts it";
    let whose = match process(finding) {
        Some(process) => format!("{process}'s"),
        None => "An unknown process's".to_owned(),
    };
    let by = match &finding.place.interface {
        Some(interface) => interface,
        None => "any interface, each packet via the one that it names",
    };
    match finding.causes.first().map(|cause| &cause.kind) {
        Some(CauseKind::QdiscBypass) => format!(
            "{whose} packet socket sends via {by}, and past TC egress (PACKET_QDISC_BYPASS): {unseen}."
        ),
        Some(CauseKind::Xdp) => {
            format!("{whose} AF_XDP socket hands frames to {by}, past TC egress: {unseen}.")
        }
        Some(CauseKind::NotAttached { interface, .. }) => {
            format!("pinif is not attached to {interface}: of all that leaves there, {unseen}.")
        }
        Some(CauseKind::MissingHooks { lacks, .. }) => {
            let lacks: Vec<&str> = lacks.iter().copied().map(lacking).collect();
            format!("All packets are judged and counted. {}", lacks.join(" "))
        }
        Some(CauseKind::Removed(removal)) => format!(
            "Another program removed {}. {}",
            removal.what(),
            removal.consequence()
        ),
        Some(CauseKind::Ahead(what)) => format!(
            "At {by}, {what} runs before pinif: pinif does not see what it drops, redirects or accepts."
        ),
        Some(CauseKind::XdpProgram(program)) => format!(
            "XDP program {program} on {by} has a map of devices: what it sends back or redirects leaves past TC egress, and \
             {unseen}."
        ),
        Some(CauseKind::Pktgen) => {
            format!("pktgen is set up to send via {by}, past TC egress: {unseen}.")
        }
        Some(CauseKind::Netconsole) => {
            format!("netconsole sends the kernel's log via {by}, past TC egress: {unseen}.")
        }
        Some(CauseKind::NotLookedFor { what, .. }) => format!(
            "pinif could not look for {what} here: there may be traffic that it neither judges nor counts."
        ),
        _ => format!("Traffic via {by} cannot be seen here: {unseen}."),
    }
}

/// What follows where a hook is missing, as a sentence.
const fn lacking(lack: Lack) -> &'static str {
    match lack {
        Lack::Sockets => {
            "What these hooks would have shown of sockets is lacking: processes, bound addresses and copies may stay unknown."
        }
        Lack::Refusal => {
            "What must not leave is dropped where it leaves, and not refused before: the kernel looks for its neighbour meanwhile, in \
             requests and solicitations with the address that the program chose, and the program gets no error."
        }
        Lack::Groups => {
            "A group that a socket must not join is joined, and the kernel reports that (IGMP, MLD)."
        }
        Lack::Replies => {
            "By which interface a request came is not known: no answer is found that leaves by another."
        }
    }
}

fn remedies(finding: &Finding) -> Vec<Remedy> {
    choice::by_causes(finding, &ROW).unwrap_or_else(|| vec![Remedy::AuditNextHop])
}
