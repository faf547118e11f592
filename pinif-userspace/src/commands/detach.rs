//! `pinif detach`: the end of an auditor that outlives its collectors.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::Args;

use crate::{
    kernel::persist::{Removed, all_compatible, named, remove, remove_only},
    policy::counted,
    text::{shell, streams},
};

/// The arguments of `pinif detach`.
#[derive(Args, Clone, Debug)]
pub struct DetachArgs {
    /// The directory of `audit --persist=DIR` [default: wherever the auditor is pinned]
    #[arg(long, value_name = "DIR")]
    persist: Option<PathBuf>,

    /// Leave an auditor as it is that this build of pinif can take over: for a service that is restarted or upgraded
    #[arg(long)]
    unless_compatible: bool,
}

/// Detaches all that a persistent auditor has left attached, and removes its maps.
///
/// # Errors
///
/// When a collector runs, there are several auditors and none is named, the directory is no auditor's, or the kernel refuses.
pub fn run(args: DetachArgs) -> Result<ExitCode> {
    if args.unless_compatible && all_compatible(args.persist.as_deref())? {
        let directory = args.persist.as_deref();
        let directory = directory.map(|it| format!("={}", shell::path(it)));
        streams::done(&format!(
            "left as it is: its programs go on counting, and the next `pinif audit --persist{}` takes over",
            directory.unwrap_or_default()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let removed = match &args.persist {
        Some(directory) => remove(directory)?,
        None => remove_only()?,
    };
    for line in report(&removed, args.persist.as_deref()) {
        streams::done(&line);
    }
    Ok(ExitCode::SUCCESS)
}

/// What was done, a line each.
fn report(removed: &Removed, directory: Option<&Path>) -> Vec<String> {
    let outcome = match directory {
        _ if removed.is_anything() => format!(
            "detached from {} and {}; {} with all that was counted in them are gone",
            counted(removed.interfaces, "interface"),
            counted(removed.hooks, "cgroup hook"),
            counted(removed.maps, "map"),
        ),
        Some(directory) => format!("no auditor is pinned in {}", directory.display()),
        None => "no auditor has left anything attached".to_owned(),
    };
    let left = (!removed.left.is_empty()).then(|| {
        format!(
            "not made by pinif, and left as it is: {}",
            named(&removed.left)
        )
    });
    let elsewhere = removed.elsewhere.iter().map(|command| {
        format!("another auditor is pinned in another mount namespace: end it with `{command}`")
    });
    std::iter::once(outcome)
        .chain(left)
        .chain(elsewhere)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_said() {
        assert_eq!(
            report(&Removed::default(), None),
            ["no auditor has left anything attached"]
        );
        assert_eq!(
            report(&Removed::default(), Some(Path::new("/run/bpf"))),
            ["no auditor is pinned in /run/bpf"]
        );
        let removed = Removed {
            interfaces: 3,
            hooks: 9,
            maps: 40,
            left: vec!["tc/globals".to_owned(), "ip".to_owned()],
            elsewhere: vec!["pinif detach --persist=/run/bpf".to_owned()],
        };
        assert_eq!(
            report(&removed, None),
            [
                "detached from 3 interfaces and 9 cgroup hooks; 40 maps with all that was counted in them are gone",
                "not made by pinif, and left as it is: `tc/globals`, `ip`",
                "another auditor is pinned in another mount namespace: end it with `pinif detach --persist=/run/bpf`",
            ]
        );
    }
}
