//! The policy in force.

use anstyle::Style;
use pinif_ebpf::verdict::Severity;

use crate::control::protocol::PolicyNow;
use crate::surfaces::top::canvas::Canvas;
use crate::surfaces::top::cursor::{Cursor, Move};
use crate::surfaces::top::data::Data;
use crate::surfaces::top::page::Page;
use crate::surfaces::{look, standing};

/// The policy, and what of it is seen.
#[derive(Debug, Default)]
pub struct Policy {
    cursor: Cursor,
}

impl Policy {
    /// Scrolls, on a screen of this size.
    pub fn go(&mut self, step: Move, data: &Data, (width, height): (usize, usize)) {
        self.cursor.scroll(step, page(data).height(width), height);
    }

    /// Draws it.
    pub fn draw(&self, data: &Data, canvas: &mut Canvas<'_>) {
        let page = page(data);
        let lines = page.height(canvas.width());
        page.draw(canvas, self.cursor.scrolled(lines, canvas.height()));
    }
}

fn page(data: &Data) -> Page {
    let mut page = Page::default();
    let Some(status) = &data.status else {
        return page;
    };
    let policy = &status.policy;
    let risk = look::of_severity(Severity::Risk);
    let style = match policy.source.failure {
        Some(_) => risk,
        None => Style::new(),
    };
    page.field("policy", standing::policy(policy), style);
    let source = &policy.source;
    page.field(
        "sha256",
        source.digest.clone().unwrap_or_default(),
        look::faint(),
    );
    for failure in source.failure.iter().flatten() {
        page.field("wrong", failure.clone(), look::of_severity(Severity::Risk));
    }
    let Some(PolicyNow { described, .. }) = &data.policy else {
        return page;
    };
    for zone in &described.zones {
        page.gap();
        page.field("zone", zone.name.clone(), look::strong());
        page.field("has", zone.interfaces.join(", "), Style::new());
        let contained = if zone.contained {
            "nothing of it may leave or arrive elsewhere"
        } else {
            ""
        };
        page.field("contained", contained, Style::new());
    }
    for rule in &described.rules {
        page.gap();
        page.field("rule", rule.name.clone(), look::strong());
        for (what, values) in &rule.matches {
            page.field(
                "matches",
                format!("{what} {}", values.join(", ")),
                Style::new(),
            );
        }
        page.field("only via", rule.only_via.join(", "), Style::new());
        page.field(
            "pinned",
            if rule.pinned {
                "the socket must be bound to a device"
            } else {
                ""
            },
            Style::new(),
        );
        page.field(
            "action",
            rule.action.clone().unwrap_or_default(),
            Style::new(),
        );
    }
    page
}
