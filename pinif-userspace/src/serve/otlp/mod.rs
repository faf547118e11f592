//! OTLP: what the history has of findings, and the metrics, are sent to a collector of OpenTelemetry by HTTP, in its binary form
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! `endpoint` is where to, `request` sends one message, `reply` is what its answer means, `pace` when to try again; `record`, `resource`
//! and `metrics` make the messages; `standing` is how it stands; `trouble` is what is said of a collector that refuses; `export` does all of it in turn. What is to be sent is the history's
//! [`Outbox`](crate::history::Outbox).

mod endpoint;
mod export;
mod metrics;
mod pace;
mod record;
mod reply;
mod request;
mod resource;
mod standing;
mod trouble;

pub use self::{
    endpoint::{Endpoint, endpoint},
    export::Exporter,
    request::Collector,
    standing::{Exports, Standing},
};
