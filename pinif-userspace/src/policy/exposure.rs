//! What lets somebody besides root, and whoever runs pinif, change a policy, or another file of the operator's.

use std::path::Path;

use nix::{
    sys::stat::FileStat,
    unistd::{Uid, geteuid},
};

use super::problem::Flaw;
use crate::{
    host::users,
    text::{escape::visible_path, shell},
};

/// May be written by the group, and by all.
const WRITABLE: u32 = libc::S_IWGRP | libc::S_IWOTH;

/// That others can write the file itself.
pub(super) fn of_file(of: &str, path: &Path, file: &FileStat) -> Option<Flaw> {
    let is_exposed = is_writable(file) || !is_trusted(file);
    is_exposed.then(|| flaw(of, "the file", path, file))
}

/// That others can put something else in the place of what is in a directory. Where it is sticky, as `/tmp` is, only the
/// owner of an entry can (inode(7)).
pub(super) fn of_directory(of: &str, path: &Path, directory: &FileStat) -> Option<Flaw> {
    let is_exposed = is_writable(directory) && !is_sticky(directory) || !is_trusted(directory);
    is_exposed.then(|| flaw(of, "the directory", path, directory))
}

/// That a symbolic link is another's, who may replace it by another link: in a sticky directory. In any other, whoever can
/// write the directory can.
pub(super) fn of_link(
    of: &str,
    path: &Path,
    link: &FileStat,
    directory: &FileStat,
) -> Option<Flaw> {
    let is_exposed = is_sticky(directory) && !is_trusted(link);
    is_exposed.then(|| flaw(of, "the link", path, link))
}

fn is_writable(status: &FileStat) -> bool {
    status.st_mode & WRITABLE != 0
}

fn is_sticky(status: &FileStat) -> bool {
    status.st_mode & libc::S_ISVTX != 0
}

fn is_trusted(status: &FileStat) -> bool {
    let owner = Uid::from_raw(status.st_uid);
    owner.is_root() || owner == geteuid()
}

fn flaw(of: &str, what: &str, path: &Path, status: &FileStat) -> Flaw {
    let argument = shell::path(path);
    let path = visible_path(path);
    let is_link = status.st_mode & libc::S_IFMT == libc::S_IFLNK;
    let chown = if is_link { "chown -h" } else { "chown" };
    let owner = (!is_trusted(status)).then(|| format!("`{chown} root: {argument}`"));
    // The mode of a link has no meaning.
    let mode = (is_writable(status) && !is_link).then(|| format!("`chmod go-w {argument}`"));
    let fixes: Vec<_> = owner.into_iter().chain(mode).collect();
    Flaw::new(format!(
        "others can change the {of}: {what} {path} belongs to {}, with mode {:04o}",
        name_of(status.st_uid),
        status.st_mode & 0o7777
    ))
    .fix(format!("run {}", fixes.join(" and ")))
}

fn name_of(user: u32) -> String {
    users::name_of(user).unwrap_or_else(|| format!("user {user}"))
}
