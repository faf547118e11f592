//! The text of a policy, parsed, and sorted into zones and rules as they are written.
//!
//! Here is decided what is where and of which type; what it means is [`super::check`]'s.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::key::{Key, Takes};
use super::keys::{ACCEPT_KEYS, UNPARSED, ZONE_KEYS, other_accept_name, other_name, rule_keys};
use super::problem::{Flaw, Span, nearest, quoted};
use super::raw::{List, RawAccept, RawPolicy, RawRule, RawZone, Scalar};
use super::recover::{report_rest, sift};
use super::report::Report;

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
            "rule" => reader.tables(value, "rule", Reader::rule),
            "accept" => reader.tables(value, "accept", Reader::accept),
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
    let zones = raw
        .zones
        .iter_mut()
        .map(|zone| (zone.name.span().start, &mut zone.incomplete));
    let rules = raw
        .rules
        .iter_mut()
        .map(|rule| (rule.header.start, &mut rule.incomplete));
    let accepts = raw
        .accepts
        .iter_mut()
        .map(|accept| (accept.header.start, &mut accept.incomplete));
    let mut owners: Vec<_> = zones.chain(rules).chain(accepts).collect();
    owners.sort_by_key(|(start, _)| *start);
    for span in broken {
        let later = owners.partition_point(|(start, _)| *start <= span.start);
        if let Some((_, incomplete)) = later.checked_sub(1).and_then(|last| owners.get_mut(last)) {
            **incomplete = true;
        }
    }
}

struct Reader<'r, 't> {
    report: &'r mut Report<'t>,
    raw: RawPolicy,
}

impl Reader<'_, '_> {
    fn unknown_top(&mut self, key: &Spanned<DeString<'_>>) {
        self.report.error_of(&key.span(), || unknown_top(key));
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

    /// The tables of a list, as `[[rule]]` begins them.
    fn tables(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        word: &str,
        read: impl Fn(&mut Self, Span, &DeTable<'_>),
    ) {
        let flaw = || {
            Flaw::new(format!("`{word}` is not a list of tables"))
                .fix(format!("begin each with `[[{word}]]`, in double brackets"))
        };
        match value.get_ref() {
            DeValue::Array(tables) => {
                for one in tables {
                    match one.get_ref() {
                        DeValue::Table(table) => read(self, one.span(), table),
                        _ => self.report.error(&one.span(), flaw()),
                    }
                }
            }
            DeValue::Table(table) => {
                self.report.error(&value.span(), flaw());
                read(self, value.span(), table);
            }
            _ => self.report.error(&value.span(), flaw()),
        }
    }

    fn rule(&mut self, header: Span, table: &DeTable<'_>) {
        let mut raw = RawRule {
            header,
            name: None,
            lists: BTreeMap::new(),
            pinned: None,
            action: None,
            incomplete: false,
        };
        let errors_before = self.report.errors();
        for (key, value) in table {
            let Some(known) = self.known(key, rule_keys, other_name, "rule") else {
                continue;
            };
            match known.takes {
                Takes::Truth => {
                    raw.pinned = (self.truth(known, value) == Some(true)).then(|| key.span());
                }
                Takes::Text if known.name == "action" => raw.action = self.text(known, value),
                Takes::Text => raw.name = self.text(known, value),
                Takes::Texts | Takes::TextsOrNumbers => {
                    if let Some(list) = self.list(known, key, value) {
                        raw.lists.insert(known.name, list);
                    }
                }
                Takes::Date => {}
            }
        }
        raw.incomplete = self.report.errors() > errors_before;
        self.raw.rules.push(raw);
    }

    fn accept(&mut self, header: Span, table: &DeTable<'_>) {
        let mut raw = RawAccept {
            header,
            lists: BTreeMap::new(),
            reason: None,
            until: None,
            incomplete: false,
        };
        let errors_before = self.report.errors();
        let keys = || ACCEPT_KEYS.iter();
        for (key, value) in table {
            let Some(known) = self.known(key, keys, other_accept_name, "table of `accept`") else {
                continue;
            };
            match known.takes {
                Takes::Date => raw.until = self.date(known, value),
                Takes::Text => raw.reason = self.text(known, value),
                Takes::Texts | Takes::TextsOrNumbers => {
                    if let Some(list) = self.list(known, key, value) {
                        raw.lists.insert(known.name, list);
                    }
                }
                Takes::Truth => {}
            }
        }
        raw.incomplete = self.report.errors() > errors_before;
        self.raw.accepts.push(raw);
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
        if known.is_some() {
            return known;
        }
        self.report.error_of(&key.span(), || {
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
            Flaw::new(format!("unknown key {} in a {owner}", quoted(word))).fix(fix)
        });
        None
    }

    fn wrong_type(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        self.report.error_of(&value.span(), || {
            let (wanted, given) = (key.takes.described(), described(value.get_ref()));
            Flaw::new(format!("`{}` takes {wanted}, not {given}", key.name))
                .fix(format!("write it as in `{} = {}`", key.name, key.example))
        });
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

    /// A date as it is written, in quotes or not.
    fn date(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Spanned<String>> {
        let text = match value.get_ref() {
            DeValue::Datetime(date) => date.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => {
                self.wrong_type(key, value);
                return None;
            }
        };
        Some(Spanned::new(value.span(), text))
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

/// A key that stands in no zone and in no rule.
fn unknown_top(key: &Spanned<DeString<'_>>) -> Flaw {
    let flaw = Flaw::new(format!("unknown key {}", quoted(key.get_ref())));
    let is_rules = rule_keys().any(|known| known.name == *key.get_ref());
    let is_accepts = ACCEPT_KEYS.iter().any(|known| known.name == *key.get_ref());
    let is_zones = ZONE_KEYS.iter().any(|known| known.name == *key.get_ref());
    if is_rules {
        flaw.fix("put it below the `[[rule]]` that it belongs to")
    } else if is_zones {
        flaw.fix("put it below the `[zone.NAME]` that it belongs to")
    } else if is_accepts {
        flaw.fix("put it below the `[[accept]]` that it belongs to")
    } else if let Some(meant) = nearest(key.get_ref(), ["zone", "rule", "accept", "unparsed"]) {
        flaw.fix(format!("did you mean `{meant}`?"))
    } else {
        flaw.fix(
            "a policy has `[zone.NAME]`, `[[rule]]`, `[[accept]]` and `unparsed`, and nothing else",
        )
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
