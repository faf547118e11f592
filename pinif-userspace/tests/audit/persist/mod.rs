//! An auditor that outlives its collectors: killed at any moment, taken over, ended.

mod apart;
mod changes;
mod detach;
mod ends;
mod killed;
mod metrics;
pub mod place;
mod replies;
mod seen;
mod sizes;
pub mod upgrade;
