//! The `pinif` command: see [`pinif_userspace::cli`].

use std::process::ExitCode;

use pinif_userspace::{cli, commands::complaint::complain};

fn main() -> ExitCode {
    let outcome = match cli::parse() {
        Ok(cli) => cli::run(cli),
        Err(status) => return status,
    };
    outcome.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}
