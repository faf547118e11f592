//! `pinif serve`: what a running auditor says, for whoever may not ask it or cannot (Prometheus, a browser, a person without root), and
//! what auditors have said, kept. It has no privilege but to be let in at the control socket. If it ends, the auditor goes on and misses
//! nothing.
//!
//! `follow` hears the auditor, `heard` is what it said last, `recorder` keeps the history, `web` answers.

mod address;
mod ask;
mod follow;
mod heard;
mod listen;
mod metrics;
mod recorder;
mod report;
mod run;
mod web;

pub use self::{
    address::{Address, address},
    run::{Plan, run},
};
