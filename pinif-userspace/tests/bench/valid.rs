//! Lines of JSON against the schemas that are published.

use pinif_lab::is_emulated;
use serde_json::Value;

/// What a line says, which must be as the schema has it. As of an audit's lines, the schema is not asked where the processor is
/// emulated.
#[track_caller]
pub fn valid(line: &str, schema: fn() -> Value) -> Value {
    let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    if is_emulated() {
        return value;
    }
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema())
        .expect("the schema is one");
    if let Err(error) = validator.validate(&value) {
        panic!("against the schema: {error}: {line}");
    }
    value
}
