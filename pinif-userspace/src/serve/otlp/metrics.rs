//! Metrics as a collector takes them: the same names and values as `/metrics` has, cumulative. What is read is what pinif wrote itself:
//! counters and gauges, in the text format 0.0.4.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Gauge, Metric, NumberDataPoint, Sum, metric::Data,
        number_data_point::Value,
    },
};

use super::resource;

/// What says when an audit's counts begin.
const STARTED: &str = "pinif_started_timestamp_seconds";

/// The metrics of a text that is so now. Its counters begin when it says so; else when `started` was.
pub fn metrics(text: &str, started: SystemTime, now: SystemTime) -> Vec<Metric> {
    let mut helps = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    let mut points: Vec<(&str, Vec<NumberDataPoint>)> = Vec::new();
    let mut began = nanos(started);
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let of = match words.next() {
                Some("HELP") => &mut helps,
                Some("TYPE") => &mut kinds,
                _ => continue,
            };
            if let (Some(name), Some(what)) = (words.next(), words.next()) {
                of.insert(name, what);
            }
        } else if let Some((name, attributes, value)) = sample(line) {
            if name == STARTED
                && let Value::AsInt(seconds) = value
            {
                began = seconds.unsigned_abs().saturating_mul(1_000_000_000);
            }
            let point = NumberDataPoint {
                attributes,
                time_unix_nano: nanos(now),
                value: Some(value),
                ..NumberDataPoint::default()
            };
            match points.last_mut() {
                Some((last, all)) if *last == name => all.push(point),
                _ => points.push((name, vec![point])),
            }
        }
    }
    let metrics = points.into_iter().map(|(name, mut points)| {
        // Of counters, the comments may name the family without `_total`.
        let of = |all: &BTreeMap<&str, &str>| {
            let family = name.strip_suffix("_total").unwrap_or(name);
            all.get(name)
                .or_else(|| all.get(family))
                .map(|&text| text.to_owned())
        };
        let data = if of(&kinds).as_deref() == Some("counter") {
            for point in &mut points {
                point.start_time_unix_nano = began;
            }
            Data::Sum(Sum {
                data_points: points,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            })
        } else {
            Data::Gauge(Gauge {
                data_points: points,
            })
        };
        Metric {
            name: name.to_owned(),
            description: of(&helps).unwrap_or_default(),
            data: Some(data),
            ..Metric::default()
        }
    });
    metrics.collect()
}

/// How many values these have.
pub fn points(metrics: &[Metric]) -> u64 {
    let of = |metric: &Metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        // No other kind is made here.
        _ => 0,
    };
    metrics.iter().map(of).sum::<usize>() as u64
}

/// A line of a value: `name{label="text",…} 7`.
fn sample(line: &str) -> Option<(&str, Vec<KeyValue>, Value)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut attributes = Vec::new();
    if let Some(labels) = rest.strip_prefix('{') {
        rest = labels;
        while !rest.starts_with('}') {
            let (key, after) = rest.strip_prefix(',').unwrap_or(rest).split_once("=\"")?;
            let (value, after) = unquoted(after)?;
            attributes.push(resource::text(key, &value));
            rest = after;
        }
        rest = rest.strip_prefix('}')?;
    }
    let number = rest.trim();
    let value = number.parse().map(Value::AsInt);
    let value = value
        .or_else(|_| number.parse().map(Value::AsDouble))
        .ok()?;
    Some((name, attributes, value))
}

/// A label's value up to its quote, and what is behind that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    loop {
        match letters.next()? {
            (at, '"') => return Some((value, text.get(at + 1..)?)),
            (_, '\\') => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, letter) => value.push(letter),
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::surfaces::metrics::{Values, own};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn point(attributes: Vec<KeyValue>, value: Value, started: u64) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: started * 1_000_000_000,
            time_unix_nano: 9_000_000_000,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    #[test]
    fn what_is_written_is_read_with_its_types_and_labels() {
        let text = own(|writer| {
            writer.counter(
                "pinif_packets",
                "Packets that left",
                &Values::of(["netns", "zone"]).with([
                    (["a\"b\\c", "x,y}"], 7),
                    (["d", ""], u64::from(u32::MAX) + 1),
                ]),
            )?;
            writer.info("pinif_build", "The version", ("version", "0.1.0"))?;
            writer.fraction("pinif_age_seconds", "How old", 0.25)
        });
        let all = metrics(&text, at(3), at(9));
        let netns = |name: &str, zone: &str| {
            vec![resource::text("netns", name), resource::text("zone", zone)]
        };
        let packets = vec![
            point(netns("a\"b\\c", "x,y}"), Value::AsInt(7), 3),
            point(netns("d", ""), Value::AsInt(4_294_967_296), 3),
        ];
        let version = vec![resource::text("version", "0.1.0")];
        let gauge = |point| {
            Data::Gauge(Gauge {
                data_points: vec![point],
            })
        };
        let expected = [
            (
                "pinif_packets_total",
                "Packets that left",
                Data::Sum(Sum {
                    data_points: packets,
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                    is_monotonic: true,
                }),
            ),
            (
                "pinif_build_info",
                "The version",
                gauge(point(version, Value::AsInt(1), 0)),
            ),
            (
                "pinif_age_seconds",
                "How old",
                gauge(point(Vec::new(), Value::AsDouble(0.25), 0)),
            ),
        ];
        let expected = expected.map(|(name, description, data)| Metric {
            name: name.to_owned(),
            description: description.to_owned(),
            data: Some(data),
            ..Metric::default()
        });
        assert_eq!(all, expected, "{text}");
        assert_eq!(points(&all), 4);
    }

    #[test]
    fn counters_begin_when_the_audit_says_so() {
        let text = "# TYPE a_total counter\na_total 1\npinif_started_timestamp_seconds 5\n";
        let all = metrics(text, at(3), at(9));
        let Some(Data::Sum(sum)) = &all[0].data else {
            panic!("a counter: {all:?}");
        };
        assert_eq!(sum.data_points, [point(Vec::new(), Value::AsInt(1), 5)]);
    }

    #[test]
    fn what_is_no_value_is_left_out() {
        for line in [
            "",
            "a",
            "a{",
            "a{b=\"c",
            "a{b=\"c\"",
            "a{b=\"c\"} x",
            "a b",
            "# ",
            "# HELP",
        ] {
            assert_eq!(metrics(line, at(3), at(9)), [], "{line}");
        }
    }
}
