//! In which form findings are shown.

use clap::ValueEnum;

/// How findings are shown (`--format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Human,
    /// JSON Lines, as `pinif audit --format json` prints them.
    Json,
    /// A table for spreadsheets (RFC 4180), with its headings first.
    Csv,
}
