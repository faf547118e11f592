//! The `pinif` command: see [`pinif_userspace::cli`].

use std::process::ExitCode;

use clap::Parser as _;
use pinif_userspace::{
    cli::{self, Cli},
    commands::complaint::complain,
};

fn main() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => cli::run(cli),
        Err(usage) => return cli::explain(&usage),
    };
    outcome.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}
