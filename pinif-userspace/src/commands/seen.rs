//! What was sent by whom, for the commands that draft and try policies: of a running auditor, or of a file.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use super::asking::Asked;
use crate::{learned::LearnedPage, text::escape::visible_path};

/// Where it is from.
#[derive(Args, Clone, Debug)]
pub struct Seen {
    #[command(flatten)]
    asked: Asked,

    /// Take what was seen from a file that `pinif learn --format json` wrote, instead of a running auditor
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    from: Option<PathBuf>,
}

impl Seen {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// Why there is no answer, or what is wrong with the file, in a sentence with the fix.
    pub fn read(&self) -> Result<LearnedPage> {
        let Some(file) = &self.from else {
            return self.asked.ask(async |client| client.learned().await);
        };
        let shown = visible_path(file);
        let text = fs::read(file).with_context(|| format!("{shown} cannot be read"))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{shown} is not what `pinif learn --format json` writes"))
    }
}
