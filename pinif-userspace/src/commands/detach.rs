//! `pinif detach`: the end of an auditor that outlives its collectors.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{
    kernel::persist::{DIRECTORY, Removed, remove},
    policy::counted,
    text::streams,
};

/// The arguments of `pinif detach`.
#[derive(Args, Clone, Debug)]
pub struct DetachArgs {
    /// The directory of `audit --persist=DIR`
    #[arg(long, value_name = "DIR", default_value = DIRECTORY, hide = true)]
    persist: PathBuf,
}

/// Detaches all that a persistent auditor has left attached, and removes its maps.
///
/// # Errors
///
/// When a collector lives, or the kernel refuses.
pub fn run(args: DetachArgs) -> Result<ExitCode> {
    let removed = remove(&args.persist)?;
    streams::done(&told(&removed));
    Ok(ExitCode::SUCCESS)
}

fn told(removed: &Removed) -> String {
    if !removed.is_anything() {
        return "no auditor has left anything attached".to_owned();
    }
    format!(
        "detached from {} and {}; {} with all that was counted in them are gone",
        counted(removed.interfaces, "interface"),
        counted(removed.hooks, "cgroup hook"),
        counted(removed.maps, "map"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_said() {
        assert_eq!(
            told(&Removed::default()),
            "no auditor has left anything attached"
        );
        let removed = Removed {
            interfaces: 3,
            hooks: 9,
            maps: 40,
        };
        assert_eq!(
            told(&removed),
            "detached from 3 interfaces and 9 cgroup hooks; 40 maps with all that was counted in them are gone"
        );
    }
}
