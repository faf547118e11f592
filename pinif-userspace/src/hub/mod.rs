//! The one published state of an audit: the collector publishes events, and each surface reads them from a queue of its own.
//!
//! No subscriber can block, end or fail the collector. To publish is to put an event into each queue, which is bounded
//! (`queue.rs`); what a queue has no room for is counted, and that subscriber learns how much it missed.

mod bounds;
pub(crate) mod event;
mod follower;
pub(crate) mod notice;
mod publish;
mod queue;
pub(crate) mod series;
pub(crate) mod snapshot;
mod subscriber;
mod subscription;
#[cfg(test)]
mod tests;

pub use self::{
    event::{Change, Event},
    follower::Follower,
    notice::Notice,
    publish::Hub,
    snapshot::Snapshot,
    subscriber::{Delivery, Subscriber},
};
