//! Metrics for Prometheus and what reads its formats. Names and labels are a contract with dashboards and alert rules
//! (`docs/metrics.md`); nothing that other hosts or programs choose freely is a label.

mod families;
mod form;
mod write;

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text, text},
    registry::Registry,
};

use self::write::Writer;
use crate::hub::Snapshot;

pub use self::form::Form;

/// All metrics of an audit as it is in a snapshot; without one, that no auditor is ready.
pub fn text(snapshot: Option<&Arc<Snapshot>>, form: Form) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics(snapshot.cloned())));
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

/// What is written at each scrape.
#[derive(Debug)]
struct Metrics(Option<Arc<Snapshot>>);

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut writer = Writer::new(encoder);
        families::of_auditor(&mut writer, self.0.is_some())?;
        match &self.0 {
            Some(snapshot) => families::of_audit(&mut writer, snapshot),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
