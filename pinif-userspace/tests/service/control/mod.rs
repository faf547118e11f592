//! The control socket: a real auditor, asked over its real socket.

mod answers;
pub mod asked;
mod bounds;
mod commands;
pub mod docs;
mod events;
mod flood;
mod hung;
mod metrics;
mod places;
pub mod prometheus;
mod refusals;
mod sockets;
