//! Which file of pinif's userspace takes something from which: no circle, and nothing from above.
//!
//! An arrow leads from a file to the one that defines what it names: through `use` and through a path that is written out, past those
//! that only hand the name on. A file that defines something itself has an arrow to each module that it declares, too, and to what it
//! hands on: it stands above its parts. What is for tests alone does not count.

mod graph;
mod public;
mod resolve;
mod tree;

use std::path::Path;

use graph::Graph;
use resolve::arrows;
use tree::Tree;

/// The folders and files of the library, the lowest first; those of one line take nothing from each other.
const ORDER: [&[&str]; 14] = [
    &["text"],
    &["host"],
    &["policy"],
    &["kernel"],
    &["findings"],
    &["survey", "hold", "history", "learned", "capture"],
    &["foresee"],
    &["hub"],
    &["collector"],
    &["control"],
    &["surfaces"],
    &["serve"],
    &["commands"],
    &["cli", "schema"],
];

fn library() -> Tree {
    Tree::read(&crate::root().join("pinif-userspace/src/lib.rs"))
}

#[test]
fn no_file_takes_from_one_that_takes_from_it() {
    let tree = library();
    let graph = Graph::of(arrows(&tree));
    let shown: Vec<String> = graph.circles().iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

#[test]
fn no_file_takes_from_above() {
    let tree = library();
    let floor = |file: &Path| {
        let part = tree.part_of(file);
        let floor = ORDER.iter().position(|parts| parts.contains(&part));
        floor.unwrap_or_else(|| panic!("{part} has no place in ORDER"))
    };
    let graph = Graph::of(arrows(&tree));
    let up: Vec<String> = graph
        .arrows()
        .filter(|arrow| !arrow.from.ends_with("src/lib.rs"))
        .filter(|arrow| tree.part_of(&arrow.from) != tree.part_of(&arrow.to))
        .filter(|arrow| floor(&arrow.to) >= floor(&arrow.from))
        .map(ToString::to_string)
        .collect();
    assert!(up.is_empty(), "arrows up:\n{}", up.join("\n"));
}

/// A rule that names what is not there would hold nothing.
#[test]
fn what_the_rules_name_is_there() {
    let tree = library();
    let parts = tree.parts();
    for part in &parts {
        assert!(
            ORDER.iter().any(|floor| floor.contains(&part.as_str())),
            "{part} has no place in ORDER"
        );
    }
}
