//! Programs of unpacked packages: each is started by the packages' own loader, with their own libraries.

use std::{
    env::consts::ARCH,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::script::{self, word};

/// A directory that packages were unpacked into, with all that they depend on.
#[derive(Debug)]
pub struct Unpacked {
    root: PathBuf,
}

impl Unpacked {
    /// The packages in a directory.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Where a program of the packages is. Older releases have `/bin` beside `/usr/bin`.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        ["usr/bin", "bin", "usr/sbin", "sbin"]
            .map(|directory| self.root.join(directory).join(name))
            .into_iter()
            .find(|path| path.is_file())
    }

    /// Writes a script that starts a program of the packages, and gives its path. It is called as `name`; `settings` are
    /// lines of its environment, `arguments` come before those that it is given.
    ///
    /// # Errors
    /// Where the packages have no such program, or the script cannot be written.
    pub fn script(
        &self,
        directory: &Path,
        name: &str,
        program: &str,
        settings: &[(&str, PathBuf)],
        arguments: &[PathBuf],
    ) -> Result<PathBuf> {
        let triplet = format!("{ARCH}-linux-gnu");
        let libraries = [format!("usr/lib/{triplet}"), format!("lib/{triplet}")];
        let loader = libraries
            .iter()
            .filter_map(|directory| fs::read_dir(self.root.join(directory)).ok())
            .flatten()
            .flatten()
            .find(|entry| is_loader(&entry.file_name().to_string_lossy()))
            .context("the unpacked packages have no loader of programs")?
            .path();
        let program = self
            .program(program)
            .with_context(|| format!("the unpacked packages have no program {program}"))?;
        let libraries = libraries.map(|directory| word(&self.root.join(directory)));
        let mut text = "#!/bin/sh\n".to_owned();
        for (variable, value) in settings {
            text += &format!("export {variable}={}\n", word(value));
        }
        text += &format!(
            "exec {} --library-path {} --argv0 {name} {}",
            word(&loader),
            libraries.join(":"),
            word(&program)
        );
        for argument in arguments {
            text += &format!(" {}", word(argument));
        }
        text += " \"$@\"\n";
        script::write(&directory.join(name), &text)
    }

    /// A path in the packages.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// Whether a file is the C library's loader, such as `ld-linux-x86-64.so.2`.
fn is_loader(name: &str) -> bool {
    name.starts_with("ld-linux-") && name.contains(".so")
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    #[test]
    fn the_loader_starts_a_program_with_its_name_its_settings_and_all_arguments() {
        let root = env::temp_dir().join(format!("pinif-xtask-unpacked-{}", std::process::id()));
        let libraries = root.join(format!("usr/lib/{ARCH}-linux-gnu"));
        fs::create_dir_all(&libraries).expect("a directory");
        fs::create_dir_all(root.join("bin")).expect("a directory");
        fs::write(root.join("bin/program"), "").expect("a file");
        let text = "#!/bin/sh\nprintf '%s\\n' \"$OF_ITS_OWN\" \"$@\"\n";
        let loader = script::write(&libraries.join("ld-linux-a.so.2"), text).expect("a loader");
        let packages = Unpacked::new(&root);
        let start = |program| {
            let settings = [("OF_ITS_OWN", "/a path".into())];
            packages.script(&root, "name", program, &settings, &["-L one".into()])
        };
        let script = start("program").expect("a script");
        let output = Command::new(script).arg("two three").output();
        let missing = start("no-such-program");
        fs::remove_dir_all(&root).expect("clean-up");
        let root = root.display();
        assert_eq!(
            String::from_utf8_lossy(&output.expect("the script runs").stdout),
            format!(
                "/a path\n--library-path\n{}:{root}/lib/{ARCH}-linux-gnu\n--argv0\nname\n{root}/bin/program\n-L one\ntwo three\n",
                libraries.display()
            )
        );
        assert!(loader.starts_with(&libraries));
        assert!(missing.is_err());
    }

    #[test]
    fn only_the_loader_is_taken_for_it() {
        assert!(is_loader("ld-linux-x86-64.so.2"));
        assert!(is_loader("ld-linux-aarch64.so.1"));
        assert!(!is_loader("libld-linux.so"));
        assert!(!is_loader("ld.so"));
    }
}
