//! Packages of a pinif that tests run: as those that are distributed, but of any build, and without what takes long to make.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Error, Result, ensure};

use super::{
    makers, metadata,
    package::{self, Size, Source},
    tree,
};
use crate::{target::Target, workspace::Workspace};

/// Three of each, under versions that follow on each other.
const REVISIONS: [(u32, Build); 3] = [
    (1, Build::This),
    (2, Build::OtherPrograms),
    (3, Build::OtherLayout),
];

/// What is in a package.
#[derive(Clone, Copy, Debug)]
enum Build {
    /// The binary as it is.
    This,
    /// Other programs, which count in the same maps: their licence is another of those that the kernel takes for GPL
    /// (`license_is_gpl_compatible`).
    OtherPrograms,
    /// Programs that count in other maps. It is never installed, so that its name is enough.
    OtherLayout,
}

/// Any date.
const DATE: u64 = 1_600_000_000;

/// Makes packages of a binary in a directory.
///
/// # Errors
/// Where something cannot be built, read or written, or a package that is made once more has other bytes.
pub fn make(workspace: &Workspace, binary: &Path, directory: &Path) -> Result<()> {
    let target = Target::of_this_machine().map_err(Error::msg)?;
    makers::build(workspace, true)?;
    let tree = directory.join(".tree");
    let metadata = metadata::of(workspace, target.name())?;
    tree::stage_but_list(workspace, &tree, binary, &metadata)?;
    for (revision, build) in REVISIONS {
        build.put(&tree, binary)?;
        let source = Source {
            workspace,
            tree: &tree,
            target,
            date: DATE,
            revision,
            size: Size::Quick,
        };
        let made = both(&source, directory)?;
        if matches!(build, Build::This) {
            let again = both(&source, &tree.join(".again"))?;
            for (one, other) in made.iter().zip(&again) {
                ensure!(
                    fs::read(one)? == fs::read(other)?,
                    "{} has other bytes each time",
                    one.display()
                );
            }
        }
    }
    fs::remove_dir_all(tree)?;
    Ok(())
}

fn both(source: &Source<'_>, directory: &Path) -> Result<[PathBuf; 2]> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    Ok([
        package::deb::make(source, directory)?,
        package::rpm::make(source, directory)?,
    ])
}

impl Build {
    /// Puts it where a package takes it from.
    fn put(self, tree: &Path, binary: &Path) -> Result<()> {
        match self {
            Self::This => Ok(()),
            Self::OtherPrograms => {
                let mut bytes = fs::read(binary)?;
                replace(&mut bytes, b"Dual MIT/GPL\0", b"Dual BSD/GPL\0")?;
                Ok(fs::write(tree.join("pinif"), bytes)?)
            }
            Self::OtherLayout => {
                fs::write(tree.join("pinif"), "#!/bin/sh\n")?;
                Ok(fs::write(tree.join("map-layout"), "another\n")?)
            }
        }
    }
}

/// Writes over each place that some bytes have.
fn replace<const N: usize>(bytes: &mut [u8], from: &[u8; N], to: &[u8; N]) -> Result<()> {
    let windows = bytes.windows(N).enumerate();
    let places: Vec<_> = windows
        .filter(|(_, window)| window == from)
        .map(|(at, _)| at)
        .collect();
    ensure!(!places.is_empty(), "they are not in it");
    for at in places {
        bytes[at..at + N].copy_from_slice(to);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_written_over_and_one_that_is_not_there_is_an_error() {
        let mut bytes = b"abcXabc".to_vec();
        replace(&mut bytes, b"abc", b"def").expect("it is there");
        assert_eq!(bytes, b"defXdef");
        assert!(replace(&mut bytes, b"abc", b"def").is_err());
    }
}
