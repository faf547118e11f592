//! The JSON Schema of the policy file, for editors: made from the keys that the file is read by.
//!
//! It knows types, words and the shapes of values. Whether a zone exists, a prefix has host bits or a rule is ever reached, only
//! [`Policy::parse`](super::Policy::parse) knows: what this refuses is an error there, and not the other way round.

use pinif_ebpf::verdict::Kind;
use serde_json::{Map, Value, json};

use super::{
    dimension::PROTOCOLS,
    key::{Key, Takes},
    keys::{ACCEPT_KEYS, UNPARSED, ZONE_KEYS, rule_keys},
    values::ACTIONS,
};

/// The schema (draft 7, which is what editors of TOML read).
pub fn schema() -> Value {
    let rules: Vec<&Key> = rule_keys().collect();
    // What a rule is for, and what it demands, or that it allows: at least one of each.
    let (demands, others): (Vec<&Key>, Vec<&Key>) = rules
        .iter()
        .partition(|key| ["only_via", "pinned"].contains(&key.name));
    let is_for = others
        .iter()
        .filter(|key| !["name", "action"].contains(&key.name));
    let accepts: Vec<&Key> = ACCEPT_KEYS
        .iter()
        .filter(|key| !["reason", "until"].contains(&key.name))
        .collect();
    let demanded = [present(demands.iter()), vec![allows()]].concat();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "pinif's policy",
        "description": "Which traffic may leave by which interfaces: pinif-policy(5).",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            UNPARSED.name: of_key(&UNPARSED),
            "zone": {
                "description": "Sets of interfaces, by their names.",
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["interfaces"],
                    "properties": properties(ZONE_KEYS.iter()),
                },
            },
            "rule": {
                "description": "The first rule that matches a packet decides.",
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name"],
                    "properties": properties(rules.iter().copied()),
                    "allOf": [
                        {"anyOf": present(is_for)},
                        {"anyOf": demanded},
                    ],
                },
            },
            "accept": {
                "description": "Findings that are accepted for a time: they are counted and shown, and alert nobody.",
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["reason", "until"],
                    "properties": properties(ACCEPT_KEYS.iter()),
                    "anyOf": present(accepts.iter()),
                },
            },
        },
    })
}

fn properties<'k>(keys: impl Iterator<Item = &'k Key>) -> Map<String, Value> {
    keys.map(|key| (key.name.to_owned(), of_key(key))).collect()
}

/// For each key, that it is there.
fn present<'a, 'k: 'a>(keys: impl Iterator<Item = &'a &'k Key>) -> Vec<Value> {
    keys.map(|key| json!({"required": [key.name]})).collect()
}

/// That the rule is an exception.
fn allows() -> Value {
    json!({"properties": {"action": {"const": "allow"}}, "required": ["action"]})
}

fn of_key(key: &Key) -> Value {
    let one = value(key);
    let mut schema = match key.takes {
        Takes::Text | Takes::Truth | Takes::Date => one,
        Takes::Texts | Takes::TextsOrNumbers => json!({
            "anyOf": [one, {"type": "array", "minItems": 1, "items": one}]
        }),
    };
    schema["description"] = key.about.into();
    schema
}

/// One value of a key.
fn value(key: &Key) -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let number = |most: u32| json!({"type": "integer", "minimum": 0, "maximum": most});
    match key.name {
        "kind" => json!({"enum": Kind::ALL.map(Kind::name)}),
        "until" => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]+([Zz]|[+-][0-9:]+))?$"),
        "action" => json!({"enum": ACTIONS}),
        "unparsed" => json!({"enum": ["drop", "pass"]}),
        "destination" | "source" => text("^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"),
        "port" | "source_port" => {
            json!({"anyOf": [number(65_535), text("^ *[0-9]{1,} *(- *[0-9]{1,} *)?$")]})
        }
        "protocol" => {
            let names = PROTOCOLS.map(|(name, _)| name);
            json!({"anyOf": [number(255), {"enum": names}]})
        }
        "user" => json!({"anyOf": [number(u32::MAX - 1), text(".")]}),
        "cgroup" | "executable" => text("^/"),
        _ => match key.takes {
            Takes::Truth => json!({"type": "boolean"}),
            _ => text("."),
        },
    }
}
