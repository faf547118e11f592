//! The units as packages have them: for `/usr/bin/pinif`, and without how they are installed by hand.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

/// The units of `contrib`.
pub const NAMES: [&str; 3] = [
    "pinif.service",
    "pinif-serve.service",
    "pinif-pin-refresh@.service",
];

/// Where a binary is that is installed by hand, and where a package has it.
const BY_HAND: &str = "/usr/local/bin/pinif";
const PACKAGED: &str = "/usr/bin/pinif";

/// The unit in a file of `contrib`.
///
/// # Errors
/// Where it cannot be read, or starts no pinif.
pub fn of(path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    packaged(&text).with_context(|| format!("{} is no unit of pinif's", path.display()))
}

fn packaged(text: &str) -> Result<String> {
    let (_, body) = text.split_once("\n[Unit]").context("it has no [Unit]")?;
    ensure!(body.contains(BY_HAND), "it does not start {BY_HAND}");
    Ok(format!("[Unit]{}", body.replace(BY_HAND, PACKAGED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_what_the_package_has_and_says_nothing_of_installing_it() -> Result<()> {
        let text = "# install -m 0755 pinif /usr/local/bin/pinif\n\n[Unit]\n[Service]\nExecStart=/usr/local/bin/pinif audit\n";
        let unit = "[Unit]\n[Service]\nExecStart=/usr/bin/pinif audit\n";
        assert_eq!(packaged(text)?, unit);
        assert!(packaged("[Service]\nExecStart=/bin/true\n").is_err());
        assert!(packaged("\n[Unit]\n").is_err());
        Ok(())
    }

    /// Another auditor on the machine keeps it neither from ending its own, nor is ended with it.
    #[test]
    fn it_ends_what_it_has_pinned_and_no_other_auditor() -> Result<()> {
        let unit = of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/pinif.service"))?;
        let mut ends = unit.split("pinif detach").skip(1).map(|rest| {
            let (arguments, _) = rest.split_once(";;").unwrap_or((rest, ""));
            arguments.trim()
        });
        assert_eq!(ends.next(), Some("--persist=/sys/fs/bpf/pinif"));
        let at_restart = "--unless-compatible --persist=/sys/fs/bpf/pinif";
        assert_eq!(ends.next(), Some(at_restart));
        assert_eq!(ends.next(), None);
        Ok(())
    }

    #[test]
    fn all_of_contrib_are_such() -> Result<()> {
        let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib");
        NAMES
            .iter()
            .try_for_each(|name| of(&contrib.join(name)).map(drop))
    }
}
