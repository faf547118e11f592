//! The date of what is distributed: that of its commit, and not of its build.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{process::output, workspace::Workspace};

/// Seconds since 1970: `SOURCE_DATE_EPOCH` (reproducible-builds.org), or the time of the commit that is checked out.
///
/// # Errors
/// Where neither is known.
pub fn of_commit(workspace: &Workspace) -> Result<u64> {
    if let Ok(date) = std::env::var("SOURCE_DATE_EPOCH") {
        return date
            .parse()
            .context("SOURCE_DATE_EPOCH is no number of seconds since 1970");
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(&workspace.root);
    let date = output(git.args(["log", "-1", "--format=%ct"])).unwrap_or_default();
    let date = date.trim();
    ensure!(
        !date.is_empty(),
        "this is no clone of the repository, so the date of its last commit is not known: set SOURCE_DATE_EPOCH"
    );
    date.parse().context("git does not say the commit's time")
}

/// The time as mails have it (RFC 5322), in UTC.
///
/// # Errors
/// Where `date` fails.
pub fn in_mail(seconds: u64) -> Result<String> {
    let mut date = Command::new("date");
    date.env("LC_ALL", "C").args(["--utc", "--rfc-email"]);
    output(date.arg(format!("--date=@{seconds}")))
        .map(|text| text.trim().to_owned())
        .context("`date` does not say the date")
}
