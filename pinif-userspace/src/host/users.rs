//! Users, by name and by number.
//!
//! A static binary reads `/etc/passwd` itself: for other sources of names (nsswitch.conf(5)), the C library would load the host's
//! modules, which are of another C library.

use std::{fs, io};

use nix::{
    errno::Errno,
    unistd::{Uid, User},
};

const FILE: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";
const IS_STATIC: bool = cfg!(target_feature = "crt-static");

/// What to do where no user has a name.
pub const UNKNOWN: &str = if IS_STATIC {
    "create the user on this machine, or give its number: this pinif is static, and knows the names in /etc/passwd alone"
} else {
    "create the user on this machine, or give its number"
};

/// The number of a user of this machine (getpwnam(3)), or why it is not known.
pub fn number_of(name: &str) -> Result<Option<u32>, String> {
    if IS_STATIC {
        let found = |text: String| {
            entries(&text)
                .find(|entry| entry.0 == name)
                .map(|entry| entry.1)
        };
        return passwd()
            .map(found)
            .map_err(|error| format!("{FILE}: {error}"));
    }
    match User::from_name(name) {
        Ok(user) => Ok(user.map(|user| user.uid.as_raw())),
        // The manual page lists these as what some systems say for "no such user".
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(errno) => Err(errno.desc().to_owned()),
    }
}

/// The name of a user of this machine (getpwuid(3)), where it has one.
pub fn name_of(number: u32) -> Option<String> {
    if IS_STATIC {
        let text = passwd().ok()?;
        let found = entries(&text).find(|entry| entry.1 == number)?;
        return Some(found.0.to_owned());
    }
    User::from_uid(Uid::from_raw(number))
        .ok()?
        .map(|user| user.name)
}

/// The number of a group of this machine: one that packages make, which is in group(5).
pub fn group_named(name: &str) -> Option<u32> {
    let text = fs::read_to_string(GROUPS).ok()?;
    let found = entries(&text).find(|entry| entry.0 == name)?;
    Some(found.1)
}

/// The file; nothing, where there is none: an initramfs has no users.
fn passwd() -> io::Result<String> {
    match fs::read(FILE) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Names and numbers (passwd(5)).
fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let number = fields.nth(1)?.parse().ok()?;
        Some((name, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_a_name_and_a_number_a_line() {
        let text = "root:x:0:0:root:/root:/bin/sh\n+::::::\n#\n:x:3:\nfabd:x:998:\nodd:x:no:\n";
        assert_eq!(
            entries(text).collect::<Vec<_>>(),
            [("root", 0), ("fabd", 998)]
        );
    }

    #[test]
    fn the_superuser_has_a_number_and_a_name() {
        assert_eq!(number_of("root"), Ok(Some(0)));
        assert_eq!(name_of(0).as_deref(), Some("root"));
        assert_eq!(number_of("no such user: \u{7}"), Ok(None));
    }
}
