//! The report of what a pin did, for a person and for a script.

mod model;
mod words;

pub use model::PinReport;
