//! A value that was set, as the arguments that it stands for.

use std::{
    error::Error as _,
    ffi::{OsStr, OsString},
};

use clap::{
    Arg, ArgAction,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::text::escape::visible;

/// What an option may be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// To be there, or not.
    Truth,
    /// The same, or a text.
    TruthOrText,
    /// One text.
    Text,
    /// Any number of texts.
    Texts,
}

/// What it is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Truth(bool),
    Texts(Vec<OsString>),
}

impl Takes {
    /// By the option's own definition.
    pub fn of(option: &Arg) -> Self {
        let fewest = option.get_num_args().map_or(1, |range| range.min_values());
        match option.get_action() {
            ArgAction::SetTrue => Self::Truth,
            ArgAction::Append => Self::Texts,
            _ if fewest == 0 => Self::TruthOrText,
            _ => Self::Text,
        }
    }

    /// What a message says that it takes.
    pub fn described(self) -> &'static str {
        match self {
            Self::Truth => "`true` or `false`",
            Self::TruthOrText => "`true`, `false` or text in quotes",
            Self::Text => "text in quotes, or a number",
            Self::Texts => "text in quotes, or a list of it",
        }
    }
}

impl Value {
    /// That of a variable of the environment; or what is wrong with it. Of several texts, each is a word.
    pub fn of_text(option: &Arg, text: &OsStr) -> Result<Self, String> {
        let takes = Takes::of(option);
        let truth = match text.to_str() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        match (takes, truth) {
            (Takes::Truth | Takes::TruthOrText, Some(truth)) => Ok(Self::Truth(truth)),
            (Takes::Truth, None) => Err(format!(
                "`{}` is neither `true` nor `false`",
                text.to_string_lossy()
            )),
            (Takes::TruthOrText | Takes::Text, _) => Ok(Self::Texts(vec![text.to_owned()])),
            (Takes::Texts, _) => {
                let text = text
                    .to_str()
                    .ok_or_else(|| format!("`{}` is not UTF-8", text.to_string_lossy()))?;
                let words = text.split_whitespace().map(OsString::from);
                Ok(Self::Texts(words.collect()))
            }
        }
    }

    /// The arguments that say so; none, where the option is not to be there.
    pub fn arguments(&self, option: &Arg) -> Vec<OsString> {
        let flag = format!("--{}", option.get_long().unwrap_or_default());
        match self {
            Self::Truth(true) => vec![flag.into()],
            Self::Truth(false) => Vec::new(),
            Self::Texts(texts) => texts
                .iter()
                .map(|text| {
                    let mut argument = OsString::from(format!("{flag}="));
                    argument.push(text);
                    argument
                })
                .collect(),
        }
    }
}

/// What clap says of a value, without where it takes it to stand.
pub fn fault(error: &clap::Error) -> String {
    visible(&said(error)).into_owned()
}

fn said(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::InvalidValue
        && let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidValue)
        && let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue)
    {
        return format!("`{given}` is none of {}", valid.join(", "));
    }
    if let Some(reason) = error.source() {
        return reason.to_string();
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
