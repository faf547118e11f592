//! What an option is set to, where something else is wrong: as far as it can be learned.

use std::{ffi::OsString, path::PathBuf};

use toml::de::{DeTable, DeValue};

use super::{
    environment::{self, Environment},
    setting::CONFIG,
};
use crate::{commands::occasion::occasion, policy::read_text};

/// What an option of the command with these names is set to: by its own arguments, by the environment, or by a file. Nothing, where no
/// place sets it, or none that can be read. A place that counts more is asked first, and what it says is not looked at twice.
pub fn meant(
    given: &[OsString],
    head: usize,
    names: &[String],
    option: &str,
    environment: Environment<'_>,
) -> Option<String> {
    let own = given.get(head..).and_then(|own| text_of(own, option));
    let set = own.or_else(|| environment::text(environment, names, option));
    let text = set.map(|text| text.to_string_lossy().into_owned());
    text.or_else(|| {
        let named = text_of(given, CONFIG).map(PathBuf::from);
        let path = named.or_else(|| environment::config(environment))?;
        // What is wrong with it, is said already.
        let (text, _) = read_text(&path, occasion(), "configuration").ok()?;
        of_file(&text, names, option)
    })
}

/// What stands behind this option.
fn text_of(arguments: &[OsString], option: &str) -> Option<OsString> {
    let flag = format!("--{option}");
    let at = arguments.iter().position(|argument| {
        let text = argument.to_string_lossy();
        text.strip_prefix(&*flag)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })?;
    let text = arguments[at].to_string_lossy();
    match text.split_once('=') {
        Some((_, value)) => Some(value.into()),
        None => arguments.get(at + 1).cloned(),
    }
}

/// What a file says, be it wrong elsewhere.
fn of_file(text: &str, names: &[String], option: &str) -> Option<String> {
    let (document, _) = DeTable::parse_recoverable(text);
    let mut table = document.get_ref();
    for name in names {
        table = get(table, name)?.as_table()?;
    }
    get(table, option)?.as_str().map(str::to_owned)
}

fn get<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<&'t DeValue<'i>> {
    let found = table.iter().find(|(key, _)| **key.get_ref() == *name);
    found.map(|(_, value)| value.get_ref())
}
