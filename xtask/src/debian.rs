//! Debian's packages: what is missing is installed, nothing else is touched.

pub mod apt;
pub mod libraries;
mod sources;

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{as_root, output, run, say, which};

/// Which package list an installation goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// The one that is there, renewed where it does not know a package.
    AsItIs,
    /// A new one.
    Renewed,
}

/// Whether this machine installs its packages with apt.
pub fn is_here() -> bool {
    which("apt-get").is_some()
}

/// Installs packages. `purpose` is what they bring, as the subject of an error; `remedy` brings it where they cannot.
///
/// # Errors
/// Where apt does not know a package or cannot install it, or where this process may not.
pub fn install(packages: &[&str], purpose: &str, remedy: &str, list: List) -> Result<()> {
    let names = packages.join(" ");
    say(format_args!("installing {names} with apt-get"));
    let mut renewed = list == List::Renewed;
    if renewed || packages.iter().any(|package| !is_known(package)) {
        renew_list()?;
        renewed = true;
    }
    if let Some(unknown) = packages.iter().find(|package| !is_known(package)) {
        bail!(
            "{purpose}: apt knows no package {unknown} on this machine; what else brings it: {remedy}"
        );
    }
    // Nothing that is on the machine is removed for it: rustc-web, for example, conflicts with Debian's rustup.
    let arguments = [
        &["install", "--yes", "--no-install-recommends", "--no-remove"],
        packages,
    ]
    .concat();
    let mut installed = run(&mut apt_get(&arguments)?);
    if installed.is_err() && !renewed {
        say("that failed; trying again with a new package list");
        renew_list()?;
        installed = run(&mut apt_get(&arguments)?);
    }
    installed.with_context(|| {
        format!("{purpose}: apt-get cannot install {names}; what else brings it: {remedy}")
    })
}

/// Renews the package list. apt reports a source that does not answer: the others may have what is wanted.
///
/// # Errors
/// Where this process may not.
pub fn renew_list() -> Result<()> {
    if let Err(error) = run(&mut apt_get(&["update"])?) {
        say(format_args!(
            "{error:#}; going on with the lists that are there"
        ));
    }
    Ok(())
}

/// Whether the package list has a package that can be installed.
pub fn is_known(package: &str) -> bool {
    output(
        Command::new("apt-cache")
            .env("LC_ALL", "C")
            .args(["policy", package]),
    )
    .is_some_and(|policy| has_candidate(&policy))
}

/// Whether the output of `apt-cache policy` names a version to install.
fn has_candidate(policy: &str) -> bool {
    policy
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("Candidate: "))
        .is_some_and(|candidate| candidate != "(none)")
}

/// An apt-get that asks nothing and waits for another one's lock.
fn apt_get(arguments: &[&str]) -> Result<Command> {
    let mut command = as_root("/usr/bin/env", "apt-get")?;
    command
        .args([
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-q",
            "-o",
            "DPkg::Lock::Timeout=300",
            "-o",
            "Dpkg::Use-Pty=0",
        ])
        .args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_candidate_is_unknown() {
        assert!(has_candidate(
            "nftables:\n  Installed: (none)\n  Candidate: 1.0.6-2+deb12u2\n  Version table:\n"
        ));
        assert!(!has_candidate(
            "rustc-web:\n  Installed: (none)\n  Candidate: (none)\n"
        ));
        assert!(!has_candidate(""));
    }
}
