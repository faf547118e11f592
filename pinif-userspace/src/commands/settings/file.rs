//! The file of settings: TOML, a table for each command, a key for each of its options.

use std::{ops::Range, path::PathBuf};

use anyhow::Result;
use clap::{Arg, Command, ValueHint};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    setting::{Place, Setting, is_option},
    value::{Takes, Value},
};
use crate::{
    commands::occasion::occasion,
    policy::{Flaw, PolicyErrors, Report, nearest, quoted, read_text},
    text::streams::note,
};

/// A file of settings.
#[derive(Debug)]
pub(super) struct File {
    origin: String,
    text: String,
}

/// One that is set: the command, the option, and to what.
type Set = (Vec<String>, String, Setting);

impl File {
    /// Reads a file. As a service, pinif refuses one that others can change: it may say that nothing is dropped. By hand, it warns.
    pub fn read(path: PathBuf) -> Result<Self> {
        let (text, warnings) = read_text(&path, occasion(), "configuration")?;
        for warning in warnings {
            note(&warning.brief());
        }
        Ok(Self {
            origin: path.to_string_lossy().into_owned(),
            text,
        })
    }

    /// All that is set in it, of any command.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: but for the values of other commands, which these read.
    pub fn settings(&self, root: &Command) -> Result<Vec<Set>, PolicyErrors> {
        let mut report = Report::new(&self.text, &self.origin);
        let (document, errors) = DeTable::parse_recoverable(&self.text);
        for error in &errors {
            let flaw = Flaw::new(format!("not valid TOML: {}", error.message()));
            report.error(&error.span().unwrap_or(0..0), flaw);
        }
        let mut reader = Reader {
            report: &mut report,
            set: Vec::new(),
        };
        reader.table(root, &[], document.get_ref());
        let mut set = reader.set;
        report.into_result()?;
        set.sort_by_key(|(_, _, setting)| match &setting.place {
            Place::File(span) => span.start,
            Place::Environment(_) => 0,
        });
        Ok(set)
    }

    /// That a value is wrong, as its command says. The line of a URL is not shown: there may be a password in it.
    pub fn refused(&self, span: &Range<usize>, option: &Arg, what: &str) -> PolicyErrors {
        let key = option.get_long().unwrap_or_default();
        if option.get_value_hint() == ValueHint::Url {
            let before = self.text.get(..span.start).unwrap_or_default();
            let line = 1 + before.matches('\n').count();
            let flaw = Flaw::new(format!("line {line}: `{key}`: {what}"));
            return PolicyErrors::without_place(&self.origin, flaw);
        }
        let mut report = Report::new(&self.text, &self.origin);
        report.error(span, Flaw::new(format!("`{key}`: {what}")));
        match report.into_result() {
            Err(errors) => errors,
            // There is one.
            Ok(_) => PolicyErrors::without_place(&self.origin, Flaw::new(what)),
        }
    }
}

struct Reader<'r, 't> {
    report: &'r mut Report<'t>,
    set: Vec<Set>,
}

impl Reader<'_, '_> {
    fn table(&mut self, command: &Command, names: &[String], table: &DeTable<'_>) {
        for (key, value) in table {
            let word = &**key.get_ref();
            let sub = command
                .get_subcommands()
                .find(|sub| sub.get_name() == word && is_shown(sub));
            let option = command
                .get_arguments()
                .filter(is_option)
                .find(|option| option.get_long() == Some(word));
            match (sub, option) {
                (Some(sub), _) => {
                    let DeValue::Table(table) = value.get_ref() else {
                        let flaw = Flaw::new(format!("`{word}` is a command, and not an option"));
                        let fix = format!("put its options below `[{word}]`");
                        self.report.error(&value.span(), flaw.fix(fix));
                        continue;
                    };
                    let names = [names, &[word.to_owned()]].concat();
                    self.table(sub, &names, table);
                }
                (None, Some(option)) => {
                    let takes = Takes::of(option);
                    match of_file(takes, value.get_ref()) {
                        Some(set) => self.set.push((
                            names.to_vec(),
                            word.to_owned(),
                            Setting {
                                value: set,
                                place: Place::File(value.span()),
                            },
                        )),
                        None => self.report.error(
                            &value.span(),
                            Flaw::new(format!("`{word}` takes {}", takes.described())),
                        ),
                    }
                }
                (None, None) => self
                    .report
                    .error(&key.span(), unknown(command, names, word)),
            }
        }
    }
}

/// A key that is neither an option nor a command.
fn unknown(command: &Command, names: &[String], word: &str) -> Flaw {
    let known: Vec<_> = command
        .get_subcommands()
        .filter(|sub| is_shown(sub))
        .map(Command::get_name)
        .chain(
            command
                .get_arguments()
                .filter(is_option)
                .filter_map(|option| option.get_long()),
        )
        .collect();
    let flaw = Flaw::new(match names {
        [] => format!("unknown command {}", quoted(word)),
        names => format!("`pinif {}` has no option {}", names.join(" "), quoted(word)),
    });
    match nearest(word, known.iter().copied()) {
        Some(meant) => flaw.fix(format!("did you mean `{meant}`?")),
        None if known.is_empty() => flaw.fix("it has none"),
        None => flaw.fix(format!("there are `{}`", known.join("`, `"))),
    }
}

fn is_shown(command: &Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// The value of a key, where it is of the option's type.
fn of_file(takes: Takes, value: &DeValue<'_>) -> Option<Value> {
    let is_one = matches!(takes, Takes::Text | Takes::TruthOrText | Takes::Texts);
    match value {
        DeValue::Boolean(truth) if matches!(takes, Takes::Truth | Takes::TruthOrText) => {
            Some(Value::Truth(*truth))
        }
        DeValue::String(text) if is_one => Some(Value::Texts(vec![text.to_string().into()])),
        DeValue::Integer(number) if takes == Takes::Text && number.radix() == 10 => {
            Some(Value::Texts(vec![number.as_str().into()]))
        }
        DeValue::Array(values) if takes == Takes::Texts => {
            let texts = values
                .iter()
                .map(|value: &Spanned<DeValue<'_>>| value.get_ref().as_str().map(Into::into));
            texts.collect::<Option<_>>().map(Value::Texts)
        }
        _ => None,
    }
}
