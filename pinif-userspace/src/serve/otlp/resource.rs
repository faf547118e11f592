//! Who sends it, and what attributes are made of. Names in values are safe to show: whoever shows them does so as they are.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
};

use crate::{history::Machine, text::escape::visible};

/// What is sent, by whom.
const SERVICE: &str = "pinif";

/// A text.
pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(visible(value).into_owned()))
}

/// A number. Nothing that happens is too large for it.
pub fn number(key: &str, value: u64) -> KeyValue {
    attribute(
        key,
        Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)),
    )
}

/// Whether something is so.
pub fn flag(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

/// An attribute.
fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The machine. Its labels are attributes by their own names, but for those that are taken.
pub fn resource(machine: &Machine) -> Resource {
    let mut attributes = vec![
        text("service.name", SERVICE),
        text("service.version", &machine.version),
    ];
    attributes.extend(machine.host.as_deref().map(|host| text("host.id", host)));
    for (name, value) in &machine.labels {
        let name = visible(name);
        if !attributes.iter().any(|known| known.key == *name) {
            attributes.push(text(&name, value));
        }
    }
    Resource {
        attributes,
        ..Resource::default()
    }
}

/// What of pinif's makes what is sent.
pub fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: SERVICE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_takes_no_name_of_others_and_hides_nothing() {
        let machine = Machine {
            host: Some("0123".to_owned()),
            labels: [
                ("chassis", "c\u{202e}1"),
                ("host.id", "another"),
                ("slot", "7"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            version: "0.1.0".to_owned(),
        };
        assert_eq!(
            resource(&machine).attributes,
            [
                text("service.name", "pinif"),
                text("service.version", "0.1.0"),
                text("host.id", "0123"),
                text("chassis", "c\\u{202e}1"),
                text("slot", "7"),
            ]
        );
    }
}
