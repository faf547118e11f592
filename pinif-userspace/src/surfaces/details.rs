//! What stands under a finding's headline: why, what fixes it, and who sent what where.

use std::borrow::Cow;

use super::{fix::fix, phrase};
use crate::{
    findings::{
        accepted::Accepted, alert_state::AlertState, explain::Step, flow::protocol_name, kinds,
        line::FindingLine,
    },
    text::{
        escape::visible,
        words::{counted, wrapped},
    },
};

/// A label, and what it says of the finding.
pub(crate) struct Detail {
    pub label: &'static str,
    /// It is not safe to show yet.
    text: String,
    /// The same as steps that somebody can take; none where it is something else.
    steps: Vec<Step>,
}

impl Detail {
    pub fn new(label: &'static str, text: String) -> Self {
        Self {
            label,
            text,
            steps: Vec::new(),
        }
    }

    /// On one line.
    pub fn line(&self) -> Cow<'_, str> {
        visible(&self.text)
    }

    /// In so many columns, of which the first are the indent of all lines.
    pub fn fitted(&self, columns: usize, indent: usize) -> String {
        if self.steps.is_empty() {
            wrapped(&self.line(), columns, indent)
        } else {
            fix(&self.steps, columns, indent)
        }
    }
}

/// What stands under a finding's headline.
pub(crate) fn details(finding: &FindingLine) -> Vec<Detail> {
    let mut details = vec![
        Detail::new("what", finding.explanation.clone()),
        Detail::new("cause", finding.cause.clone()),
        Detail {
            steps: finding.remedies.clone(),
            ..Detail::new("fix", finding.remedy.clone())
        },
    ];
    if let Some(process) = &finding.process {
        let mut parts = vec![
            process.comm.clone(),
            process.number(),
            format!("uid {}", process.uid),
        ];
        parts.extend(process.exe.clone());
        parts.extend(
            process
                .cgroup
                .as_ref()
                .map(|cgroup| format!("cgroup {cgroup}")),
        );
        details.push(Detail::new("process", parts.join(", ")));
    }

    let is_gap = !kinds::is_counted(finding.kind);
    let mut parts = Vec::new();
    parts.extend((!is_gap).then(|| {
        format!(
            "{} {} → {}",
            protocol_name(&finding.protocol),
            finding.source,
            finding.destination
        )
    }));
    parts.extend(
        finding
            .bound_address
            .as_ref()
            .map(|address| format!("bound to address {address}")),
    );
    parts.extend(
        finding
            .socket_cookie
            .map(|cookie| format!("cookie {cookie}")),
    );
    let label = match finding.socket_cookie {
        Some(_) => "socket",
        None => "flow",
    };
    details.extend((!parts.is_empty()).then(|| Detail::new(label, parts.join(", "))));
    let does = match finding.r#if {
        Some(_) => "would leave via",
        None => phrase::does(finding.kind, finding.dropped),
    };
    let mut parts = vec![format!("{does} {}", finding.egress_interface)];
    parts.extend(
        finding
            .bound_device
            .as_ref()
            .map(|device| format!("bound to {device}")),
    );
    parts.push(format!("namespace {}", finding.netns));
    parts.extend(finding.rule.as_ref().map(|rule| format!("rule {rule}")));
    details.push(Detail::new("path", parts.join(", ")));
    // Of a gap no packet is seen, and it may be older than the audit.
    let mut seen = if let Some(condition) = &finding.r#if {
        format!("foreseen at {}, with {condition}", finding.time)
    } else if is_gap {
        format!("found at {}", finding.time)
    } else {
        format!(
            "{}, {}, {}{}",
            finding.time,
            counted(finding.packets, "packet"),
            counted(finding.bytes, "byte"),
            phrase::several(&finding.samples)
        )
    };
    if finding.state == AlertState::Quiet {
        seen.push_str(&format!(", quiet since {}", finding.last_seen));
    }
    details.extend(phrase::with_it(finding).map(|related| Detail::new("with it", related)));
    details.push(Detail::new("seen", seen));
    if let Some(Accepted {
        reason,
        until,
        expired,
    }) = &finding.accepted
    {
        let ended = if *expired { ", which is over" } else { "" };
        let text = format!("until {until}{ended}: {reason}");
        details.push(Detail::new("accepted", text));
    }
    details
}
