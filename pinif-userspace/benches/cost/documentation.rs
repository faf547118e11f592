//! What a run writes into the documentation: tables, and the picture.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::machine;
use crate::parts::instructions;
use crate::paths::{self, page::replaced};
use crate::plot;
use crate::report::Section;

const PAGE: &str = "developers/performance.md";
const PICTURE: &str = "developers/performance.svg";

/// Writes what was measured: the tables of each part, at its place in the page; and the picture, where all that it shows was measured.
///
/// # Errors
/// Where a file cannot be read or written, or the page lacks a place.
pub fn write(sections: &[Section], rounds: usize, directory: &Path) -> Result<()> {
    let page = directory.join(PAGE);
    let mut text =
        fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    let parts: BTreeSet<&str> = sections.iter().map(|section| section.name).collect();
    if plot::SHOWN.iter().all(|part| parts.contains(part)) {
        plot::draw(sections, &directory.join(PICTURE))?;
    }
    for name in parts {
        if name == instructions::NAME {
            text = paths::page::written(&text, &paths::all()?)?;
            continue;
        }
        let of_part = sections.iter().filter(|section| section.name == name);
        let command = format!("cargo xtask bench --only {name}");
        text = replaced(&text, &command, &block(rounds, of_part))?;
    }
    fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))
}

/// These tables, with what they were measured on.
fn block<'s>(rounds: usize, sections: impl IntoIterator<Item = &'s Section>) -> String {
    let mut tables = format!(
        "\nMeasured on {}: {rounds} rounds.\n",
        machine::description()
    );
    for section in sections {
        tables += &format!("\n### {}\n\n{}", section.title, section.table());
        if let Some(about) = section.about {
            tables += &format!("\n{about}\n");
        }
    }
    tables + "\n"
}
