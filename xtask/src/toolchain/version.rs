//! What a compiler says of itself.

use std::path::Path;

use crate::process::{detached, output};

/// What `rustc -vV` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The release, as printed: `1.96.0`, `1.97.0-nightly`.
    pub release: String,
    /// Major and minor number of the release.
    pub number: (u32, u32),
    /// The target that it builds for unless another is named.
    pub host: String,
    /// The major version of its LLVM, which writes the bitcode that the linker reads.
    pub llvm: u32,
}

impl Version {
    /// Reads the output of `rustc -vV`; `None` where it is not one.
    pub fn parse(verbose: &str) -> Option<Self> {
        let field = |name| {
            verbose
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let release = field("release")?;
        Some(Self {
            release: release.to_owned(),
            number: major_minor(release)?,
            host: field("host")?.to_owned(),
            llvm: field("LLVM version")?.split('.').next()?.parse().ok()?,
        })
    }

    /// Asks a compiler.
    pub fn of(rustc: &Path) -> Option<Self> {
        Self::parse(&output(detached(rustc).arg("-vV"))?)
    }

    /// Whether it takes unstable options.
    pub(super) fn is_nightly(&self) -> bool {
        self.release.ends_with("-nightly") || self.release.ends_with("-dev")
    }
}

/// The first two numbers of a release.
pub(super) fn major_minor(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)
binary: rustc
commit-hash: ac68faa20c58cbccd01ee7208bf3b6e93a7d7f96
commit-date: 2026-05-25
host: x86_64-unknown-linux-gnu
release: 1.96.0
LLVM version: 22.1.8
";

    #[test]
    fn a_compilers_version_is_read() {
        assert_eq!(
            Version::parse(DEBIAN),
            Some(Version {
                release: "1.96.0".to_owned(),
                number: (1, 96),
                host: "x86_64-unknown-linux-gnu".to_owned(),
                llvm: 22,
            })
        );
    }

    #[test]
    fn what_is_no_version_is_refused() {
        assert_eq!(Version::parse(""), None);
        assert_eq!(Version::parse("rustc 1.96.0"), None);
        assert_eq!(Version::parse(&DEBIAN.replace("22.1.8", "unknown")), None);
        assert_eq!(
            Version::parse(&DEBIAN.replace("release: 1.96.0", "release: new")),
            None
        );
    }
}
