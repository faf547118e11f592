//! `pinif` alone: where to begin, and what runs.

use std::{path::Path, process::ExitCode};

use anyhow::Result;

use crate::{
    control::{Client, ClientError, protocol::Status, running},
    text::{escape::visible, streams, words::counted},
};

/// Where to begin.
const BEGIN: &str = "\
pinif audits where packets really leave, against the device that each socket is bound to.

  pinif demo       watch it at work, in namespaces of its own
  pinif doctor     what this machine allows
  pinif sockets    where each socket would leave now
  pinif audit      audit this machine, until Ctrl-C
  pinif status     how the auditor stands that runs
  pinif --help     all commands

";

/// Shows where to begin, and which auditors run.
///
/// # Errors
///
/// When it cannot be shown.
pub fn run() -> Result<ExitCode> {
    let runs = match running() {
        Ok(paths) if paths.is_empty() => "No auditor runs that can be asked.\n".to_owned(),
        Ok(paths) => paths.iter().map(|path| line(path)).collect(),
        Err(error) => format!("Whether an auditor runs is not known: {error}.\n"),
    };
    streams::answer(&format!("{BEGIN}{runs}"))?;
    Ok(ExitCode::SUCCESS)
}

fn line(path: &Path) -> String {
    let shown = path.to_string_lossy();
    let what = match status(path) {
        Ok(status) => described(&status),
        Err(error) => error.to_string(),
    };
    format!("{}: {}\n", visible(&shown), visible(&what))
}

fn status(path: &Path) -> Result<Status, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| ClientError::Lost {
        path: path.to_owned(),
        error: error.to_string(),
    })?;
    runtime.block_on(async { Client::find(Some(path))?.status().await })
}

fn described(status: &Status) -> String {
    let audited = status
        .interfaces
        .iter()
        .filter(|interface| interface.refused.is_none());
    let findings: u64 = status.findings.iter().map(|count| count.number).sum();
    format!(
        "an auditor (pid {}) of {}, with {}",
        status.pid,
        counted(audited.count() as u64, "interface"),
        counted(findings, "finding")
    )
}
