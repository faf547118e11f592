//! pinif audits where packets really leave, against the device that each socket is bound to.

// They panic where the stream is closed or full: `text::streams` and the sinks do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod capture;
pub mod cli;
mod collector;
pub mod commands;
pub mod control;
pub mod findings;
pub mod foresee;
mod history;
mod hold;
pub mod host;
pub mod hub;
pub mod kernel;
pub mod learned;
pub mod policy;
pub mod schema;
mod serve;
pub mod surfaces;
pub mod survey;
pub mod text;
