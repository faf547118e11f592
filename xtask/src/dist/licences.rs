//! The licence texts of all that is in the binary.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::metadata;

/// How the file of a licence's text begins.
const NAMES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// What is in the binary and is no package of cargo's.
const BESIDES: &str = "\
The Rust standard library (https://www.rust-lang.org): MIT OR Apache-2.0.
The GNU C library (https://www.gnu.org/software/libc), linked statically: LGPL-2.1-or-later. pinif's sources are what is needed to link it with another.
SQLite (https://sqlite.org), which libsqlite3-sys compiles: public domain.
";

/// A package that is in the binary.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    /// An SPDX expression.
    licence: String,
    /// The texts, each with its file's name.
    texts: Vec<(String, String)>,
}

/// The texts in one file: each once, with the packages that it is for.
///
/// # Errors
/// Where a package names no licence and has no text, or cannot be read.
pub fn of(metadata: &Value) -> Result<String> {
    let mut packages = Vec::new();
    for package in metadata::linked(metadata)? {
        if package["source"].is_null() {
            continue;
        }
        packages.push(read(package)?);
    }
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(text(&packages))
}

fn read(package: &Value) -> Result<Package> {
    let field = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let (name, version, licence) = (field("name"), field("version"), field("license"));
    let manifest = field("manifest_path");
    let directory = Path::new(&manifest).parent().unwrap_or(Path::new(""));
    let mut texts = Vec::new();
    for entry in
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let is_named = NAMES
            .iter()
            .any(|start| file.to_uppercase().starts_with(start));
        if is_named && entry.file_type()?.is_file() {
            texts.push((file, fs::read_to_string(entry.path())?.trim().to_owned()));
        }
    }
    texts.sort();
    if licence.is_empty() && texts.is_empty() {
        bail!("{name} {version} names no licence, and has no file of one");
    }
    Ok(Package {
        name,
        version,
        licence,
        texts,
    })
}

fn text(packages: &[Package]) -> String {
    let mut out = format!("What is in pinif besides its own code.\n\n{BESIDES}\n");
    let mut texts: Vec<(&str, Vec<String>)> = Vec::new();
    for package in packages {
        let Package {
            name,
            version,
            licence,
            ..
        } = package;
        // Writing to a text cannot fail.
        let _ = writeln!(out, "{name} {version}: {licence}");
        for (file, text) in &package.texts {
            let of = format!("{name} {version}, {file}");
            match texts.iter_mut().find(|(known, _)| known == text) {
                Some((_, packages)) => packages.push(of),
                None => texts.push((text, vec![of])),
            }
        }
    }
    for (text, packages) in texts {
        let line = "-".repeat(72);
        let _ = write!(out, "\n{line}\n{}\n\n{text}\n", packages.join("\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, text: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
            texts: vec![("LICENSE".to_owned(), text.to_owned())],
        }
    }

    #[test]
    fn a_text_stands_once_with_all_that_it_is_for() {
        let all = text(&[
            package("a", "Permission"),
            package("b", "Other"),
            package("c", "Permission"),
        ]);
        assert!(
            all.contains("a 1.0.0, LICENSE\nc 1.0.0, LICENSE\n\nPermission\n"),
            "{all}"
        );
        assert_eq!(all.matches("Permission").count(), 1);
        assert!(all.contains("\nb 1.0.0: MIT\n"));
    }
}
