//! What the parts of the file mean together: the policy, or all that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use pinif_ebpf::enforce::Action;
use pinif_ebpf::packet::protocol::has_ports;
use pinif_ebpf::policy::{MAX_RULES, MAX_ZONES};

use super::dimension::{self, Dimension as _, LookUp, for_each_dimension, protocol_name};
use super::model::{Policy, Zone};
use super::problem::{Flaw, Span, nearest, quoted};
use super::raw::{RawPolicy, RawRule, RawZone, Scalar};
use super::report::Report;
use super::rule::Rule;
use super::{acceptance, shadow, values};

/// How many names and patterns the zones together may have: each interface of the host is compared with all of them.
const MOST_INTERFACES: usize = 10_000;

/// The policy, but for its warnings. It is to be used only where `report` has no errors afterwards.
pub(super) fn check(raw: &RawPolicy, report: &mut Report<'_>, look_up: LookUp<'_>) -> Policy {
    let mut checker = Checker {
        raw,
        zones: &raw.zones[..raw.zones.len().min(MAX_ZONES)],
        rules: &raw.rules[..raw.rules.len().min(MAX_RULES)],
        over: BTreeSet::new(),
        report,
        look_up,
    };
    checker.limits();
    let zones = checker
        .zones
        .iter()
        .map(|zone| checker.zone(zone))
        .collect();
    let passes_unparsed = checker.passes_unparsed();
    checker.rule_names();
    let rules: Vec<Rule> = checker
        .rules
        .iter()
        .map(|rule| checker.rule(rule))
        .collect();
    if report.errors() == 0 {
        shadow::warn(&rules, raw, report);
    }
    let names: Vec<&str> = raw
        .rules
        .iter()
        .filter_map(|rule| Some(rule.name.as_ref()?.get_ref().as_str()))
        .collect();
    let accepts = acceptance::check(&raw.accepts, &[], &names, report, look_up);
    Policy {
        accepts,
        zones,
        rules,
        passes_unparsed,
        warnings: Vec::new(),
        file: None,
    }
}

macro_rules! checks {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        /// How many values the rules together may have of each key.
        const MAX_VALUES: &[(&str, usize)] = &[$((dimension::$dimension::KEY.name, dimension::$dimension::MOST)),*];

        impl Checker<'_, '_> {
            /// What a rule says of its traffic.
            fn matchers(&mut self, raw: &RawRule) -> Rule {
                let look_up = self.look_up;
                Rule {
                    $($field: self.list(raw, dimension::$dimension::KEY.name, |value| {
                        dimension::$dimension::parse(value, look_up)
                    }),)*
                    ..Rule::default()
                }
            }
        }
    };
}
for_each_dimension!(checks);

struct Checker<'c, 't> {
    raw: &'c RawPolicy,
    /// Those that there may be; of more, one error says enough.
    zones: &'c [RawZone],
    rules: &'c [RawRule],
    /// The keys that have more values than they may.
    over: BTreeSet<&'static str>,
    report: &'c mut Report<'t>,
    look_up: LookUp<'c>,
}

impl Checker<'_, '_> {
    fn limits(&mut self) {
        if let Some(zone) = self.raw.zones.get(MAX_ZONES) {
            let flaw = Flaw::new(format!("more than {MAX_ZONES} zones"))
                .fix("put interfaces that the rules treat the same way into one zone");
            self.report.error(&zone.name.span(), flaw);
        }
        let lists = self
            .zones
            .iter()
            .filter_map(|zone| zone.interfaces.as_ref());
        if let Some(value) = lists.flat_map(|list| &list.values).nth(MOST_INTERFACES) {
            let flaw = Flaw::new(format!(
                "the zones have more than {MOST_INTERFACES} interfaces"
            ))
            .fix("use patterns, as in `fab*`");
            self.report.error(&value.span(), flaw);
        }
        if let Some(rule) = self.raw.rules.get(MAX_RULES) {
            let flaw = Flaw::new(format!("more than {MAX_RULES} rules"))
                .fix("a rule takes lists: put those that demand the same into one");
            self.report.error(&rule.header, flaw);
        }
        for &(key, most) in MAX_VALUES {
            let lists = self.raw.rules.iter().filter_map(|rule| rule.lists.get(key));
            if let Some(value) = lists.flat_map(|list| &list.values).nth(most) {
                let flaw = Flaw::new(format!("the rules have more than {most} values of `{key}`"))
                    .fix("use prefixes and ranges, or fewer rules with the same values");
                self.report.error(&value.span(), flaw);
                self.over.insert(key);
            }
        }
    }

    fn zone(&mut self, raw: &RawZone) -> Zone {
        if let Err(flaw) = values::name(raw.name.get_ref(), "zone") {
            self.report.error(&raw.name.span(), flaw);
        }
        let mut interfaces = Vec::new();
        let listed = raw.interfaces.iter().flat_map(|list| &list.values);
        for value in listed.take(MOST_INTERFACES) {
            let text = value.get_ref().as_text();
            if let Some((name, _)) = text.split_once('@') {
                let flaw = Flaw::new(format!("{} is hardly an interface's name", quoted(&text)))
                    .fix(format!(
                        "`ip link` shows the parent or peer behind the `@`; the name is {}",
                        quoted(name)
                    ));
                self.report.warning(&value.span(), None, flaw);
            }
            match values::interfaces(&text) {
                Ok(pattern) => interfaces.push(pattern),
                Err(flaw) => self.report.error(&value.span(), flaw),
            }
        }
        if raw.interfaces.is_none() && !raw.incomplete {
            let flaw = Flaw::new(format!(
                "zone {} has no interfaces",
                quoted(raw.name.get_ref())
            ))
            .fix(r#"name them, as in `interfaces = ["fab*"]`"#);
            self.report.error(&raw.name.span(), flaw);
        }
        Zone {
            name: raw.name.get_ref().clone(),
            interfaces,
            contained: raw.contained,
        }
    }

    fn rule_names(&mut self) {
        let mut seen = BTreeMap::<&str, Span>::new();
        for rule in self.rules {
            let Some(name) = &rule.name else {
                if !rule.incomplete {
                    let flaw = Flaw::new("a rule without a name")
                        .fix(r#"findings show it: `name = "control-plane"`"#);
                    self.report.error(&rule.header, flaw);
                }
                continue;
            };
            if let Err(flaw) = values::name(name.get_ref(), "rule") {
                self.report.error(&name.span(), flaw);
            } else if let Some(first) = seen.get(&**name.get_ref()) {
                let flaw = Flaw::new(format!("two rules are named {}", quoted(name.get_ref())))
                    .fix("findings name the rule: give each its own name");
                self.report
                    .error_with(&name.span(), (first, "the first"), flaw);
            } else {
                seen.insert(name.get_ref(), name.span());
            }
        }
    }

    fn rule(&mut self, raw: &RawRule) -> Rule {
        let errors_before = self.report.errors();
        let rule = Rule {
            name: raw
                .name
                .as_ref()
                .map(|name| name.get_ref().clone())
                .unwrap_or_default(),
            only_via: self.zones_named(raw),
            pinned: raw.pinned.is_some(),
            action: self.action(raw),
            ..self.matchers(raw)
        };
        self.demands(raw, rule.action);
        if self.report.errors() == errors_before {
            self.families(raw, &rule);
            self.ports_of_protocols(raw, &rule);
        }
        rule
    }

    fn list<T>(
        &mut self,
        raw: &RawRule,
        key: &str,
        parse: impl Fn(&Scalar) -> Result<T, Flaw>,
    ) -> Vec<T> {
        let mut parsed = Vec::new();
        if self.over.contains(key) {
            return parsed;
        }
        for value in raw.lists.get(key).iter().flat_map(|list| &list.values) {
            match parse(value.get_ref()) {
                Ok(value) => parsed.push(value),
                Err(flaw) => self.report.error(&value.span(), flaw),
            }
        }
        parsed
    }

    fn passes_unparsed(&mut self) -> bool {
        let Some(unparsed) = &self.raw.unparsed else {
            return false;
        };
        values::unparsed(unparsed.get_ref()).unwrap_or_else(|flaw| {
            self.report.error(&unparsed.span(), flaw);
            false
        })
    }

    fn action(&mut self, raw: &RawRule) -> Action {
        let Some(action) = &raw.action else {
            return Action::Unsaid;
        };
        values::action(action.get_ref()).unwrap_or_else(|flaw| {
            self.report.error(&action.span(), flaw);
            Action::Unsaid
        })
    }

    fn zones_named(&mut self, raw: &RawRule) -> Vec<usize> {
        let zones = self.zones;
        let lost_zones = self.raw.lost_zones || self.raw.zones.len() > zones.len();
        let mut found = self.list(raw, "only_via", |value| {
            let name = value.as_text();
            match zones.iter().position(|zone| *zone.name.get_ref() == *name) {
                Some(zone) => Ok(Some(zone)),
                None if lost_zones => Ok(None),
                None => Err(unknown_zone(&name, zones)),
            }
        });
        found.sort_unstable();
        found.dedup();
        found.into_iter().flatten().collect()
    }

    /// A rule says which traffic, and demands something of it or allows it.
    fn demands(&mut self, raw: &RawRule, action: Action) {
        let only_via = raw.lists.get("only_via");
        if let (Action::Allow, Some(action)) = (action, &raw.action) {
            let demand = only_via.map(|list| (&list.key, "only_via"));
            let pinned = raw.pinned.as_ref().map(|place| (place, "pinned"));
            if let Some((demand, name)) = demand.or(pinned) {
                let flaw = Flaw::new(format!(
                    "{} allows its traffic, and demands something of it",
                    called(raw)
                ))
                .fix(format!(
                    "leave `{name}` out of an exception, or `action` out of a rule that demands"
                ));
                self.report
                    .error_with(&action.span(), (demand, "the demand"), flaw);
            }
        }
        if raw.incomplete {
            return;
        }
        let is_unknown = action == Action::Unsaid && raw.action.is_some();
        if raw.pinned.is_none() && only_via.is_none() && action != Action::Allow && !is_unknown {
            let flaw = Flaw::new(format!("{} demands nothing", called(raw)))
                .fix(r#"say by which zones the traffic may leave, `only_via = ["backplane"]`, that its sockets must be bound, `pinned = true`, or that it is an exception, `action = "allow"`"#);
            self.report.error(&raw.header, flaw);
        }
        if raw.lists.keys().all(|key| *key == "only_via") {
            let flaw = Flaw::new(format!("{} does not say which traffic it is for", called(raw)))
                .fix(r#"add a `destination` or another matcher; for all traffic, write `destination = ["0.0.0.0/0", "::/0"]`"#);
            self.report.error(&raw.header, flaw);
        }
    }

    /// A packet's two addresses are of one family.
    fn families(&mut self, raw: &RawRule, rule: &Rule) {
        let (Some(sources), Some(destinations)) =
            (raw.lists.get("source"), raw.lists.get("destination"))
        else {
            return;
        };
        let is_v4 = |net: &IpNet| matches!(net, IpNet::V4(_));
        let families = |nets: &[IpNet]| [nets.iter().any(is_v4), !nets.iter().all(is_v4)];
        let agree = families(&rule.sources)
            .into_iter()
            .zip(families(&rule.destinations))
            .any(|(source, destination)| source && destination);
        if !agree && !rule.sources.is_empty() && !rule.destinations.is_empty() {
            let v4_first = rule.destinations.iter().all(is_v4);
            let (here, there) = if v4_first {
                ("IPv4", "IPv6")
            } else {
                ("IPv6", "IPv4")
            };
            let flaw = Flaw::new(format!(
                "{} can never match: destinations are {here}, sources {there}",
                called(raw)
            ))
            .mark(format!("{here} alone"))
            .fix("name prefixes of the same family, or leave `source` out");
            let other = (
                &sources.key,
                if v4_first { "IPv6 alone" } else { "IPv4 alone" },
            );
            self.report.error_with(&destinations.key, other, flaw);
        }
    }

    fn ports_of_protocols(&mut self, raw: &RawRule, rule: &Rule) {
        let ports = raw
            .lists
            .get("port")
            .or_else(|| raw.lists.get("source_port"));
        let (Some(ports), Some(protocols)) = (ports, raw.lists.get("protocol")) else {
            return;
        };
        for (number, value) in rule.protocols.iter().zip(&protocols.values) {
            if !has_ports(*number) {
                let flaw = Flaw::new(format!(
                    "{} has no ports, so that it can never match",
                    protocol_name(*number)
                ))
                .fix("take it out of `protocol`, and give it a rule of its own without ports");
                self.report
                    .error_with(&value.span(), (&ports.key, "the ports"), flaw);
            }
        }
    }
}

fn unknown_zone(name: &str, zones: &[RawZone]) -> Flaw {
    let flaw = Flaw::new(format!("unknown zone {}", quoted(name)));
    if let Some(meant) = nearest(name, zones.iter().map(|zone| &**zone.name.get_ref())) {
        return flaw.fix(format!("did you mean {}?", quoted(meant)));
    }
    let names: Vec<_> = zones
        .iter()
        .map(|zone| quoted(zone.name.get_ref()))
        .collect();
    match names.as_slice() {
        [] => flaw.fix("the policy has no zones: add a `[zone.NAME]` with its `interfaces`"),
        names => flaw.fix(format!("the zones are {}", names.join(", "))),
    }
}

fn called(raw: &RawRule) -> String {
    match &raw.name {
        Some(name) => format!("rule {}", quoted(name.get_ref())),
        None => "the rule".to_owned(),
    }
}
