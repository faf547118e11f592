//! An option that may be set, a value that was set, and where.

use std::ops::Range;

use clap::{Arg, ArgAction};

use super::value::Value;

/// The option that names the file.
pub(super) const CONFIG: &str = "config";

/// A value that was set, and where.
#[derive(Debug)]
pub(super) struct Setting {
    pub value: Value,
    pub place: Place,
}

/// Where a value was set.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The variable.
    Environment(String),
    /// The bytes of the file that are the value.
    File(Range<usize>),
}

/// Whether an argument is an option that may be set elsewhere.
pub(super) fn is_option(argument: &&Arg) -> bool {
    let is_action = matches!(
        argument.get_action(),
        ArgAction::Help | ArgAction::HelpLong | ArgAction::HelpShort | ArgAction::Version
    );
    argument.get_long().is_some() && argument.get_id() != CONFIG && !is_action
}
