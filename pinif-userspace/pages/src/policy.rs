//! pinif-policy(5), of the document that people read in the repository.

/// The document.
const DOCUMENT: &str = include_str!("../../../docs/policy.md");
/// What man-pages(7) wants at the beginning, in the place of the document's title.
const TITLE: &str =
    "# NAME\n\npinif-policy - which traffic may leave by which interfaces\n\n# DESCRIPTION\n";

/// The manual page, in roff.
pub fn page() -> String {
    mandown::convert(&markdown(DOCUMENT), "pinif-policy", 5)
}

/// The document as a manual page has it: without tables, which a terminal has no room for. Each row becomes an item of a list.
fn markdown(document: &str) -> String {
    let mut text = String::new();
    let mut in_code = false;
    let mut labels: Vec<String> = Vec::new();
    for line in document.lines() {
        in_code ^= line.starts_with("```");
        if line.starts_with("# ") {
            text.push_str(TITLE);
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
        let expected =
            format!("{TITLE}\nText.\n\n* `a` – value: one | two\n* b – \n\n```\n| c |\n```\n");
        assert_eq!(markdown(document), expected);
    }

    #[test]
    fn the_page_has_the_name_that_apropos_finds() {
        let page = page();
        assert!(page.contains("pinif\\-policy \\- which traffic"), "{page}");
        assert!(!page.contains("| --- |"));
    }
}
