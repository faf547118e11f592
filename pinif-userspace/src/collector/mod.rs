//! The collector: from what the kernel counted to events. [`run`] is the only wiring; each other file is a part with a state
//! of its own, and is given what it needs to know, time included.

mod attachments;
mod audit;
mod check;
mod detect;
pub(crate) mod enforcement;
mod following;
mod foreseeing;
mod foreseer;
mod foresight;
mod gaps;
mod host_view;
mod integrity;
mod interfaces;
pub(crate) mod ledger;
mod losses;
mod names;
mod namespaces;
mod netlink_events;
mod persisted_policy;
mod persistence;
pub(crate) mod plan;
mod progress;
mod rate_limit;
mod reload;
mod report;
pub(crate) mod run;
mod searches;
mod seen;
mod session;
mod snapshot;
mod start;
mod takeover;
mod timer;
mod totals;
mod waiting;
