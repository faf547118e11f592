//! `docs/SUMMARY.md`, the order of the book, has each page once. mdBook leaves out what it does not name, and the pages of a part come
//! below its heading.

use std::path::PathBuf;

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag};

use crate::{files, root};

/// What the book must have, in this order.
const PARTS: [&str; 10] = [
    "Summary",
    "Start",
    "First policy",
    "Operate for weeks",
    "Alert",
    "Enforce, pin, foresee",
    "Cookbook",
    "Reference: the kinds of findings",
    "Limits and security",
    "How it works",
];

#[test]
fn the_book_has_each_page_once() {
    let docs = root().join("docs");
    let text = files::read(&docs.join("SUMMARY.md"));
    let (mut parts, mut pages) = (Vec::new(), Vec::<PathBuf>::new());
    for (event, range) in Parser::new(&text).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading {
                level: HeadingLevel::H1,
                ..
            }) => parts.push(text[range].trim_matches(['#', ' ', '\n'])),
            Event::Start(Tag::Link { dest_url, .. }) => pages.push(docs.join(&*dest_url)),
            _ => {}
        }
    }
    assert_eq!(parts, PARTS);
    let mut all = files::below(&docs, &["md"]);
    all.retain(|page| !page.ends_with("SUMMARY.md"));
    all.sort();
    pages.sort();
    assert_eq!(pages, all);
}
