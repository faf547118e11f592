//! Metrics for Prometheus and what reads its formats. Names and labels are a contract with dashboards and alert rules
//! (`docs/metrics.md`); nothing that other hosts or programs choose freely is a label.

mod families;
mod form;
mod write;

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text, text},
    registry::Registry,
};

use crate::hub::Snapshot;

pub use self::{
    form::Form,
    write::{Values, Writer},
};

/// All metrics of an audit as it is in a snapshot; without one, that no auditor is ready.
pub fn text(snapshot: Option<&Arc<Snapshot>>, form: Form) -> String {
    let snapshot = snapshot.cloned();
    encoded(form, move |writer| {
        let is_ready = snapshot.as_ref().is_some_and(|snapshot| snapshot.is_ready);
        families::of_auditor(writer, is_ready)?;
        match &snapshot {
            Some(snapshot) => families::of_audit(writer, snapshot),
            None => Ok(()),
        }
    })
}

/// Metrics of another program than the auditor, in the format that may stand behind its.
pub fn own(write: impl Fn(&mut Writer<'_>) -> fmt::Result + Send + Sync + 'static) -> String {
    encoded(Form::Text, write)
}

fn encoded(
    form: Form,
    write: impl Fn(&mut Writer<'_>) -> fmt::Result + Send + Sync + 'static,
) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics(write)));
    let mut all = String::new();
    let written = match form {
        Form::OpenMetrics => text::encode(&mut all, &registry),
        Form::Text => prometheus_text::encode(&mut all, &registry),
    };
    // Writing to a string cannot fail.
    written.map_or_else(|_| String::new(), |()| all)
}

/// The same as an answer to whoever accepts this (`Accept`): of what type it is, and the text.
pub fn answer(snapshot: Option<&Arc<Snapshot>>, accepted: &str) -> (&'static str, String) {
    let form = Form::accepted(accepted);
    (form.content_type(), text(snapshot, form))
}

/// What is written.
struct Metrics<W>(W);

impl<W: Fn(&mut Writer<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Metrics<W> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Writer::new(encoder))
    }
}

impl<W> fmt::Debug for Metrics<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests;
