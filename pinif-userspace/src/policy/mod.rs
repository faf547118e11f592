//! What the operator wants: zones of interfaces, and rules that say by which of them traffic may leave.
//!
//! text → `file` → `check` → [`Policy`] → [`compile`] → the kernel's tables. A policy is checked as a whole: all
//! errors at once, each with its place and its fix. `docs/policy.md` is the reference.

mod acceptance;
mod check;
pub mod compile;
pub mod described;
mod dimension;
mod drop_ins;
mod errors;
pub mod evaluate;
mod excerpt;
mod exposure;
mod file;
mod file_id;
mod guard;
pub mod ingress_policy;
mod interface_pattern;
mod key;
mod keys;
mod membership;
mod model;
mod open;
mod prefixes;
mod problem;
mod raw;
mod read;
mod recover;
mod report;
mod rule;
pub(crate) mod schema;
mod shadow;
mod syntax;
mod trie;
mod unmatched;
mod values;

pub use acceptance::{Accept, Until};
pub use drop_ins::{drop_in_directory, drop_ins};
pub use errors::PolicyErrors;
pub use membership::membership;
pub use model::{Policy, PolicyFile};
pub(crate) use problem::{Flaw, counted, nearest, quoted};
pub use problem::{Gravity, Problem};
pub use read::Occasion;
pub(crate) use read::{open_guarded, read_text};
pub(crate) use report::Report;
pub use rule::Rule;
