//! What a whole run writes into the documentation: the table and the picture.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::machine;
use crate::plot;
use crate::report::{Row, Section};

const PAGE: &str = "developers/performance.md";
const PICTURE: &str = "developers/performance.svg";
const BEGIN: &str = "<!-- begin: written by cargo xtask bench -->\n";
const END: &str = "<!-- end: written by cargo xtask bench -->\n";

/// Writes both.
///
/// # Errors
/// Where a file cannot be read or written, or the page lacks the place.
pub fn write(sections: &[Section], rounds: usize, directory: &Path) -> Result<()> {
    plot::draw(sections, &directory.join(PICTURE))?;
    let page = directory.join(PAGE);
    let text =
        fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("{} lacks the line {}", page.display(), BEGIN.trim()))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("{} lacks the line {}", page.display(), END.trim()))?;
    let mut tables = format!(
        "\nMeasured on {}: {rounds} rounds.\n",
        machine::description()
    );
    let targets = targets(sections);
    tables += &format!("\n### {}\n\n{}", targets.title, targets.table());
    for section in sections {
        tables += &format!("\n### {}\n\n{}", section.title, section.table());
        if let Some(about) = section.about {
            tables += &format!("\n{about}\n");
        }
    }
    fs::write(&page, format!("{before}{BEGIN}{tables}\n{END}{after}"))
        .with_context(|| format!("cannot write {}", page.display()))
}

/// All that has a target, and whether it is met.
fn targets(sections: &[Section]) -> Section {
    let mut rows = Vec::new();
    for section in sections {
        for row in section.rows.iter().filter(|row| row.target.is_some()) {
            rows.push(Row {
                of: vec![format!("{}: {}", section.name, row.of.join(", "))],
                missing: row.missing.clone(),
                rounds: Vec::new(),
                ..*row
            });
        }
    }
    Section {
        name: "targets",
        title: "Targets",
        about: None,
        columns: vec!["what"],
        rows,
    }
}
