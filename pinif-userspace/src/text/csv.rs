//! CSV (RFC 4180) for spreadsheets, which take a text that begins like a formula for one.

use super::escape::visible;

/// A row with its line end. Each hazard in a text is written as an escape ([`visible`]), so that a row is one line; a text that a
/// spreadsheet would compute (it begins with `=`, `+`, `-` or `@`) has a `'` before it, which shows the text as it is.
pub fn row<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = values.into_iter().map(cell).collect();
    format!("{}\r\n", cells.join(","))
}

fn cell(value: &str) -> String {
    let value = visible(value);
    let guard = if value.starts_with(['=', '+', '-', '@']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !value.contains(['"', ',']) {
        return value.into_owned();
    }
    format!("\"{guard}{}\"", value.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        assert_eq!(
            row(["a", "", "a,b", "say \"a\"", "7", "Grüße"]),
            "a,,\"a,b\",\"say \"\"a\"\"\",7,Grüße\r\n"
        );
        assert_eq!(
            row([
                "=HYPERLINK(\"http://x\")",
                "+1",
                "-1",
                "@SUM(A1)",
                "\t=1",
                "a\r\n=2"
            ]),
            "\"'=HYPERLINK(\"\"http://x\"\")\",\"'+1\",\"'-1\",\"'@SUM(A1)\",\\t=1,a\\r\\n=2\r\n"
        );
        assert_eq!(row(["\u{202e}gpj.exe"]), "\\u{202e}gpj.exe\r\n");
    }

    proptest! {
        /// What any reader of RFC 4180 gets is what is visible of the texts.
        #[test]
        fn a_row_is_read_as_it_was_meant(values in proptest::collection::vec(any::<String>(), 1..6)) {
            let written = row(values.iter().map(String::as_str));
            let line = written.strip_suffix("\r\n").expect("a line");
            prop_assert!(!line.contains(['\r', '\n']));
            let expected: Vec<String> = values
                .iter()
                .map(|value| {
                    let value = visible(value);
                    let guard = if value.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
                    format!("{guard}{value}")
                })
                .collect();
            prop_assert_eq!(read(line), expected);
        }
    }

    /// A reader of one row, as RFC 4180 describes it.
    fn read(line: &str) -> Vec<String> {
        let mut cells = vec![String::new()];
        let mut is_quoted = false;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            let cell = cells.last_mut().expect("there is one");
            match character {
                '"' if is_quoted && characters.peek() == Some(&'"') => {
                    characters.next();
                    cell.push('"');
                }
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => cells.push(String::new()),
                other => cell.push(other),
            }
        }
        cells
    }
}
