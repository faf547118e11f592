//! `pinif serve`: what a running auditor says, for whoever may not ask it or cannot (Prometheus, a browser, a person without root), and
//! what auditors have said, kept. It has no privilege but to be let in at the control socket. If it ends, the auditor goes on and misses
//! nothing.
//!
//! `follow` hears the auditor, `heard` is what it said last, `recorder` keeps the history, `web` answers, `sources` is what all of it is made of,
//! `page` is what a browser shows of it. `otlp` sends what the history has to a collector. `secure` is what readers of other machines pass before, `exec` calls
//! the operator's program. `via` makes each socket of TCP.

mod address;
mod ask;
mod exec;
mod follow;
mod heard;
mod host_names;
mod listen;
mod metrics;
mod otlp;
mod page;
mod recorder;
mod report;
mod run;
mod secure;
mod sources;
mod via;
mod web;

pub use self::{
    address::{Address, address},
    exec::Program,
    otlp::{Collector, Endpoint, endpoint},
    run::{Otlp, Plan, run},
    secure::{Files, InForce},
    via::Via,
};
