//! `pinif matrix`: who has sent how much by which interface, of a running audit.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::asking::Asked;
use crate::{
    control::{Client, protocol::MatrixNow},
    findings::matrix::Matrix,
    surfaces::{
        Format,
        look::{Look, columns},
        matrix,
    },
    text::{json, streams},
};

/// The auditor makes a new one no more often.
const PERIOD: &str = "1";

/// The arguments of `pinif matrix`.
#[derive(Args, Clone, Debug)]
pub struct MatrixArgs {
    #[command(flatten)]
    asked: Asked,

    /// Go on, and show it again every SECONDS where it has changed
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = PERIOD,
        value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,

    /// How it is shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// Runs `pinif matrix`.
///
/// # Errors
///
/// Why there is no answer, in a sentence with the fix.
pub fn run(args: MatrixArgs) -> Result<ExitCode> {
    let MatrixArgs {
        asked,
        watch,
        format,
    } = args;
    asked.run(async |client| {
        let mut shown = Shown {
            format,
            goes_on: watch.is_some(),
            last: None,
        };
        let outcome = match watch {
            None => shown.show(client).await,
            Some(seconds) => shown.watch(client, Duration::from_secs(seconds)).await,
        };
        match outcome {
            // Whoever read it may have read enough.
            Err(error) if error.downcast_ref().is_some_and(streams::is_closed) => Ok(()),
            outcome => outcome,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

struct Shown {
    format: Format,
    goes_on: bool,
    /// The text that was shown last.
    last: Option<String>,
}

impl Shown {
    async fn watch(&mut self, client: &mut Client, period: Duration) -> Result<()> {
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
        let mut again = tokio::time::interval(period);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                () = streams::closed() => return Ok(()),
                _ = again.tick() => self.show(client).await?,
            }
        }
    }

    async fn show(&mut self, client: &mut Client) -> Result<()> {
        let now = client.matrix().await?;
        let out = io::stdout();
        let text = match self.format {
            Format::Json => json::line(&now)?,
            Format::Human => render(&now, Look::of(&out), columns(&out)),
        };
        if self.last.as_ref() == Some(&text) {
            return Ok(());
        }
        let before = match (&self.last, self.format) {
            (_, Format::Json) => "",
            // The cursor goes home, and all below it is cleared (ECMA-48, CUP and ED).
            _ if self.goes_on && out.is_terminal() => "\x1b[H\x1b[J",
            (Some(_), Format::Human) => "\n",
            (None, Format::Human) => "",
        };
        streams::write(&format!("{before}{text}"))?;
        self.last = Some(text);
        Ok(())
    }
}

/// The matrix of each namespace.
fn render(now: &MatrixNow, look: Look, columns: Option<usize>) -> String {
    let all = Matrix::of_graded(&now.matrix);
    if all.is_empty() {
        return "no packet has left yet\n".to_owned();
    }
    let rendered = all.iter().map(|one| matrix::render(one, look, columns));
    rendered.collect::<Vec<_>>().join("\n")
}
