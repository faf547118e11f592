//! The documentation's examples.

use super::{ZONES, errors_of, good};

/// The TOML blocks of a Markdown text.
fn toml_blocks(markdown: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut rest = markdown;
    while let Some((_, after)) = rest.split_once("```toml\n") {
        let (block, after) = after.split_once("\n```").expect("a closed block");
        blocks.push(block);
        rest = after;
    }
    blocks
}

#[test]
fn the_examples_of_the_reference_are_good() {
    let blocks = toml_blocks(include_str!("../../../../docs/policy.md"));
    assert!(blocks.len() >= 5, "found {} examples", blocks.len());
    for block in blocks {
        // Where an example is of rules or of what is above them alone, the zones are those of the first example.
        let policy = if block.contains("[zone.") {
            good(block)
        } else if block.starts_with("unparsed") {
            good(&format!("{block}\n{ZONES}"))
        } else {
            good(&format!("{ZONES}{block}"))
        };
        assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
    }
}

#[test]
fn the_errors_of_the_reference_are_what_is_printed() {
    let reference = include_str!("../../../../docs/policy.md");
    let example = toml_blocks(reference)[0];
    let bad = example
        .replace("10.0.0.0/8", "10.0.0.1/8")
        .replace("only_via = [\"backplane\"]", "only_via = [\"backplan\"]");
    let (_, rest) = reference.split_once("```text\n").expect("a block of text");
    let (printed, _) = rest.split_once("\n```").expect("a closed block");
    assert_eq!(printed, errors_of(&bad).to_string());
}

#[test]
fn the_example_file_is_good() {
    let policy = good(include_str!("../../../../docs/policy.example.toml"));
    assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
    assert!(!policy.zones.is_empty() && !policy.rules.is_empty());
}
