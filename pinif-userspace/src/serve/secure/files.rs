//! The operator's files: certificate, key, tokens, and who issues readers' certificates.

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{
    policy::open_guarded,
    text::{escape::visible_path, shell},
};

/// What is larger is none of these.
const MOST: u64 = 1 << 20;

/// Where they are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate, and those between it and its root (PEM, RFC 7468).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// The tokens, one a line.
    pub tokens: Option<PathBuf>,
    /// The certificates of who issues those of readers (PEM).
    pub client_ca: Option<PathBuf>,
}

impl Files {
    /// All that there are.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        let optional = [self.tokens.as_deref(), self.client_ca.as_deref()];
        let always = [&*self.certificate, &*self.key];
        always.into_iter().chain(optional.into_iter().flatten())
    }
}

/// What is in a file that others cannot change.
///
/// # Errors
///
/// Why it is not taken, with the fix.
pub fn read(path: &Path, of: &'static str) -> Result<Vec<u8>, String> {
    bytes(open_guarded(path, of)?, path, of)
}

/// The same, of one that nobody else can read.
///
/// # Errors
///
/// Why it is not taken, with the fix.
pub fn read_secret(path: &Path, of: &'static str) -> Result<Vec<u8>, String> {
    let file = open_guarded(path, of)?;
    let metadata = file
        .metadata()
        .map_err(|error| unreadable(path, of, &error))?;
    if let Some(change) = exposed(metadata.mode(), metadata.uid() == 0) {
        let argument = shell::path(path);
        return Err(format!(
            "others can read the {of} {}, whose mode is {:04o}; run `chmod {change} {argument}`, and replace it where they may have",
            visible_path(path),
            metadata.mode() & 0o7777
        ));
    }
    bytes(file, path, of)
}

/// What takes away what a secret's mode allows to others; nothing where it allows nothing. Root may let a group read it: that is how a
/// service that is not root reads it, by its group or by the list that systemd puts on a credential (systemd.exec(5)).
fn exposed(mode: u32, is_roots: bool) -> Option<&'static str> {
    let by_group = mode & 0o040 != 0 && !is_roots;
    let by_all = mode & 0o004 != 0;
    match (by_group, by_all) {
        (true, _) => Some("go-r"),
        (false, true) => Some("o-r"),
        (false, false) => None,
    }
}

fn bytes(file: File, path: &Path, of: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = file.take(MOST + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, of, &error))?;
    if bytes.len() as u64 > MOST {
        let path = visible_path(path);
        return Err(format!("{path} is no {of}: it is larger than 1 MiB"));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, of: &str, error: &std::io::Error) -> String {
    let path = visible_path(path);
    format!("the {of} {path} cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_owners_or_of_roots_group() {
        for (mode, is_roots, fix) in [
            (0o100_600, true, None),
            (0o100_400, false, None),
            (0o100_440, true, None),
            (0o100_640, true, None),
            (0o100_640, false, Some("go-r")),
            (0o100_644, false, Some("go-r")),
            (0o100_644, true, Some("o-r")),
            (0o100_604, true, Some("o-r")),
        ] {
            assert_eq!(exposed(mode, is_roots), fix, "{mode:o} {is_roots}");
        }
    }
}
