//! One finding: who, which socket, where it went, why, and what fixes it.

use anstyle::Style;

use crate::findings::explain::Who;
use crate::findings::line::FindingLine;
use crate::surfaces::details::details;
use crate::surfaces::look;
use crate::surfaces::table::sender;
use crate::surfaces::top::canvas::Canvas;
use crate::surfaces::top::cursor::{Cursor, Move};
use crate::surfaces::top::page::Page;
use crate::surfaces::top::rates;

/// A finding that is open.
#[derive(Debug)]
pub struct Open {
    /// Its id.
    pub id: String,
    cursor: Cursor,
}

impl Open {
    /// Opens a finding.
    pub fn new(id: String) -> Self {
        Self {
            id,
            cursor: Cursor::default(),
        }
    }

    /// Scrolls, on a screen of this size.
    pub fn go(&mut self, step: Move, finding: &FindingLine, (width, height): (usize, usize)) {
        let lines = page(finding, None).height(width);
        self.cursor.scroll(step, lines, height);
    }

    /// Draws it.
    pub fn draw(&self, finding: &FindingLine, rate: Option<f64>, canvas: &mut Canvas<'_>) {
        let page = page(finding, rate);
        let lines = page.height(canvas.width());
        page.draw(canvas, self.cursor.scrolled(lines, canvas.height()));
    }
}

/// The order in which a person asks. What fixes it stands last, so that it is seen at the end of the smallest screen.
const ORDER: [&str; 8] = [
    "process", "socket", "flow", "path", "seen", "with it", "what", "cause",
];

fn page(finding: &FindingLine, rate: Option<f64>) -> Page {
    let mut page = Page::default();
    let kind = finding.kind.name();
    let severity = finding.severity.name();
    let who = sender(finding);
    let head = format!("{severity} {kind} {}: {who}", finding.id);
    page.text(head, look::of_severity(finding.severity));
    let details = details(finding);
    for label in ORDER {
        let Some(detail) = details.iter().find(|detail| detail.label == label) else {
            continue;
        };
        let rate = match label {
            "seen" => rates::text(rate),
            _ => String::new(),
        };
        let comma = if rate.is_empty() { "" } else { ", " };
        page.field(
            label,
            format!("{}{comma}{rate}", detail.line()),
            Style::new(),
        );
    }
    page.field("more", format!("pinif explain {kind}"), look::faint());
    if finding.remedies.is_empty() {
        page.field("fix", finding.remedy.clone(), look::strong());
    }
    for step in &finding.remedies {
        let label = match step.who {
            Who::Operator => "fix",
            Who::Developer => "in code",
        };
        page.field(label, step.order(), look::strong());
        for command in &step.commands {
            page.literal("run", command.clone());
        }
    }
    page
}
