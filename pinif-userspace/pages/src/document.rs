//! The manual pages of files, of the documents that people read in the repository.

/// A document, and the page that it becomes in section 5.
pub struct Document {
    /// The page's name.
    pub name: &'static str,
    about: &'static str,
    text: &'static str,
}

/// All of them.
pub const DOCUMENTS: [Document; 2] = [
    Document {
        name: "pinif-config",
        about: "options from the environment and from a file",
        text: include_str!("../../../docs/config.md"),
    },
    Document {
        name: "pinif-policy",
        about: "which traffic may leave by which interfaces",
        text: include_str!("../../../docs/policy.md"),
    },
];

impl Document {
    /// The manual page, in roff.
    pub fn page(&self) -> String {
        mandown::convert(&markdown(self.text, &self.title()), self.name, 5)
    }

    /// What man-pages(7) wants at the beginning, in the place of the document's title.
    fn title(&self) -> String {
        let Self { name, about, .. } = self;
        format!("# NAME\n\n{name} - {about}\n\n# DESCRIPTION\n")
    }
}

/// The document as a manual page has it: without tables, which a terminal has no room for. Each row becomes an item of a list.
fn markdown(document: &str, title: &str) -> String {
    let mut text = String::new();
    let mut in_code = false;
    let mut labels: Vec<String> = Vec::new();
    for line in document.lines() {
        in_code ^= line.starts_with("```");
        if line.starts_with("# ") {
            text.push_str(title);
            continue;
        }
        if in_code || !line.starts_with('|') {
            labels.clear();
            text.push_str(line);
            text.push('\n');
            continue;
        }
        let cells = cells(line);
        if labels.is_empty() {
            labels = cells;
        } else if !is_rule(&cells) {
            text.push_str(&item(&labels, &cells));
        }
    }
    text
}

/// The cells of a row of a table. A bar in a cell is escaped.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').replace("\\|", "\u{0}");
    row.trim_end_matches('|')
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"))
        .collect()
}

/// Whether it is the line between a table's head and its rows.
fn is_rule(cells: &[String]) -> bool {
    cells
        .iter()
        .all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')))
}

/// A row: its first cell, then the others, each behind its column's label.
fn item(labels: &[String], cells: &[String]) -> String {
    let Some((first, rest)) = cells.split_first() else {
        return String::new();
    };
    let rest: Vec<_> = labels
        .iter()
        .skip(1)
        .zip(rest)
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(label, cell)| match label.as_str() {
            "" => cell.clone(),
            label => format!("{label}: {cell}"),
        })
        .collect();
    format!("* {first} – {}\n", rest.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_an_item_and_code_is_left_as_it_is() {
        let document = "# The policy\n\nText.\n\n| key | value |\n| --- | :-- |\n| `a` | one \\| two |\n| b | |\n\n```\n| c |\n```\n";
        let expected = "TITLE\nText.\n\n* `a` – value: one | two\n* b – \n\n```\n| c |\n```\n";
        assert_eq!(markdown(document, "TITLE"), expected);
    }

    #[test]
    fn a_page_has_the_name_that_apropos_finds() {
        for document in DOCUMENTS {
            let page = document.page();
            let name = document.name.replace('-', "\\-");
            let line = format!("{name} \\- {}", document.about);
            assert!(page.contains(&line), "{page}");
            assert!(!page.contains("| --- |"));
        }
    }
}
