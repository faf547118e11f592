//! The policy file, read, parsed, and sorted into zones and rules as they are written.
//!
//! Here is decided what is where and of which type; what it means is [`super::check`]'s.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::key::{Key, Takes};
use super::keys::{UNPARSED, ZONE_KEYS, other_name, rule_keys};
use super::problem::{Flaw, PolicyErrors, Report, Span, nearest, quoted};
use super::raw::{List, RawPolicy, RawRule, RawZone, Scalar};
use super::recover::{report_rest, sift};

/// A policy of 256 rules is a few kilobytes; what is larger than this is no policy.
const MAX_BYTES: u64 = 1 << 20;

/// The whole text of a policy.
pub(super) fn read(path: &Path) -> Result<String, PolicyErrors> {
    let origin = path.to_string_lossy();
    let file = File::open(path).map_err(|error| PolicyErrors::unreadable(&origin, &error))?;
    read_all(file, &origin)
}

/// As [`read`], of what is open already.
pub(super) fn read_all(source: impl Read, origin: &str) -> Result<String, PolicyErrors> {
    let mut bytes = Vec::new();
    source
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| PolicyErrors::unreadable(origin, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        let flaw =
            Flaw::new("this is no policy: it is larger than 1 MiB").fix("name the policy file");
        return Err(PolicyErrors::without_place(origin, flaw));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let flaw = Flaw::new(format!("line {line} is not UTF-8")).fix("save the file as UTF-8");
        PolicyErrors::without_place(origin, flaw)
    })
}

/// The parts of the file. What is not understood is reported and left out.
pub(super) fn parse(report: &mut Report<'_>) -> RawPolicy {
    let text = report.text;
    let sifted = sift(text, report);
    let (document, errors) = DeTable::parse_recoverable(&sifted.text);
    report_rest(text, &errors, report);
    let mut reader = Reader {
        report,
        raw: RawPolicy {
            lost_zones: sifted.lost_header,
            ..RawPolicy::default()
        },
    };
    for (key, value) in document.get_ref() {
        match &**key.get_ref() {
            "zone" => reader.zones(value),
            "rule" => reader.rules(value),
            "unparsed" => reader.raw.unparsed = reader.text(&UNPARSED, value),
            _ => reader.unknown_top(key),
        }
    }
    let mut raw = reader.raw;
    // The parser's tables are in the order of their keys; a policy is in the order of its file.
    raw.zones.sort_by_key(|zone| zone.name.span().start);
    mark_incomplete(&mut raw, &sifted.broken);
    raw
}

/// A broken item belongs to the last header before it.
fn mark_incomplete(raw: &mut RawPolicy, broken: &[Span]) {
    for span in broken {
        let zones = raw
            .zones
            .iter_mut()
            .map(|zone| (zone.name.span().start, &mut zone.incomplete));
        let rules = raw
            .rules
            .iter_mut()
            .map(|rule| (rule.header.start, &mut rule.incomplete));
        let owner = zones
            .chain(rules)
            .filter(|(start, _)| *start <= span.start)
            .max_by_key(|(start, _)| *start);
        if let Some((_, incomplete)) = owner {
            *incomplete = true;
        }
    }
}

struct Reader<'r, 't> {
    report: &'r mut Report<'t>,
    raw: RawPolicy,
}

impl Reader<'_, '_> {
    fn unknown_top(&mut self, key: &Spanned<DeString<'_>>) {
        let flaw = Flaw::new(format!("unknown key {}", quoted(key.get_ref())));
        let is_rules = rule_keys().any(|known| known.name == *key.get_ref());
        let is_zones = ZONE_KEYS.iter().any(|known| known.name == *key.get_ref());
        let flaw = if is_rules {
            flaw.fix("put it below the `[[rule]]` that it belongs to")
        } else if is_zones {
            flaw.fix("put it below the `[zone.NAME]` that it belongs to")
        } else if let Some(meant) = nearest(key.get_ref(), ["zone", "rule", "unparsed"]) {
            flaw.fix(format!("did you mean `{meant}`?"))
        } else {
            flaw.fix("a policy has `[zone.NAME]`, `[[rule]]` and `unparsed`, and nothing else")
        };
        self.report.error(&key.span(), flaw);
    }

    fn zones(&mut self, value: &Spanned<DeValue<'_>>) {
        let DeValue::Table(zones) = value.get_ref() else {
            let flaw = Flaw::new("`zone` is not a table of zones")
                .fix("write `[zone.NAME]`, as in `[zone.backplane]`");
            return self.report.error(&value.span(), flaw);
        };
        for (name, value) in zones {
            let DeValue::Table(zone) = value.get_ref() else {
                let nameless = ZONE_KEYS.iter().any(|known| known.name == *name.get_ref());
                let flaw = if nameless {
                    Flaw::new("a zone without a name")
                } else {
                    Flaw::new(format!("zone {} is not a table", quoted(name.get_ref())))
                };
                let flaw = flaw.fix(
                    "begin it with its name, as in `[zone.backplane]`, and put its keys below",
                );
                self.report.error(&name.span(), flaw);
                continue;
            };
            let mut raw = RawZone {
                name: Spanned::new(name.span(), name.get_ref().to_string()),
                interfaces: None,
                contained: false,
                incomplete: false,
            };
            let errors_before = self.report.errors();
            for (key, value) in zone {
                let Some(known) = self.known(key, || ZONE_KEYS.iter(), |_| None, "zone") else {
                    continue;
                };
                if known.takes == Takes::Truth {
                    raw.contained = self.truth(known, value).unwrap_or_default();
                } else {
                    raw.interfaces = self.list(known, key, value);
                }
            }
            raw.incomplete = self.report.errors() > errors_before;
            self.raw.zones.push(raw);
        }
    }

    fn rules(&mut self, value: &Spanned<DeValue<'_>>) {
        let flaw = || {
            Flaw::new("`rule` is not a list of rules")
                .fix("begin each rule with `[[rule]]`, in double brackets")
        };
        match value.get_ref() {
            DeValue::Array(rules) => {
                for rule in rules {
                    match rule.get_ref() {
                        DeValue::Table(table) => self.rule(rule.span(), table),
                        _ => self.report.error(&rule.span(), flaw()),
                    }
                }
            }
            DeValue::Table(table) => {
                self.report.error(&value.span(), flaw());
                self.rule(value.span(), table);
            }
            _ => self.report.error(&value.span(), flaw()),
        }
    }

    fn rule(&mut self, header: Span, table: &DeTable<'_>) {
        let mut raw = RawRule {
            header,
            name: None,
            lists: BTreeMap::new(),
            pinned: false,
            action: None,
            incomplete: false,
        };
        let errors_before = self.report.errors();
        for (key, value) in table {
            let Some(known) = self.known(key, rule_keys, other_name, "rule") else {
                continue;
            };
            match known.takes {
                Takes::Truth => raw.pinned = self.truth(known, value).unwrap_or_default(),
                Takes::Text if known.name == "action" => raw.action = self.text(known, value),
                Takes::Text => raw.name = self.text(known, value),
                Takes::Texts | Takes::TextsOrNumbers => {
                    if let Some(list) = self.list(known, key, value) {
                        raw.lists.insert(known.name, list);
                    }
                }
            }
        }
        raw.incomplete = self.report.errors() > errors_before;
        self.raw.rules.push(raw);
    }

    fn known<K: Iterator<Item = &'static Key>>(
        &mut self,
        key: &Spanned<DeString<'_>>,
        keys: impl Fn() -> K,
        other_name: impl Fn(&str) -> Option<&'static str>,
        owner: &str,
    ) -> Option<&'static Key> {
        let word = &**key.get_ref();
        let known = keys().find(|known| known.name == word);
        if known.is_none() {
            let names = || keys().map(|known| known.name);
            let fix = match other_name(word).or_else(|| nearest(word, names())) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!(
                    "a {owner} has {}",
                    names()
                        .map(|name| format!("`{name}`"))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            };
            self.report.error(
                &key.span(),
                Flaw::new(format!("unknown key {} in a {owner}", quoted(word))).fix(fix),
            );
        }
        known
    }

    fn wrong_type(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        let flaw = Flaw::new(format!(
            "`{}` takes {}, not {}",
            key.name,
            key.takes.described(),
            described(value.get_ref())
        ))
        .fix(format!("write it as in `{} = {}`", key.name, key.example));
        self.report.error(&value.span(), flaw);
    }

    fn truth(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) -> Option<bool> {
        if let DeValue::Boolean(truth) = value.get_ref() {
            return Some(*truth);
        }
        self.wrong_type(key, value);
        None
    }

    fn text(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Spanned<String>> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(Spanned::new(value.span(), text.to_string()));
        }
        self.wrong_type(key, value);
        None
    }

    /// The values of a list, without those of a wrong type.
    fn list(
        &mut self,
        known: &Key,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<List> {
        let values = match value.get_ref() {
            DeValue::Array(values) => {
                if values.is_empty() {
                    self.report.error(&value.span(), known.empty());
                }
                self.scalars(known, values)
            }
            _ => vec![self.scalar(known, value)?],
        };
        Some(List {
            key: key.span(),
            values,
        })
    }

    fn scalars(&mut self, known: &Key, values: &DeArray<'_>) -> Vec<Spanned<Scalar>> {
        values
            .iter()
            .filter_map(|value| self.scalar(known, value))
            .collect()
    }

    fn scalar(&mut self, known: &Key, value: &Spanned<DeValue<'_>>) -> Option<Spanned<Scalar>> {
        let scalar = scalar(known, value.get_ref());
        if scalar.is_none() {
            self.wrong_type(known, value);
        }
        scalar.map(|scalar| Spanned::new(value.span(), scalar))
    }
}

fn scalar(known: &Key, value: &DeValue<'_>) -> Option<Scalar> {
    match value {
        DeValue::String(text) => Some(Scalar::Text(text.to_string())),
        // What has more digits than 128 bits hold is out of every range too.
        DeValue::Integer(number) if known.takes == Takes::TextsOrNumbers => Some(Scalar::Number(
            i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX),
        )),
        _ => None,
    }
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
