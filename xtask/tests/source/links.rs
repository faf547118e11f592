//! The documents that the repository refers to are in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::{files, root};

/// The Markdown files beside those in `docs`.
const PAGES: [&str; 3] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];

/// What names documents: sources, manifests and units too.
const NAMING: [&str; 6] = ["rs", "md", "toml", "sh", "service", "py"];

/// How a document's name ends.
const DOCUMENTS: [&str; 4] = [".md", ".toml", ".svg", ".json"];

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = PAGES.iter().map(|page| root().join(page)).collect();
    pages.extend(files::below(&root().join("docs"), &["md"]));
    pages
}

/// A page, as far as links are concerned.
struct Page {
    /// The anchors that its headings have.
    anchors: BTreeSet<String>,
    /// Where its links lead, with the line that each is in.
    links: Vec<(usize, String)>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self {
            anchors: BTreeSet::new(),
            links: Vec::new(),
        };
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    let line = 1 + text[..range.start].matches('\n').count();
                    page.links.push((line, dest_url.into_string()));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let title = heading.take().unwrap_or_default();
                    page.anchors.insert(anchor(&title, &page.anchors));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(title) = &mut heading {
                        title.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }
}

/// The anchor of a heading, as GitHub and GitLab make it: lower case, a hyphen for a space, no punctuation, and a number where
/// an earlier heading has the same.
fn anchor(title: &str, earlier: &BTreeSet<String>) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' ');
    let plain: String = title.to_lowercase().chars().filter(kept).collect();
    let plain = plain.replace(' ', "-");
    let numbered = (1..).map(|number| format!("{plain}-{number}"));
    std::iter::once(plain.clone())
        .chain(numbered)
        .find(|anchor| !earlier.contains(anchor))
        .expect("there is a free number")
}

/// The path without its `..`; nothing where it leaves the repository.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut parts = Vec::new();
    for part in path.strip_prefix(root()).ok()?.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop()?;
            }
            _ => {}
        }
    }
    Some(root().join(parts.iter().collect::<PathBuf>()))
}

/// Whether the link leads to another site.
fn is_elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:")
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let parsed: BTreeMap<PathBuf, Page> = pages()
        .into_iter()
        .map(|path| (path.clone(), Page::parse(&files::read(&path))))
        .collect();
    let mut broken = Vec::new();
    let mut count = 0;
    for (path, page) in &parsed {
        for (line, link) in page.links.iter().filter(|(_, link)| !is_elsewhere(link)) {
            count += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => Some(path.clone()),
                _ => inside(&path.with_file_name("").join(file)),
            };
            let leads = target.as_ref().is_some_and(|target| {
                target.exists()
                    && (fragment.is_empty()
                        || parsed
                            .get(target)
                            .is_some_and(|page| page.anchors.contains(fragment)))
            });
            if !leads {
                let path = path.strip_prefix(root()).expect("a page of ours");
                broken.push(format!("{}:{line}: {link}", path.display()));
            }
        }
    }
    assert!(count > 100, "only {count} links were found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// What stands as `docs/output.md` in a text: in prose, comments, messages and `include_str!`.
#[test]
fn every_document_that_is_named_is_there() {
    let mut missing = Vec::new();
    let mut count = 0;
    for path in files::below(root(), &NAMING) {
        for (place, line) in files::read(&path).lines().enumerate() {
            for document in documents(line) {
                count += 1;
                if !root().join(document).is_file() {
                    let path = path.strip_prefix(root()).expect("a file of ours");
                    missing.push(format!("{}:{}: {document}", path.display(), place + 1));
                }
            }
        }
    }
    assert!(count > 50, "only {count} documents are named");
    assert!(
        missing.is_empty(),
        "documents that are not there:\n{}",
        missing.join("\n")
    );
}

/// The documents that a line names, from the repository's root.
fn documents(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_-./".contains(letter))
        .filter_map(|word| {
            let start = match word.find("/docs/") {
                Some(place) => place + 1,
                None => word.starts_with("docs/").then_some(0)?,
            };
            let document = word[start..].trim_end_matches(['.', '-', '/']);
            DOCUMENTS
                .iter()
                .any(|end| document.ends_with(end))
                .then_some(document)
        })
}

#[test]
fn the_index_names_every_page() {
    let index = Page::parse(&files::read(&root().join("docs/README.md")));
    let named: BTreeSet<PathBuf> = index
        .links
        .iter()
        .filter_map(|(_, link)| inside(&root().join("docs").join(link)))
        .collect();
    let missing: Vec<String> = files::below(&root().join("docs"), &["md"])
        .iter()
        .filter(|page| !page.ends_with("docs/README.md") && !page.ends_with("docs/SUMMARY.md"))
        .filter(|page| !named.contains(*page))
        .map(|page| page.display().to_string())
        .collect();
    assert!(missing.is_empty(), "not in docs/README.md: {missing:?}");
}

#[test]
fn anchors_are_as_a_forge_makes_them() {
    let page = Page::parse("# What's `new`?\n\n## A, b\n\n## A b\n\n[x](y.md#z) ![p](q.svg)\n");
    let anchors: Vec<&str> = page.anchors.iter().map(String::as_str).collect();
    assert_eq!(anchors, ["a-b", "a-b-1", "whats-new"]);
    assert_eq!(
        page.links,
        [(7, "y.md#z".to_owned()), (7, "q.svg".to_owned())]
    );
    let named: Vec<&str> =
        documents("see docs/kinds/unpinned.md. (\"../docs/policy.example.toml\")").collect();
    assert_eq!(
        named,
        ["docs/kinds/unpinned.md", "docs/policy.example.toml"]
    );
}
