//! The rules that choose among routing tables (ip-rule(8)): what they are, and which of them sent a packet to its table.
//!
//! The kernel answers with the table of a packet's route, and no rule. The rule is the first that takes the packet and whose
//! table has the route: the same walk as `fib_rules_lookup`, with the kernel's own answer at its end.

mod choice;
mod list;
mod message;
mod rule;
mod words;

pub use choice::Flow;
pub use list::Rules;
pub use rule::{Action, Rule, Selector};

#[cfg(test)]
mod tests;
