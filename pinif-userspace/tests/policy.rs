//! The policy file: what its errors look like, what a good one means, and that the documentation's examples are good.

use pinif_userspace::policy::{Gravity, Policy, PolicyErrors};
use proptest::proptest;

/// Two zones for the rules of a test to name.
const ZONES: &str = "\
[zone.backplane]
interfaces = [\"fab*\"]
contained = true

[zone.front]
interfaces = [\"eth*\"]

";

fn errors_of(text: &str) -> PolicyErrors {
    match Policy::parse(text, "policy.toml") {
        Ok(policy) => panic!("this policy has errors, and none was found: {policy:#?}"),
        Err(errors) => errors,
    }
}

/// What a rule with these lines is refused for. It has a name, and demands and matches something.
fn errors_in_rule(lines: &str) -> String {
    let given = |key: &str| {
        lines.lines().any(|line| {
            line.split('=')
                .next()
                .is_some_and(|name| name.trim() == key)
        })
    };
    let mut rule = "[[rule]]\n".to_owned();
    if !given("name") {
        rule += "name = \"control-plane\"\n";
    }
    if !given("only_via") {
        rule += "only_via = [\"backplane\"]\n";
    }
    errors_of(&format!("{ZONES}{rule}{lines}")).to_string()
}

fn good(text: &str) -> Policy {
    Policy::parse(text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

/// A snapshot of the same name for each.
macro_rules! snapshots {
    ($($name:ident: $message:expr;)*) => {
        $(#[test] fn $name() { insta::assert_snapshot!(stringify!($name), $message); })*
    };
}

// The file as a whole.
snapshots! {
    no_file: Policy::read("/nowhere/policy.toml".as_ref()).expect_err("no such file").to_string();
    a_folder: Policy::read("/proc/self/task".as_ref()).expect_err("a folder").to_string();
    not_utf8: Policy::read_from(&b"[zone.a]\n\xff\n"[..], "policy.toml").expect_err("not UTF-8").to_string();
    too_large: Policy::read_from(std::io::repeat(b' '), "policy.toml").expect_err("endless").to_string();
    all_errors_at_once: errors_of(EVERYTHING_WRONG).to_string();
    syntax_and_meaning_at_once: errors_of(SYNTAX_AND_MEANING).to_string();
    control_characters_are_escaped: errors_of("[zone.\"\\u001b[31m\"]\ninterfaces = \"\\u001b]0;title\\u0007\"\n\u{1b}[2J\n").to_string();
    too_many_zones: errors_of(&(0..70).map(|n| format!("[zone.z{n}]\ninterfaces = \"if{n}\"\n")).collect::<String>()).to_string();
    too_many_values: errors_of(&(0..11).map(|n| format!("[[rule]]\nname = \"r{n}\"\npinned = true\nport = [{}]\n", "53, ".repeat(100))).collect::<String>()).to_string();
    too_many_rules: errors_of(&(0..260).map(|n| format!("[[rule]]\nname = \"r{n}\"\nport = {n}\npinned = true\n")).collect::<String>()).to_string();
}

// Syntax.
snapshots! {
    unclosed_list: errors_of("[zone.a]\ninterfaces = [\"fab*\", \"eth0\"\ncontained = true\n").to_string();
    missing_comma: errors_of("[zone.a]\ninterfaces = [\"fab*\" \"eth0\"]\n").to_string();
    extra_comma: errors_of("[zone.a]\ninterfaces = [\"fab*\",, \"eth0\"]\n").to_string();
    unclosed_quotes: errors_of("[zone.a]\ninterfaces = [\"fab*]\n").to_string();
    unclosed_header: errors_of("[zone.a\ninterfaces = [\"fab*\"]\n").to_string();
    half_closed_header: errors_of("[zone.a]\ninterfaces = [\"fab*\"]\n[[rule]\nname = \"r\"\n").to_string();
    key_without_value: errors_of("[zone.a]\ninterfaces = [\"fab*\"]\ncontained\n").to_string();
    missing_value: errors_of("[zone.a]\ninterfaces =\ncontained = true\n").to_string();
    prefix_without_quotes: errors_in_rule("destination = 10.0.0.0/8");
    prefixes_without_quotes: errors_in_rule("destination = [10.0.0.0/8, fd00::/8]");
    range_without_quotes: errors_in_rule("port = 8000-8999");
    word_without_quotes: errors_in_rule("user = root\n");
    yes_for_true: errors_in_rule("port = 53\npinned = yes");
    leading_zero: errors_in_rule("port = 053");
    two_on_a_line: errors_of("[zone.a] interfaces = [\"fab*\"]\n").to_string();
    zone_twice: errors_of("[zone.a]\ninterfaces = \"fab*\"\n\n[zone.a]\ninterfaces = \"eth*\"\n").to_string();
    key_twice_beside_other_errors: errors_in_rule("port = 53\nport = [54, 55\nprotocol = \"udp\"\nprotocol = \"tcp\"");
    unclosed_quotes_without_a_list: errors_in_rule("port = \"53\nprotocol = 'udp");
    two_words: errors_in_rule("port = 53 54");
    key_twice: errors_in_rule("port = 53\nport = 54");
}

// Keys and types.
snapshots! {
    unknown_table: errors_of("[zones.a]\ninterfaces = \"fab*\"\n").to_string();
    unknown_key_at_the_top: errors_of("version = 1\n").to_string();
    rule_key_at_the_top: errors_of("destination = \"10.0.0.0/8\"\n").to_string();
    unknown_key_in_a_zone: errors_of("[zone.a]\ninterface = \"fab*\"\n").to_string();
    unknown_key_in_a_rule: errors_in_rule("dport = 53\nports = 53\ncolour = \"red\"");
    wrong_types: errors_in_rule("destination = 10\nport = 53.5\nuser = true\npinned = \"true\"\ncgroup = [\"/a\", 1]");
    zones_as_a_list: errors_of("[[zone]]\nname = \"a\"\n").to_string();
    zone_without_a_name: errors_of("[zone]\ninterfaces = [\"fab*\"]\n").to_string();
    rule_in_single_brackets: errors_of("[rule]\nname = \"r\"\nport = 53\npinned = true\n").to_string();
    rules_are_no_tables: errors_of("rule = [1]\n").to_string();
    empty_lists: errors_of("[zone.a]\ninterfaces = []\n[[rule]]\nname = \"r\"\ndestination = []\nonly_via = []\n").to_string();
}

// Zones.
snapshots! {
    empty_zone: errors_of("[zone.a]\n").to_string();
    bad_zone_name: errors_of("[zone.\"\"]\ninterfaces = \"fab*\"\n").to_string();
    bad_patterns: errors_of("[zone.a]\ninterfaces = [\"eth[\", \"\", \"eth 0\", \"a-long-interface-name\", \"{a,b\"]\n").to_string();
}

// Rules.
snapshots! {
    rule_without_a_name: errors_of("[[rule]]\nport = 53\npinned = true\n").to_string();
    bad_rule_name: errors_in_rule("name = \" \"\nport = 53");
    rule_name_twice: errors_of("[[rule]]\nname = \"r\"\nport = 53\npinned = true\n\n[[rule]]\nname = \"r\"\nport = 54\npinned = true\n").to_string();
    rule_without_a_demand: errors_of("[[rule]]\nname = \"r\"\nport = 53\npinned = false\n").to_string();
    rule_without_a_matcher: errors_in_rule("");
    empty_rule: errors_of("[[rule]]\n").to_string();
    unknown_zone: errors_in_rule("port = 53\nonly_via = [\"backplan\", \"management\"]");
    no_zones_at_all: errors_of("[[rule]]\nname = \"r\"\nport = 53\nonly_via = \"backplane\"\n").to_string();
    bad_prefixes: errors_in_rule(
        "destination = [\"10.0.0.1/8\", \"10.0.0.0/33\", \"10.0.0.0/255.0.0.0\", \"fd00::1/64\", \"fe80::1%eth0\", \"::ffff:10.0.0.0/104\", \"example.net\"]"
    );
    bad_ports: errors_in_rule("port = [65536, -1, \"8999-8000\", \"8000:8999\", \"ssh\", \"1-65536\"]");
    bad_protocols: errors_in_rule("protocol = [\"TCP\", \"tpc\", \"6\", 256, \"quic\"]");
    bad_users: errors_in_rule("user = [\"no-such-user\", \"0\", 4294967295]");
    bad_cgroups: errors_in_rule("cgroup = [\"system.slice\", \"/sys/fs/cgroup/system.slice\", \"/a/../b\"]");
    bad_executables: errors_in_rule("executable = [\"fabd\", \"/usr/sbin/*\", \"/usr/sbin/\"]");
    ports_of_a_protocol_without: errors_in_rule("port = 53\nprotocol = [\"udp\", \"icmp\", 200]");
    bad_actions: errors_of(&format!("{ZONES}{}", ["Drop", "reject", "allow"].map(|action| format!("[[rule]]\nname = \"{action}\"\nport = 53\npinned = true\naction = \"{action}\"\n\n")).concat())).to_string();
    an_action_that_is_no_text: errors_in_rule("port = 53\naction = true");
    families_that_never_meet: errors_in_rule("source = \"10.0.0.0/8\"\ndestination = \"fd00::/8\"");
}

const EVERYTHING_WRONG: &str = r#"# An operator's bad day.
[zone.backplane]
interfaces = ["fab*"]
containd = true

[zone.front]
interfaces = []

[[rule]]
name = "control-plane"
destination = ["10.0.0.1/8", "fd00::/129"]
only_via = ["backplan"]

[[rule]]
name = "control-plane"
port = "8999-8000"
pinned = 1

[[rule]]
name = "empty"
"#;

const SYNTAX_AND_MEANING: &str = r#"[zone.backplane]
interfaces = ["fab*"
contained = yes

[[rule]]
name = "control-plane
destination = ["10.0.0.1/8"]
only_via = ["backplan"]

[[rule]]
name = "dns"
port = 53 udp
protocol = "upd"
"#;

#[test]
fn a_problem_tells_its_place_and_mend() {
    let errors = errors_of(
        "[zone.a]\ninterfaces = \"fab*\" # ä\n[[rule]]\nname = \"é\"\nonly_via = [\"ä\", \"b\"]\nport = 1\n",
    );
    let told: Vec<_> = errors
        .problems()
        .iter()
        .map(|problem| {
            (
                problem.gravity(),
                problem.line(),
                problem.column(),
                problem.what(),
                problem.mend(),
            )
        })
        .collect();
    let mend = Some("did you mean `a`?");
    let place = |column, what| (Gravity::Error, Some(5), Some(column), what, mend);
    assert_eq!(
        told,
        [place(13, "unknown zone `ä`"), place(18, "unknown zone `b`")]
    );
    assert_eq!(errors.summary(), "policy.toml: 2 errors");
    assert!(!errors.is_missing());
}

#[test]
fn a_missing_file_is_told_from_a_bad_one() {
    assert!(
        Policy::read("/nowhere/policy.toml".as_ref())
            .expect_err("no such file")
            .is_missing()
    );
    assert!(
        !Policy::read("/proc/self/task".as_ref())
            .expect_err("a folder")
            .is_missing()
    );
}

#[test]
fn a_shadowed_rule_is_a_warning() {
    let policy = good(&format!(
        "{ZONES}{}",
        r#"[[rule]]
name = "everything"
destination = ["10.0.0.0/8", "fd00::/8"]
only_via = "backplane"

[[rule]]
name = "dns"
destination = "10.0.0.53"
port = 53
only_via = "front"
"#
    ));
    assert_eq!(policy.rules.len(), 2);
    let warnings: Vec<_> = policy.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("a_shadowed_rule", warnings.join("\n\n"));
}

#[test]
fn the_parent_in_an_interface_name_is_a_warning() {
    let policy = good("[zone.a]\ninterfaces = [\"fab0\", \"fab0.100@fab0\"]\n");
    let warnings: Vec<_> = policy.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("a_parent_in_a_name", warnings.join("\n\n"));
}

#[test]
fn an_empty_file_is_the_empty_policy() {
    for text in ["", "\n", "# nothing\n", "\u{feff}"] {
        let policy = good(text);
        assert!(policy.zones.is_empty() && policy.rules.is_empty() && policy.warnings.is_empty());
    }
}

#[test]
fn windows_line_ends_are_line_ends() {
    assert_eq!(good(&ZONES.replace('\n', "\r\n")).zones.len(), 2);
    insta::assert_snapshot!(
        "windows_line_ends",
        errors_of("[zone.a]\r\ninterfaces = [\"fab*\"\r\n").to_string()
    );
}

#[test]
fn every_key_is_understood() {
    let policy = good(&format!(
        "{ZONES}{}",
        r#"[[rule]]
name = "all of it"
destination = ["10.0.0.0/8", "fd00::/8", "192.0.2.1", "2001:db8::1"]
source = "10.1.0.0/16"
port = [53, "8000-8999", "443"]
source_port = "1024-65535"
protocol = ["tcp", "udp", 132]
user = ["root", 998]
cgroup = ["/system.slice/fabd.service", "/user.slice/"]
executable = "/usr/sbin/fabd"
only_via = ["front", "backplane", "front"]
pinned = true
action = "drop"

[[rule]]
name = "unpinned is allowed"
protocol = "icmp"
only_via = "front"
pinned = false
action = "alert"
"#
    ));
    insta::assert_debug_snapshot!("every_key", (&policy.zones, &policy.rules));
    assert!(policy.warnings.is_empty());
}

#[test]
fn an_interface_is_in_all_zones_that_name_it() {
    let policy =
        good("[zone.b]\ninterfaces = [\"fab*\", \"mgmt0\"]\n[zone.a]\ninterfaces = \"fab[01]\"\n");
    let zones = |name| policy.zones_of(name).0;
    assert_eq!(policy.zones[0].name, "b", "in the order of the file");
    assert_eq!(
        [
            zones("fab0"),
            zones("fab2"),
            zones("fab0.7"),
            zones("mgmt0"),
            zones("mgmt01"),
            zones("")
        ],
        [0b11, 0b01, 0b01, 0b01, 0, 0]
    );
}

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
    let blocks = toml_blocks(include_str!("../../docs/policy.md"));
    assert!(blocks.len() >= 5, "found {} examples", blocks.len());
    for block in blocks {
        // Where an example is of rules alone, the zones are those of the first example.
        let defined = block.contains("[zone.");
        let policy = if defined {
            good(block)
        } else {
            good(&format!("{ZONES}{block}"))
        };
        assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
    }
}

#[test]
fn the_errors_of_the_reference_are_what_is_printed() {
    let reference = include_str!("../../docs/policy.md");
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
    let policy = good(include_str!("../../docs/policy.example.toml"));
    assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
    assert!(!policy.zones.is_empty() && !policy.rules.is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = Policy::parse(&text, "policy.toml").map_err(|errors| errors.to_string());
    }

    /// Texts that look like policies, with anything missing.
    #[test]
    fn no_broken_policy_makes_it_panic(
        parts in proptest::collection::vec(proptest::sample::select(PARTS.to_vec()), 0..25),
    ) {
        let text = parts.concat();
        if let Err(errors) = Policy::parse(&text, "policy.toml") {
            assert!(!errors.problems().is_empty());
            for problem in errors.problems() {
                assert!(problem.line().is_some() && problem.column().is_some() && problem.mend().is_some(), "{problem}");
            }
            assert!(!errors.to_string().contains('\u{1b}'));
        }
    }
}

const PARTS: [&str; 34] = [
    "[zone.a]\n",
    "[[rule]]\n",
    "[zone.a",
    "[[rule]",
    "[",
    "]",
    "]]",
    "name",
    " = ",
    "\"",
    "'",
    "\"\"\"",
    "\n",
    "\n",
    "\r\n",
    ",",
    "{",
    "}",
    "#",
    "interfaces",
    "only_via",
    "destination",
    "\"10.0.0.0/8\"",
    "port",
    "53",
    "8000-8999",
    "rule",
    "zone",
    ".",
    "pinned",
    "true",
    "\u{1b}",
    "é",
    "\\u001b",
];
