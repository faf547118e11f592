//! The `pinif` command: see [`pinif_userspace::cli`].

use std::process::ExitCode;

use clap::Parser as _;
use pinif_userspace::{cli, sinks::text};

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // The whole chain, once, as a sentence; whatever a file or a name brought into it made safe.
            eprintln!("pinif: {}", text::visible(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
