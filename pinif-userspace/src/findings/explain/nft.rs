//! Lines of a shell that give nft(8) commands.

use crate::text::shell::word;

/// The table of nftables that remedies add their rules to. Deleting it undoes them.
pub(super) const TABLE: &str = "pinif_fix";

/// A line that gives nft these commands.
pub(super) fn line(commands: &str) -> String {
    format!("nft {}", word(commands))
}

/// An interface's name as nft(8) takes it for itself.
pub(super) fn name(interface: &str) -> String {
    format!("\"{}\"", interface.replace('"', ""))
}
