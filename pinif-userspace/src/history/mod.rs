//! What auditors have found, over their restarts and those of the machine: a file of SQLite.
//!
//! `record` is what is to be written, `store` writes it, `retain` bounds it, `read` answers, `outbox` is what others do not know of it yet. The store knows neither a socket nor a
//! clock: what is written, and when it is, are given to it.

mod clock;
mod held;
mod line;
mod outbox;
mod read;
mod record;
mod retain;
mod store;
mod tables;
mod transition;

pub use self::{
    clock::Now,
    line::{AuditLine, ClockLine, HistoryLine, HistoryPage, PastFinding},
    outbox::{Behind, Machine, Outbox},
    read::History,
    record::{AuditId, AuditRecord, Batch},
    retain::Retention,
    store::{Store, Written},
    tables::StoreError,
    transition::{Change, Recorded, changes},
};

#[cfg(test)]
pub use self::transition::Transition;
