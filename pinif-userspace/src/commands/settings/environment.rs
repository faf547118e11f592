//! Settings of the environment: `PINIF_COMMAND_OPTION`, in capitals and with `_` for `-`.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Arg;

use super::{
    setting::{Place, Setting},
    value::Value,
};

/// The file that settings are read from.
const CONFIG: &str = "PINIF_CONFIG";

/// What a variable is set to.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<OsString>;

/// The file of settings that the environment names.
pub(super) fn config(environment: Environment<'_>) -> Option<PathBuf> {
    environment(CONFIG)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// What the environment sets an option of a command to. A variable without a text sets nothing.
pub(super) fn setting(
    environment: Environment<'_>,
    names: &[String],
    option: &Arg,
) -> Result<Option<Setting>> {
    let long = option.get_long().unwrap_or_default();
    let Some(text) = text(environment, names, long) else {
        return Ok(None);
    };
    let name = variable(names, long);
    let value = Value::of_text(option, &text)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("{name} in the environment"))?;
    Ok(Some(Setting {
        value,
        place: Place::Environment(name),
    }))
}

/// The text of an option's variable, where it has one.
pub(super) fn text(
    environment: Environment<'_>,
    names: &[String],
    option: &str,
) -> Option<OsString> {
    environment(&variable(names, option)).filter(|text| !text.is_empty())
}

/// The variable of an option.
fn variable(names: &[String], option: &str) -> String {
    let words = names.iter().map(String::as_str).chain([option]);
    words.fold("PINIF".to_owned(), |name, word| {
        format!("{name}_{}", word.replace('-', "_").to_uppercase())
    })
}
