//! `pinif learn`: the draft of a policy, of what a running auditor has seen.

use std::{
    fs::OpenOptions, io::Write as _, path::PathBuf, process::ExitCode, thread, time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use super::seen::Seen;
use crate::{
    learned::{draft, written},
    text::{escape::visible_path, json, span::span, streams},
};

/// The arguments of `pinif learn`.
#[derive(Args, Clone, Debug)]
pub struct LearnArgs {
    #[command(flatten)]
    seen: Seen,

    /// Ask after this time, such as 60s, so that what is sent meanwhile is in it
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with = "from")]
    duration: Option<Duration>,

    /// Write it to this file, which must not be there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// What is written
    #[arg(long, value_enum, default_value_t = What::Policy)]
    format: What,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The draft of a policy, with the evidence of each rule
    Policy,
    /// What was seen, for --from of this command and of `pinif policy test`
    Json,
}

/// Runs `pinif learn`.
///
/// # Errors
///
/// Why there is nothing to draft from, or that it cannot be written, in a sentence with the fix.
pub fn run(args: LearnArgs) -> Result<ExitCode> {
    let LearnArgs {
        seen,
        duration,
        output,
        format,
    } = args;
    if let Some(duration) = duration {
        // An auditor that does not learn is reported now, not then.
        seen.read()?;
        thread::sleep(duration);
    }
    let learned = seen.read()?;
    if learned.next.is_some() {
        bail!("this is one page of several: take what `pinif learn --format json` writes");
    }
    let text = match format {
        What::Policy => written(&draft(&learned), &learned),
        What::Json => json::line(&learned)?,
    };
    let Some(path) = output else {
        streams::answer(&text)?;
        return Ok(ExitCode::SUCCESS);
    };
    let shown = visible_path(&path);
    let file = OpenOptions::new().write(true).create_new(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{shown} cannot be written"))?;
    streams::done(&format!("wrote {shown}"));
    Ok(ExitCode::SUCCESS)
}
