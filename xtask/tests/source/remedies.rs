//! `docs/developers/remedies.md` has a row for each cause and each remedy of the code, and names no scenario that is not there.

use std::collections::BTreeSet;

use crate::{files, root};

/// The page.
const PAGE: &str = "docs/developers/remedies.md";
/// What the scenarios are in.
const TESTS: &str = "pinif-userspace/tests";
/// What of these carries out remedies.
const CARRIED_OUT: &str = "pinif-userspace/tests/audit/remedies";
/// The types of links that the scenarios can make, and the rows that they stand in; none of those that lead nowhere.
const LINKS: &str = "pinif-userspace/lab/src/test_util/device.rs";
const ROWS_OF_LINKS: [(&str, Option<&str>); 19] = [
    ("Bond", Some("bond")),
    ("Bridge", Some("bridge")),
    ("Dummy", None),
    ("Geneve", Some("GENEVE")),
    ("Gre", Some("GRE")),
    ("GreTap", Some("GRE with Ethernet")),
    ("Hsr", Some("HSR")),
    ("Ifb", None),
    ("IpIp", Some("IP in IP")),
    ("IpVlan", Some("ipvlan")),
    ("MacVlan", Some("macvlan")),
    ("Netkit", Some("netkit")),
    ("Sit", Some("SIT")),
    ("Team", Some("team")),
    ("Vlan", Some("VLAN")),
    ("Vrf", Some("VRF")),
    ("Vxlan", Some("VXLAN")),
    ("WireGuard", Some("WireGuard")),
    ("Xfrm", Some("xfrm")),
];

/// The variants of an enum in a file: the lines of four spaces and a capital.
fn variants(file: &str, name: &str) -> Vec<String> {
    let text = files::read(&root().join(file));
    let begin = format!("pub enum {name} {{\n");
    let (_, body) = text.split_once(&begin).expect("the enum is there");
    let body = body.lines().take_while(|line| *line != "}");
    let names = body.filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        let is_variant = line.starts_with(|c: char| c.is_ascii_uppercase());
        let end = line.find(|c: char| !c.is_ascii_alphanumeric())?;
        is_variant.then(|| line[..end].to_owned())
    });
    names.collect()
}

/// The first cells of the rows of a section's table, without backticks.
fn rows(page: &str, section: &str) -> Vec<String> {
    let (_, text) = page
        .split_once(&format!("\n## {section}\n"))
        .expect("the section is there");
    let text = text.split("\n## ").next().unwrap_or_default();
    let cells = text.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("| `")?.split_once("` |")?;
        Some(name.to_owned())
    });
    cells.collect()
}

/// The scenarios that the last cells of all rows name, and those of the types of links in any cell.
fn scenarios(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let last = rows.filter_map(|line| line.trim_end_matches(" |").rsplit_once(" | "));
    let (_, links) = page.split_once("## Types of links").expect("a section");
    let links = links.lines().filter(|line| line.starts_with("| "));
    last.map(|(_, cell)| cell)
        .chain(links)
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn each_cause_and_each_remedy_has_its_scenario_or_says_that_it_has_none() {
    let page = files::read(&root().join(PAGE));
    let folder = "pinif-userspace/src/findings/explain";
    for (file, name, section) in [
        ("causes/kind.rs", "CauseKind", "Causes"),
        ("remedy/model.rs", "Remedy", "Remedies"),
    ] {
        let (there, shown) = (
            variants(&format!("{folder}/{file}"), name),
            rows(&page, section),
        );
        assert_eq!(shown, there, "{PAGE}, {section}");
    }
}

#[test]
fn each_type_of_link_has_its_row() {
    let page = files::read(&root().join(PAGE));
    let (_, links) = page.split_once("## Types of links").expect("a section");
    let rows: BTreeSet<&str> = links
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split(", "))
        .collect();
    let kinds: Vec<String> = variants(LINKS, "LinkKind");
    let known: Vec<&str> = ROWS_OF_LINKS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, known, "{LINKS}");
    let lacking: Vec<&str> = ROWS_OF_LINKS
        .iter()
        .filter_map(|(_, row)| row.filter(|row| !rows.contains(row)))
        .collect();
    assert!(lacking.is_empty(), "{PAGE} has no row of {lacking:?}");
}

#[test]
fn each_scenario_that_carries_out_remedies_is_named() {
    let page = files::read(&root().join(PAGE));
    let named = scenarios(&page);
    let tests: Vec<String> = files::below(&root().join(CARRIED_OUT), &["rs"])
        .iter()
        .map(|file| files::read(file))
        .collect();
    // What stands between quotation marks, but for the words of one.
    let literals = tests
        .iter()
        .flat_map(|text| text.split("\"30 ").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|rest| !rest.contains(' '));
    let all: BTreeSet<String> = literals.map(|rest| format!("30 {rest}")).collect();
    assert!(all.contains("30 policy-route"), "{all:?}");
    let missing: Vec<&String> = all
        .iter()
        .filter(|name| !named.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not name {missing:?}");
}

#[test]
fn each_scenario_that_the_page_names_is_there() {
    let page = files::read(&root().join(PAGE));
    let tests: Vec<String> = files::below(&root().join(TESTS), &["rs"])
        .iter()
        .map(|file| files::read(file))
        .collect();
    let is_there = |name: &str| {
        let literal = format!("\"{name}\"");
        tests.iter().any(|text| text.contains(&literal))
    };
    let missing: Vec<&str> = scenarios(&page)
        .into_iter()
        .filter(|name| !is_there(name))
        .collect();
    assert!(missing.is_empty(), "no scenario is called {missing:?}");
}
