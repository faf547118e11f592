//! A family of metrics is written: its name, what it is, and a value for each set of labels.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};

use crate::text::escape::visible;

/// Values by the labels of a family, in their order. Names that look the same are one: a family has no labels twice, or whoever reads
/// it refuses all.
pub struct Values<const N: usize> {
    labels: [&'static str; N],
    values: BTreeMap<[String; N], u64>,
}

impl<const N: usize> Values<N> {
    /// None yet, of these labels.
    pub fn of(labels: [&'static str; N]) -> Self {
        Self {
            labels,
            values: BTreeMap::new(),
        }
    }

    /// Adds to the value of these labels, which are as others wrote them.
    pub fn add(&mut self, labels: [&str; N], value: u64) {
        let labels = labels.map(|label| visible(label).into_owned());
        *self.values.entry(labels).or_default() += value;
    }

    /// With these.
    pub fn with<'a>(mut self, values: impl IntoIterator<Item = ([&'a str; N], u64)>) -> Self {
        for (labels, value) in values {
            self.add(labels, value);
        }
        self
    }
}

/// What families are written by.
pub struct Writer<'a>(DescriptorEncoder<'a>);

impl<'a> Writer<'a> {
    /// By this encoder.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// A counter; its name is without `_total`.
    pub fn counter<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: &Values<N>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, values)
    }

    /// A gauge.
    pub fn gauge<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: &Values<N>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, values)
    }

    /// A gauge of one value.
    pub fn value(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.gauge(name, help, &Values::of([]).with([([], value)]))
    }

    /// A gauge of one value that is no whole number.
    pub fn fraction(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    /// What does not change; its name is without `_info`.
    pub fn info(&mut self, name: &str, help: &str, label: (&'static str, &str)) -> fmt::Result {
        let label = [(label.0, visible(label.1))];
        self.0
            .encode_descriptor(name, help, None, MetricType::Info)?
            .encode_info(&label)
    }

    fn family<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        metric_type: MetricType,
        Values { labels, values }: &Values<N>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, metric_type)?;
        for (texts, value) in values {
            let set: Vec<(&str, &str)> = labels
                .iter()
                .copied()
                .zip(texts.iter().map(String::as_str))
                .collect();
            let mut one = family.encode_family(&set)?;
            match metric_type {
                MetricType::Counter => one.encode_counter::<NoLabelSet, _, u64>(value, None)?,
                // The library has whole numbers of both signs alone; nothing that happens is so large.
                _ => one.encode_gauge(&i64::try_from(*value).unwrap_or(i64::MAX))?,
            }
        }
        Ok(())
    }
}
