//! The options of a command that its command line does not give: from the environment, then from a file.
//!
//! They become arguments behind the command's name, and clap reads all of them. So a value means the same wherever it is set, and
//! an option that is added to a command can be set everywhere. What a place that counts more has set, or excludes, is not asked of
//! the next.

mod environment;
mod file;
mod given;
mod meant;
mod setting;
mod value;

use std::ffi::OsString;

use anyhow::Result;
use clap::{Arg, Command, error::ErrorKind};

pub use environment::Environment;
use file::File;
use given::Given;
pub use given::head;
pub use meant::meant;
use setting::{Place, Setting, is_option};
pub use value::fault;

/// The arguments with those that are set elsewhere. What is wrong with the given ones is left for clap to say.
///
/// # Errors
///
/// What is wrong with the file, or with a value, and where it stands.
pub fn complete(
    mut command: Command,
    given: Vec<OsString>,
    environment: Environment<'_>,
) -> Result<Vec<OsString>> {
    command.build();
    let given = match Given::read(&command, given) {
        Ok(given) => given,
        // clap shows help, the version, or what is wrong.
        Err(given) => return Ok(given),
    };
    let file = given.config(environment).map(File::read).transpose()?;
    let settings = match &file {
        Some(file) => file.settings(&command)?,
        None => Vec::new(),
    };
    let mut layered = Layered {
        command: &command,
        given,
        file: file.as_ref(),
        set: Vec::new(),
    };
    let of_command = layered.given.command(&command).clone();
    let options: Vec<_> = of_command.get_arguments().filter(is_option).collect();
    let mut left = Vec::new();
    let mut layer = Vec::new();
    for option in options {
        if layered.given.has(option) {
            continue;
        }
        match environment::setting(environment, layered.given.names(), option)? {
            Some(setting) => layer.push((option, setting)),
            None => left.push(option),
        }
    }
    layered.add(layer)?;
    let mut layer = Vec::new();
    for (names, key, setting) in settings {
        let option = left.iter().find(|option| option.get_long() == Some(&*key));
        if let Some(option) = option.filter(|_| names == layered.given.names()) {
            layer.push((*option, setting));
        }
    }
    layered.add(layer)?;
    Ok(layered.arguments(&layered.set))
}

/// What is given, and what is set in one place after the other.
struct Layered<'a> {
    command: &'a Command,
    given: Given,
    file: Option<&'a File>,
    set: Vec<OsString>,
}

impl Layered<'_> {
    /// Adds what one place has set: but for what the places before exclude, or what only belongs to an option that is not there.
    fn add(&mut self, settings: Vec<(&Arg, Setting)>) -> Result<()> {
        let mut alone = Vec::new();
        for (option, Setting { value, place }) in settings {
            let arguments = value.arguments(option);
            let before = self.outcome(&self.arguments(&self.set));
            let more = [&self.set[..], &arguments].concat();
            alone.extend(arguments.iter().cloned());
            match self.outcome(&self.arguments(&more)) {
                Err(error) if error.kind() == ErrorKind::ArgumentConflict => {
                    let here = self.outcome(&self.given.bare(&alone));
                    if let Err(error) = here
                        && error.kind() == ErrorKind::ArgumentConflict
                    {
                        return Err(self.refused(option, &place, &error));
                    }
                }
                Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
                    // It may be what lacked, or lack something itself.
                    if before.is_err() {
                        self.set = more;
                    }
                }
                Err(error) => return Err(self.refused(option, &place, &error)),
                Ok(()) => self.set = more,
            }
        }
        Ok(())
    }

    fn outcome(&self, arguments: &[OsString]) -> Result<(), clap::Error> {
        self.command
            .clone()
            .try_get_matches_from(arguments)
            .map(drop)
    }

    fn arguments(&self, set: &[OsString]) -> Vec<OsString> {
        self.given.with(set)
    }

    fn refused(&self, option: &Arg, place: &Place, error: &clap::Error) -> anyhow::Error {
        let key = option.get_long().unwrap_or_default();
        let what = fault(error);
        match (place, self.file) {
            (Place::File(span), Some(file)) => file.refused(span, key, &what).into(),
            (Place::Environment(name), _) => anyhow::anyhow!("{name} in the environment: {what}"),
            (Place::File(_), None) => anyhow::anyhow!("`{key}`: {what}"),
        }
    }
}

#[cfg(test)]
mod tests;
