//! What a fleet costs: what findings take on their way, and what takes them and the metrics of a thousand cards in. One card is real, with its
//! findings, records and metrics; what the others send is the same in their names.

mod card;
mod collector;
mod database;
mod messages;

use anyhow::Result;

use super::Plan;
use crate::report::Section;

/// How many cards there are.
const CARDS: u64 = 1_000;
/// How many findings they have together.
const FINDINGS: u64 = 1_000_000;

/// Measures.
///
/// # Errors
/// Where the kernel refuses something, a program is missing, or one ends.
pub fn run(plan: &Plan) -> Result<Vec<Section>> {
    plan.progress.say("fleet: one card");
    let card = card::Card::measure()?;
    let mut sections = vec![card.section()];
    sections.push(collector::measure(plan, &card)?);
    sections.push(database::measure(plan, &card)?);
    Ok(sections)
}
