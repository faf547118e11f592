//! What the commands have in common that ask a running auditor.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::control::{Client, ClientError, running};

/// Which auditor is asked.
#[derive(Args, Clone, Debug)]
pub struct Asked {
    /// Where the auditor is asked [default: the service's socket, or the only one in /run/pinif]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Asked {
    /// Looks for it.
    ///
    /// # Errors
    ///
    /// That it is not there, or that there are several.
    pub fn find(&self) -> Result<Client, ClientError> {
        Client::find(self.socket.as_deref())
    }

    /// Asks it.
    ///
    /// # Errors
    ///
    /// Why there is no answer, in a sentence with the fix.
    pub fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T> {
        self.run(async |client| Ok(question(client).await?))
    }

    /// Does something with it.
    ///
    /// # Errors
    ///
    /// That it is not there, or what else failed.
    pub fn run<T>(&self, work: impl AsyncFnOnce(&mut Client) -> Result<T>) -> Result<T> {
        let mut client = self.find()?;
        run(work(&mut client))
    }

    /// The auditors that a command asks which does without them as well: the one that is named, or all that run.
    pub fn all(&self) -> Vec<Client> {
        let paths = match &self.socket {
            Some(path) => vec![path.clone()],
            None => running().unwrap_or_default(),
        };
        let named = |path: PathBuf| Client::find(Some(&path)).ok();
        paths.into_iter().filter_map(named).collect()
    }

    /// Whether one is named, so that it has to answer.
    pub fn is_named(&self) -> bool {
        self.socket.is_some()
    }
}

/// Does something that waits for answers.
///
/// # Errors
///
/// That it cannot wait, or what failed.
pub fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}
