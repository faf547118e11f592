//! Lines of a shell that give nft(8) commands.

use crate::text::shell::word;

/// The table of nftables that remedies add their rules to. Deleting it undoes them.
pub(super) const TABLE: &str = "pinif_fix";

/// A line that gives nft these commands.
pub(super) fn line(commands: &str) -> String {
    format!("nft {}", word(commands))
}

/// An interface's name as nft(8) takes it for itself; none where that has no way to write it. An asterisk at its end would stand for all
/// names that begin so.
pub(super) fn name(interface: &str) -> Option<String> {
    if interface.contains('"') {
        return None;
    }
    Some(match interface.strip_suffix('*') {
        Some(before) => format!(r#""{before}\*""#),
        None => format!("\"{interface}\""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_no_other() {
        assert_eq!(name("eth0").as_deref(), Some("\"eth0\""));
        assert_eq!(name("eth*").as_deref(), Some(r#""eth\*""#));
        assert_eq!(name("*").as_deref(), Some(r#""\*""#));
        assert_eq!(name("e\"th0"), None);
    }
}
