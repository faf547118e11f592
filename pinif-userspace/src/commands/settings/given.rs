//! The command line itself: which command it names, and which options it gives.

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgMatches, Command, error::ErrorKind, parser::ValueSource};

use super::{
    environment::{self, Environment},
    setting::CONFIG,
};

/// What a command line gives.
#[derive(Debug)]
pub(super) struct Given {
    arguments: Vec<OsString>,
    /// How many of the arguments come before the command's own.
    head: usize,
    /// The command and its subcommands, as in `policy`, `check`.
    names: Vec<String>,
    matches: ArgMatches,
}

impl Given {
    /// Reads arguments that could be run, but for what may be set elsewhere; gives others back.
    pub fn read(command: &Command, arguments: Vec<OsString>) -> Result<Self, Vec<OsString>> {
        let (head, names) = head(command, &arguments);
        let Some(matches) = matches(command, &arguments, &names) else {
            return Err(arguments);
        };
        Ok(Self {
            arguments,
            head,
            names,
            matches,
        })
    }

    /// The command and its subcommands.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What the command takes.
    pub fn command<'c>(&self, root: &'c Command) -> &'c Command {
        self.names.iter().fold(root, |command, name| {
            command.find_subcommand(name).unwrap_or(command)
        })
    }

    /// Whether an option is on the command line.
    pub fn has(&self, option: &Arg) -> bool {
        let source = self.matches.value_source(option.get_id().as_str());
        source == Some(ValueSource::CommandLine)
    }

    /// The file of settings, where one is named.
    pub fn config(&self, environment: Environment<'_>) -> Option<PathBuf> {
        let named = self.matches.try_get_one::<PathBuf>(CONFIG).ok().flatten();
        named.cloned().or_else(|| environment::config(environment))
    }

    /// All of it, with more options of the command.
    pub fn with(&self, options: &[OsString]) -> Vec<OsString> {
        let (head, rest) = self.arguments.split_at(self.head);
        [head, options, rest].concat()
    }

    /// The command with these options alone.
    pub fn bare(&self, options: &[OsString]) -> Vec<OsString> {
        [&self.arguments[..self.head], options].concat()
    }
}

/// What of the command's own arguments is given. None, where they could not be run.
fn matches(command: &Command, arguments: &[OsString], names: &[String]) -> Option<ArgMatches> {
    names.first()?;
    let strict = command.clone().try_get_matches_from(arguments);
    let matches = match strict {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            let lenient = command.clone().ignore_errors(true);
            lenient.try_get_matches_from(arguments).ok()?
        }
        Err(_) => return None,
    };
    names.iter().try_fold(matches, |matches, name| {
        matches.subcommand_matches(name).cloned()
    })
}

/// How many arguments lead to the command's own, and the names among them.
pub fn head(mut command: &Command, arguments: &[OsString]) -> (usize, Vec<String>) {
    let mut names = Vec::new();
    let mut at = 1;
    while let Some(argument) = arguments.get(at) {
        let text = argument.to_string_lossy();
        if text == format!("--{CONFIG}") {
            at += 2;
        } else if text.starts_with(&format!("--{CONFIG}=")) {
            at += 1;
        } else if let Some(found) = command.find_subcommand(argument) {
            names.push(found.get_name().to_owned());
            command = found;
            at += 1;
        } else {
            break;
        }
    }
    // Options that come between the names, or before them, stay where they are.
    (at.min(arguments.len()), names)
}
