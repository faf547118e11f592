//! What the `[[accept]]` of a file mean, or all that is wrong with them.

use std::time::SystemTime;

use pinif_ebpf::verdict::Kind;

use super::{model::Accept, until::Until};
use crate::policy::{
    dimension::{Destination, Dimension as _, Executable, LookUp, User},
    problem::{Flaw, nearest, quoted},
    raw::{RawAccept, Scalar},
    report::Report,
    values,
};

/// How many there may be, those of all files together: each new finding is compared with all of them.
const MOST: usize = 256;
/// How many values one may have of each key.
const MOST_VALUES: usize = 1000;
/// How long a reason may be, in bytes.
const LONGEST_REASON: usize = 500;
/// What findings are about that is no program, by the first word.
const SUBJECTS: [&str; 4] = ["forwarded", "kernel", "others", "receiver"];

/// Those of a file, after the `earlier` ones of other files. Of a rule that none of `rules` is, it is warned.
pub(in crate::policy) fn check(
    raw: &[RawAccept],
    earlier: &[Accept],
    rules: &[&str],
    report: &mut Report<'_>,
    look_up: LookUp<'_>,
) -> Vec<Accept> {
    if let Some(raw) = raw.get(MOST.saturating_sub(earlier.len())) {
        let flaw = Flaw::new(format!("more than {MOST} findings are accepted one by one"))
            .fix("an `[[accept]]` takes lists: put those of one reason into one");
        report.error(&raw.header, flaw);
        return Vec::new();
    }
    let mut checker = Checker {
        report,
        rules,
        look_up,
    };
    let accepts: Vec<Accept> = raw.iter().filter_map(|raw| checker.accept(raw)).collect();
    if accepts.len() == raw.len() {
        warn_of_shadows(&accepts, raw, earlier, report);
    }
    accepts
}

struct Checker<'c, 't> {
    report: &'c mut Report<'t>,
    rules: &'c [&'c str],
    look_up: LookUp<'c>,
}

impl Checker<'_, '_> {
    /// None where something is wrong with it.
    fn accept(&mut self, raw: &RawAccept) -> Option<Accept> {
        let errors_before = self.report.errors();
        let look_up = self.look_up;
        let accept = Accept {
            kinds: self.list(raw, "kind", |value| kind(&value.as_text())),
            rules: self.list(raw, "rule", |value| values::name(&value.as_text(), "rule")),
            executables: self.list(raw, "executable", |value| Executable::parse(value, look_up)),
            users: self.list(raw, "user", |value| User::parse(value, look_up)),
            subjects: self.list(raw, "subject", |value| subject(&value.as_text())),
            destinations: self.list(raw, "destination", |value| {
                Destination::parse(value, look_up)
            }),
            interfaces: self.list(raw, "interface", |value| {
                values::interfaces(&value.as_text())
            }),
            reason: self.reason(raw).unwrap_or_default(),
            until: self.until(raw)?,
            place: self.report.place(&raw.header),
        };
        if raw.lists.is_empty() && !raw.incomplete {
            let flaw = Flaw::new("this does not say which findings are accepted").fix(
                r#"name their kind, program or interface, as in `kind = "address-escape"` and `executable = "/usr/sbin/fabd"`"#,
            );
            self.report.error(&raw.header, flaw);
        }
        self.warn_of_rules(raw);
        (self.report.errors() == errors_before).then_some(accept)
    }

    fn list<T>(
        &mut self,
        raw: &RawAccept,
        key: &str,
        parse: impl Fn(&Scalar) -> Result<T, Flaw>,
    ) -> Vec<T> {
        let values = raw.lists.get(key).map_or(&[][..], |list| &list.values);
        if let Some(value) = values.get(MOST_VALUES) {
            let flaw = Flaw::new(format!("more than {MOST_VALUES} values of `{key}`"))
                .fix("use prefixes and patterns, or leave the key out");
            self.report.error(&value.span(), flaw);
            return Vec::new();
        }
        let mut parsed = Vec::new();
        for value in values {
            match parse(value.get_ref()) {
                Ok(value) => parsed.push(value),
                Err(flaw) => self.report.error(&value.span(), flaw),
            }
        }
        parsed
    }

    fn reason(&mut self, raw: &RawAccept) -> Option<String> {
        let Some(reason) = &raw.reason else {
            if !raw.incomplete {
                let flaw = Flaw::new("findings are accepted without a reason").fix(
                    r#"say why, for whoever reads it later: `reason = "known, is replaced in May: TICKET-7"`"#,
                );
                self.report.error(&raw.header, flaw);
            }
            return None;
        };
        let text = reason.get_ref();
        let flaw = if text.trim().is_empty() {
            Flaw::new("the reason is empty").fix("say why, for whoever reads it later")
        } else if text.len() > LONGEST_REASON {
            Flaw::new(format!("the reason has more than {LONGEST_REASON} bytes"))
                .fix("name the place where all of it stands, such as a ticket")
        } else if text.chars().any(char::is_control) {
            Flaw::new("the reason has control characters").fix("write it in one line of text")
        } else {
            return Some(text.clone());
        };
        self.report.error(&reason.span(), flaw);
        None
    }

    fn until(&mut self, raw: &RawAccept) -> Option<Until> {
        let Some(until) = &raw.until else {
            if !raw.incomplete {
                let flaw = Flaw::new("findings are accepted for ever").fix(
                    "say until when, in UTC: `until = 2030-12-31`. It can be prolonged, and a date keeps it from being forgotten",
                );
                self.report.error(&raw.header, flaw);
            }
            return None;
        };
        match Until::parse(until.get_ref()) {
            Ok(date) => {
                if date.is_over(SystemTime::now()) {
                    let flaw = Flaw::new("this is over: the findings are not accepted any more")
                        .fix("fix what they are about, remove the entry, or prolong it");
                    self.report.warning(&until.span(), None, flaw);
                }
                Some(date)
            }
            Err(flaw) => {
                self.report.error(&until.span(), flaw);
                None
            }
        }
    }

    /// A rule may have had the name when the entry was written: that is no error.
    fn warn_of_rules(&mut self, raw: &RawAccept) {
        for value in raw.lists.get("rule").iter().flat_map(|list| &list.values) {
            let name = value.get_ref().as_text();
            if self.rules.contains(&&*name) {
                continue;
            }
            let flaw = Flaw::new(format!("no rule is named {}", quoted(&name)));
            let flaw = flaw.fix(match nearest(&name, self.rules.iter().copied()) {
                Some(meant) => format!("did you mean {}?", quoted(meant)),
                None => "name a rule of the policy, or leave `rule` out".to_owned(),
            });
            self.report.warning(&value.span(), None, flaw);
        }
    }
}

/// A kind of findings.
fn kind(text: &str) -> Result<Kind, Flaw> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| {
        let flaw = Flaw::new(format!("unknown kind {}", quoted(text)));
        match nearest(text, Kind::ALL.map(Kind::name)) {
            Some(meant) => flaw.fix(format!("did you mean `{meant}`?")),
            None => flaw.fix(format!(
                "the kinds are {}",
                Kind::ALL.map(Kind::name).join(", ")
            )),
        }
    })
}

/// What a finding is about that is no program. Which of the kernel's there are, the policy does not know: one that it does not have names
/// no finding.
fn subject(text: &str) -> Result<String, Flaw> {
    let mut words = text.split(' ');
    let first = words.next().unwrap_or_default();
    let is_whole = words.all(|word| !word.is_empty() && !word.chars().any(char::is_control));
    match SUBJECTS.contains(&first) && is_whole {
        true => Ok(text.to_owned()),
        false => Err(
            Flaw::new(format!("{} is no subject of a finding", quoted(text))).fix(format!(
                "the first word is one of {}; programs have `executable` and `user`. `pinif accept` writes it for a finding",
                SUBJECTS.join(", ")
            )),
        ),
    }
}

/// Warns of those that accept nothing that an earlier one does not accept as long.
fn warn_of_shadows(
    accepts: &[Accept],
    raw: &[RawAccept],
    earlier: &[Accept],
    report: &mut Report<'_>,
) {
    for (number, later) in accepts.iter().enumerate() {
        let shadow = |one: &&Accept| covers(one, later);
        let here = accepts[..number].iter().position(|one| covers(one, later));
        let before = earlier.iter().find(shadow);
        let by = match (here, before) {
            (Some(here), _) => format!("the one at {}", accepts[here].place),
            (None, Some(before)) => format!("the one at {}", before.place),
            (None, None) => continue,
        };
        let flaw = Flaw::new(format!(
            "this accepts nothing that {by} does not accept as long"
        ))
        .fix("remove one of the two");
        let other = here.map(|here| (&raw[here].header, "this one"));
        report.warning(&raw[number].header, other, flaw);
    }
}

/// Whether each finding that is accepted by `later` is one that is accepted by `earlier`.
fn covers(earlier: &Accept, later: &Accept) -> bool {
    fn has<T>(outer: &[T], inner: &[T], is_below: impl Fn(&T, &T) -> bool) -> bool {
        let is_in = |one: &T| outer.iter().any(|outer| is_below(outer, one));
        outer.is_empty() || !inner.is_empty() && inner.iter().all(is_in)
    }
    let is = |outer: &str, inner: &str| outer == inner;
    has(&earlier.kinds, &later.kinds, |a, b| a == b)
        && has(&earlier.rules, &later.rules, |a, b| is(a, b))
        && has(&earlier.executables, &later.executables, |a, b| a == b)
        && has(&earlier.users, &later.users, |a, b| a == b)
        && has(&earlier.subjects, &later.subjects, |a, b| is(a, b))
        && has(&earlier.destinations, &later.destinations, |a, b| {
            a.contains(b)
        })
        && has(&earlier.interfaces, &later.interfaces, |a, b| {
            is(a.text(), b.text())
        })
        && earlier.until.lasts_as_long_as(&later.until)
}
