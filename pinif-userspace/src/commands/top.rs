//! `pinif top`: a running auditor on the terminal.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    commands::asking::Asked,
    surfaces::{
        look::Look,
        top::{linear, objection, watch},
    },
    text::streams,
};

/// The arguments of `pinif top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    #[command(flatten)]
    asked: Asked,

    /// Print a line for each change, instead of drawing on the screen: for screen readers, and where there is no screen
    #[arg(long)]
    linear: bool,
}

/// Runs `pinif top`.
///
/// # Errors
///
/// Where no auditor answers at first, or the terminal cannot be used.
pub fn run(args: TopArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let TopArgs {
        asked,
        linear: is_linear,
    } = args;
    let find = move || asked.find();
    let ended = if is_linear || !draws() {
        runtime.block_on(linear(find))
    } else {
        runtime.block_on(watch(find, Look::of(&io::stdout())))
    };
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

/// Whether there is a screen to draw on; says so, where there is none.
fn draws() -> bool {
    let term = std::env::var_os("TERM");
    let objection = if !io::stdout().is_terminal() {
        Some("standard output is no terminal".to_owned())
    } else if streams::columns(io::stdout()).is_none() {
        Some("the terminal does not know its size (stty rows 24 columns 80 sets it)".to_owned())
    } else {
        objection(term.as_deref())
    };
    if let Some(objection) = &objection {
        streams::note(&format!(
            "{objection}: changes are printed as lines (--linear)"
        ));
    }
    objection.is_none()
}
