//! The words of a finding: why, what happened, and what fixes it. They are made when it is shown, from its facts alone.
//!
//! Names in them are as the system says them; who shows a text escapes it. What differs by kind is in [`super::kinds`].

pub(super) mod causes;
pub(super) mod choice;
pub(crate) mod foreseen;
mod home;
mod keep_out;
pub(super) mod phrases;
mod remedy;
mod route;
mod subflow;
#[cfg(test)]
mod tests;
mod words;

pub use causes::{Cause, CauseKind};
pub use home::Home;
pub use keep_out::KeepOut;
pub use remedy::{NewRoute, Remedy, Then};
pub use route::Route;
pub use subflow::{EndSubflow, SubflowBy};
pub use words::{cause, explanation, remedy};
