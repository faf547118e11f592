//! `--label`: what an operator calls the machine, in addition to its own id.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// How long a label's name may be, and its value, in bytes.
const LONGEST_NAME: usize = 32;
const LONGEST_VALUE: usize = 256;

/// A label as it is given: its name and its value.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is no label; write a name and a value, such as slot=3"))?;
    let is_letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins || !name.bytes().all(is_letter) || name.len() > LONGEST_NAME {
        return Err(format!(
            "`{name}` is no name of a label; use at most {LONGEST_NAME} of a-z, 0-9 and _, a letter first"
        ));
    }
    if value.is_empty() || value.len() > LONGEST_VALUE {
        return Err(format!(
            "the label {name} needs a value of at most {LONGEST_VALUE} bytes"
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// All labels, by their names.
///
/// # Errors
///
/// When two have one name.
pub(super) fn labels(given: Vec<(String, String)>) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for (name, value) in given {
        if labels.contains_key(&name) {
            bail!("--label gives {name} two values");
        }
        labels.insert(name, value);
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_name_and_any_value() {
        let read = |text| label(text).expect("a label");
        assert_eq!(read("slot=3"), ("slot".to_owned(), "3".to_owned()));
        assert_eq!(read("a_1=x=y z").1, "x=y z");
        let name = "n".repeat(LONGEST_NAME);
        assert!(label(&format!("{name}=1")).is_ok());
        let value = "v".repeat(LONGEST_VALUE);
        assert!(label(&format!("slot={value}")).is_ok());
        for wrong in [
            "",
            "slot",
            "=3",
            "slot=",
            "Slot=3",
            "3slot=3",
            "_slot=3",
            "slot-no=3",
            &format!("{name}n=1"),
            &format!("slot={value}v"),
        ] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_has_one_value() {
        let given = |all: &[&str]| {
            all.iter()
                .map(|text| label(text).expect("a label"))
                .collect()
        };
        let all = labels(given(&["slot=3", "chassis=A"])).expect("two labels");
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            given(&["chassis=A", "slot=3"])
        );
        let twice = labels(given(&["slot=3", "slot=3"])).expect_err("one name");
        assert_eq!(twice.to_string(), "--label gives slot two values");
    }
}
