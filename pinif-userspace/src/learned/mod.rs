//! What an auditor has learned of what is sent by whom (`pinif audit --learn`), the draft of a policy that is made of it, and the trial of
//! another policy on it.

mod draft;
mod groups;
mod network;
mod page;
mod report;
mod text;
mod traffic;
mod trial;

pub use draft::{Draft, draft};
pub use network::LearnedNamespace;
pub use page::{LearnedPage, Page};
pub use report::TrialReport;
pub use text::written;
pub use traffic::{Amount, Sender, Traffic, usual_network};
pub use trial::{Broken, Trial, tried};

#[cfg(test)]
mod tests;
