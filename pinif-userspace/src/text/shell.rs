//! Words of a shell's line.

use std::{borrow::Cow, path::Path};

/// A word as sh(1) takes it for itself, whatever is in it: names of interfaces, tables and cgroups are anybody's.
pub fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:/@%+,=-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

/// A path likewise, which no command takes for an option.
pub fn path(path: &Path) -> String {
    let text = path.to_string_lossy();
    let word = word(&text);
    if text.starts_with('-') {
        format!("./{word}")
    } else {
        word.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_word_is_run() {
        assert_eq!(word("fab0.100"), "fab0.100");
        assert_eq!(word("$(reboot)"), "'$(reboot)'");
        assert_eq!(word("a'b"), r"'a'\''b'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn a_path_is_no_option() {
        let path = |text: &str| path(Path::new(text));
        assert_eq!(path("/etc/pinif/policy.toml"), "/etc/pinif/policy.toml");
        assert_eq!(path("/etc/a b;reboot"), "'/etc/a b;reboot'");
        assert_eq!(path("-rf"), "./-rf");
        assert_eq!(path("-r f"), "./'-r f'");
    }
}
