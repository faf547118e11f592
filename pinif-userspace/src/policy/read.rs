//! From a file or a text to a policy, or to all that is wrong with it.

use std::{io::Read, path::Path};

use nix::errno::Errno;

use super::{
    check,
    dimension::LookUp,
    file,
    model::Policy,
    problem::{PolicyErrors, Report},
};

impl Policy {
    /// The policy of `text`; `origin` is the name of the file in messages.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, PolicyErrors> {
        Self::parse_with(text, origin, &user_id)
    }

    /// The policy of a file.
    ///
    /// # Errors
    ///
    /// That the file cannot be read, or all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, PolicyErrors> {
        Self::parse(&file::read(path)?, &path.to_string_lossy())
    }

    /// The policy of an open file; `origin` is its name in messages.
    ///
    /// # Errors
    ///
    /// That it cannot be read, or all that is wrong with it.
    pub fn read_from(source: impl Read, origin: &str) -> Result<Self, PolicyErrors> {
        Self::parse(&file::read_all(source, origin)?, origin)
    }

    fn parse_with(text: &str, origin: &str, look_up: LookUp<'_>) -> Result<Self, PolicyErrors> {
        let mut report = Report::new(text, origin);
        let raw = file::parse(&mut report);
        let policy = check::check(&raw, &mut report, look_up);
        let warnings = report.into_result()?;
        Ok(Self { warnings, ..policy })
    }
}

/// The id of a user of this machine (getpwnam(3)).
fn user_id(name: &str) -> Result<Option<u32>, String> {
    match nix::unistd::User::from_name(name) {
        Ok(user) => Ok(user.map(|user| user.uid.as_raw())),
        // The manual page lists these as what some systems say for "no such user".
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(errno) => Err(errno.desc().to_owned()),
    }
}
