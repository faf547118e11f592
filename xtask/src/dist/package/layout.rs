//! The layout of the maps that a package's programs count in: before it is installed, a script asks whether it can take over what runs.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

const SCRIPT: &str = include_str!("layout.sh");

/// The file of a tarball's directory that names it.
const FILE: &str = "map-layout";

/// The script, for what a tarball's directory has.
///
/// # Errors
/// Where the directory does not name the layout: its pinif was built without its programs.
pub fn script(tree: &Path) -> Result<String> {
    let path = tree.join(FILE);
    let layout =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(SCRIPT.replace("@LAYOUT@", layout.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_names_the_layout_of_the_tree() {
        let tree = std::env::temp_dir().join(format!("pinif-xtask-layout-{}", std::process::id()));
        fs::create_dir_all(&tree).expect("a directory");
        let without = script(&tree);
        fs::write(tree.join(FILE), "0123456789abcdef\n").expect("a file");
        let with = script(&tree);
        fs::remove_dir_all(&tree).expect("clean-up");
        assert!(without.is_err());
        let with = with.expect("a script");
        assert!(with.contains(r#"!= "0123456789abcdef" ]"#), "{with}");
        assert!(!with.contains('@'), "{with}");
        // `systemctl stop` does nothing of a unit that has failed.
        for end in ["systemctl stop pinif", "pinif detach"] {
            assert!(with.contains(end), "{with}");
        }
    }
}
