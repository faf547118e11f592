//! The options of a command that its command line does not give: from the environment, then from a file.
//!
//! They become arguments behind the command's name, and clap reads all of them. So a value means the same wherever it is set, and
//! an option that is added to a command can be set everywhere. What a place that counts more has set, or excludes, is not asked of
//! the next. The order within a place means nothing.

mod environment;
mod file;
mod given;
mod meant;
mod setting;
mod value;

use std::ffi::OsString;

use anyhow::Result;
use clap::{
    Arg, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

pub use environment::Environment;
use file::File;
use given::Given;
pub use given::head;
pub use meant::meant;
use setting::{Place, Setting, is_option};
use value::Takes;
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
    layered.complete()?;
    Ok(layered.arguments(&[]))
}

/// What is given, and what is set in one place after the other.
struct Layered<'a> {
    command: &'a Command,
    given: Given,
    file: Option<&'a File>,
    set: Vec<Set<'a>>,
}

/// An option that is set, and as which arguments.
struct Set<'a> {
    option: &'a Arg,
    place: Place,
    arguments: Vec<OsString>,
}

impl<'a> Layered<'a> {
    /// Adds what one place has set: but for what the places before exclude.
    fn add(&mut self, settings: Vec<(&'a Arg, Setting)>) -> Result<()> {
        let mut alone = Vec::new();
        for (option, Setting { value, place }) in settings {
            let arguments = value.arguments(option);
            alone.extend(arguments.iter().cloned());
            match self.outcome(&self.arguments(&arguments)) {
                Err(error) if error.kind() == ErrorKind::ArgumentConflict => {
                    let here = self.outcome(&self.given.bare(&alone));
                    if let Err(error) = here
                        && error.kind() == ErrorKind::ArgumentConflict
                    {
                        return Err(self.refused(option, &place, &fault(&error)));
                    }
                }
                // What lacks may still come, from here or from the next place.
                Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => {
                    return Err(self.refused(option, &place, &fault(&error)));
                }
                _ => self.set.push(Set {
                    option,
                    place,
                    arguments,
                }),
            }
        }
        Ok(())
    }

    /// Looks, once all places are read, whether each option that is set has those that it wants beside it. It is left out where what
    /// counts more excludes them, and refused where nobody set them.
    fn complete(&mut self) -> Result<()> {
        while let Some((at, partner)) = self.lacking() {
            if self.excludes(&partner) {
                self.set.remove(at);
                continue;
            }
            let Set { option, place, .. } = &self.set[at];
            let what = format!("it wants `--{partner}` beside it, which is set nowhere");
            return Err(self.refused(option, place, &what));
        }
        Ok(())
    }

    /// The first that is set without another option that it wants, and that one's name.
    fn lacking(&self) -> Option<(usize, String)> {
        let always = self.missing(&[]);
        let mut all = self.set.iter().enumerate();
        all.find_map(|(at, set)| {
            let wanted = self.missing(&set.arguments);
            let mut wanted = wanted.into_iter().filter(|name| !always.contains(name));
            let lacks = wanted.find(|name| !self.is_there(name))?;
            Some((at, lacks))
        })
    }

    /// The options that clap misses beside these arguments alone, by their long names.
    fn missing(&self, arguments: &[OsString]) -> Vec<String> {
        let Err(error) = self.outcome(&self.given.bare(arguments)) else {
            return Vec::new();
        };
        let usages = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(usages))
                if error.kind() == ErrorKind::MissingRequiredArgument =>
            {
                usages.clone()
            }
            _ => Vec::new(),
        };
        let names = usages.iter().filter_map(|usage| {
            let name = usage.strip_prefix("--")?;
            name.split([' ', '=', '[']).next().map(str::to_owned)
        });
        names.collect()
    }

    fn is_there(&self, name: &str) -> bool {
        let is_set =
            |set: &Set<'_>| set.option.get_long() == Some(name) && !set.arguments.is_empty();
        self.set.iter().any(is_set)
            || self
                .option(name)
                .is_some_and(|option| self.given.has(option))
    }

    /// Whether an option cannot be added to what is there, whatever its value.
    fn excludes(&self, name: &str) -> bool {
        let takes = self.option(name).map(Takes::of);
        let argument = match takes {
            Some(Takes::Text | Takes::Texts) => format!("--{name}=x"),
            _ => format!("--{name}"),
        };
        let added = self.outcome(&self.arguments(&[argument.into()]));
        added.is_err_and(|error| error.kind() == ErrorKind::ArgumentConflict)
    }

    fn option(&self, name: &str) -> Option<&Arg> {
        let mut options = self.given.command(self.command).get_arguments();
        options.find(|option| option.get_long() == Some(name))
    }

    fn outcome(&self, arguments: &[OsString]) -> Result<(), clap::Error> {
        self.command
            .clone()
            .try_get_matches_from(arguments)
            .map(drop)
    }

    /// All that is given and set, with more.
    fn arguments(&self, more: &[OsString]) -> Vec<OsString> {
        let set = self.set.iter().flat_map(|set| &set.arguments);
        let set: Vec<_> = set.chain(more).cloned().collect();
        self.given.with(&set)
    }

    fn refused(&self, option: &Arg, place: &Place, what: &str) -> anyhow::Error {
        match (place, self.file) {
            (Place::File(span), Some(file)) => file.refused(span, option, what).into(),
            (Place::Environment(name), _) => anyhow::anyhow!("{name} in the environment: {what}"),
            (Place::File(_), None) => anyhow::anyhow!("`{option}`: {what}"),
        }
    }
}

#[cfg(test)]
mod tests;
