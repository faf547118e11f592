//! The control socket: a running auditor is asked over HTTP on a Unix socket, and only read.
//!
//! `protocol` is what is said, `serve` says it, `client` asks. Nothing here touches eBPF, and nobody who asks makes the collector
//! wait: it answers with facts, from which the answers are made here.

mod alive;
pub(crate) mod answer;
mod ask;
mod client;
mod closed;
pub(crate) mod connection;
mod filter;
mod followers;
pub(crate) mod gate;
mod learned;
mod listen;
pub(crate) mod openapi;
mod place;
pub mod protocol;
pub(crate) mod question;
mod readers;
mod routes;
mod serve;
mod socket_stream;
mod sockets;
mod stream;
mod view;
mod written;

pub use self::{
    ask::Collector,
    client::{Client, ClientError, Events, running},
    filter::{ClosedFilter, EventsFilter, FindingsFilter, LearnedFilter, SocketsFilter},
    listen::{Listening, Refusal},
    routes::Sources,
    serve::Server,
    sockets::Sockets,
    view::{Metrics, Words},
};
