//! What people are shown of a finding below its headline.

use super::phrase;
use crate::findings::alert_state::AlertState;
use crate::findings::flow::protocol_name;
use crate::findings::kinds;
use crate::findings::line::FindingLine;
use crate::text::words::counted;

/// What stands under a finding's headline: labels and texts, which are not safe to show yet.
pub fn details(finding: &FindingLine) -> Vec<(&'static str, String)> {
    let mut details = vec![
        ("what", finding.explanation.clone()),
        ("cause", finding.cause.clone()),
        ("fix", finding.remedy.clone()),
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
        details.push(("process", parts.join(", ")));
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
    details.extend((!parts.is_empty()).then(|| (label, parts.join(", "))));
    let mut parts = vec![format!(
        "{} {}",
        phrase::does(finding.kind, finding.dropped),
        finding.egress_interface
    )];
    parts.extend(
        finding
            .bound_device
            .as_ref()
            .map(|device| format!("bound to {device}")),
    );
    parts.push(format!("namespace {}", finding.netns));
    parts.extend(finding.rule.as_ref().map(|rule| format!("rule {rule}")));
    details.push(("path", parts.join(", ")));
    // Of a gap no packet is seen, and it may be older than the audit.
    let mut seen = if is_gap {
        format!("found at {}", finding.time)
    } else {
        format!(
            "{}, {}, {}",
            finding.time,
            counted(finding.packets, "packet"),
            counted(finding.bytes, "byte")
        )
    };
    if finding.state == AlertState::Quiet {
        seen.push_str(&format!(", quiet since {}", finding.last_seen));
    }
    details.push(("seen", seen));
    details
}
