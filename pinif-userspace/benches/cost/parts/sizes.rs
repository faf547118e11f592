//! How large each program is, for the verifier and as machine code: figures that the machine's speed does not change.

use anyhow::Result;

use super::Plan;
use crate::auditor::Auditor;
use crate::bpf::facts_of;
use crate::policies;
use crate::report::{Row, Section};
use crate::site::Site;

/// Asks the kernel.
///
/// # Errors
/// Where pinif ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("sizes");
    let site = Site::new()?;
    let auditor = Auditor::of(&site, &policies::one_prefix())?;
    let mut rows = Vec::new();
    for (facts, hooks) in facts_of(auditor.pid())? {
        let hooks: Vec<String> = hooks.iter().map(ToString::to_string).collect();
        let hooks = if hooks.is_empty() {
            // What others go on with by a tail call, and what ran once.
            "—".to_owned()
        } else {
            hooks.join(", ")
        };
        for (what, unit, figure) in [
            ("verified", "instructions", facts.verified),
            ("loaded", "bytes", facts.translated),
            ("machine code", "bytes", Some(facts.jitted)),
        ] {
            let of = [facts.name.as_str(), &hooks, what];
            rows.push(Row::new(
                of,
                unit,
                figure.map(f64::from).into_iter().collect(),
            ));
        }
    }
    Ok(vec![Section {
        name: "sizes",
        title: "The size of each program",
        about: Some(
            "They do not depend on the machine's speed. The program without a place is gone on with by the ones at TC egress; the iterator runs once, at the start.",
        ),
        columns: vec!["program", "attached to", "what"],
        rows,
    }])
}
