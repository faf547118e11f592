//! What the errors look like: a snapshot each.

use pinif_userspace::policy::{Gravity, Occasion, Policy};

use super::{ZONES, errors_of};

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

/// A snapshot of the same name for each.
macro_rules! snapshots {
    ($($name:ident: $message:expr;)*) => {
        $(#[test] fn $name() { insta::assert_snapshot!(stringify!($name), $message); })*
    };
}

// The file as a whole.
snapshots! {
    no_file: Policy::read("/nowhere/policy.toml".as_ref(), Occasion::ByHand).expect_err("no such file").to_string();
    a_folder: Policy::read("/proc/self/task".as_ref(), Occasion::ByHand).expect_err("a folder").to_string();
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
    bad_actions: errors_of(&format!("{ZONES}{}", ["Drop", "reject", "accept", "allow"].map(|action| format!("[[rule]]\nname = \"{action}\"\nport = 53\npinned = true\naction = \"{action}\"\n\n")).concat())).to_string();
    an_exception_that_demands: errors_of(&format!("{ZONES}[[rule]]\nname = \"lab\"\nport = 53\nonly_via = \"backplane\"\naction = \"allow\"\n")).to_string();
    an_action_that_is_no_text: errors_in_rule("port = 53\naction = true");
    families_that_never_meet: errors_in_rule("source = \"10.0.0.0/8\"\ndestination = \"fd00::/8\"");
}

// What is accepted.
snapshots! {
    accepted_for_ever: errors_of("[[accept]]\nkind = \"unpinned\"\nreason = \"known\"\n").to_string();
    accepted_without_a_reason: errors_of("[[accept]]\nkind = \"unpinned\"\nuntil = 2100-12-31\n").to_string();
    everything_is_accepted: errors_of("[[accept]]\nreason = \"known\"\nuntil = 2100-12-31\n").to_string();
    bad_dates: errors_of(&["2100-02-30", "tomorrow", "2100-12-31T10:00:00"].map(|until| format!("[[accept]]\nkind = \"unpinned\"\nreason = \"known\"\nuntil = \"{until}\"\n\n")).concat()).to_string();
    bad_values_of_what_is_accepted: errors_of("[[accept]]\nkind = [\"address-escap\", \"leak\"]\nrule = \"\"\nexecutable = \"fabd\"\nuser = -1\ndestination = \"10.0.0.1/8\"\ninterface = \"eth 0\"\nreason = \" \"\nuntil = true\n").to_string();
    unknown_key_of_what_is_accepted: errors_of("[[accept]]\nkind = \"unpinned\"\nexpires = 2100-12-31\nport = 53\n").to_string();
    accepted_in_single_brackets: errors_of("[accept]\nkind = \"unpinned\"\nreason = \"known\"\nuntil = 2100-12-31\n").to_string();
    key_of_what_is_accepted_at_the_top: errors_of("until = 2100-12-31\n").to_string();
    too_many_accepted: errors_of(&"[[accept]]\nkind = \"unpinned\"\nreason = \"known\"\nuntil = 2100-12-31\n".repeat(257)).to_string();
}

/// What is warned of in a policy that accepts.
fn warnings_of(text: &str) -> String {
    let policy = super::good(&format!("{ZONES}{text}"));
    let warnings = policy.warnings.iter().map(ToString::to_string);
    warnings.collect::<Vec<_>>().join("\n\n")
}

snapshots! {
    what_is_over: warnings_of("[[accept]]\nkind = \"unpinned\"\nreason = \"known\"\nuntil = 2020-12-31\n");
    no_such_rule_is_accepted: warnings_of("[[rule]]\nname = \"fabric\"\nport = 53\npinned = true\n[[accept]]\nrule = [\"fabrik\", \"other\"]\nreason = \"known\"\nuntil = 2100-12-31\n");
    accepted_twice: warnings_of("[[accept]]\nkind = [\"unpinned\", \"device-escape\"]\nreason = \"known\"\nuntil = 2100-12-31\n\n[[accept]]\nkind = \"unpinned\"\ndestination = \"10.0.0.0/8\"\nreason = \"this, too\"\nuntil = 2100-12-30\n");
}

/// One that names less, or for longer, is another.
#[test]
fn what_is_accepted_elsewhere_or_longer_is_no_shadow() {
    let one =
        |lines: &str, until| format!("[[accept]]\n{lines}\nreason = \"known\"\nuntil = {until}\n");
    for (earlier, later) in [
        (
            "kind = \"unpinned\"",
            "kind = [\"unpinned\", \"device-escape\"]",
        ),
        ("interface = \"eth*\"", "interface = \"eth1\""),
        (
            "destination = \"10.0.0.0/8\"",
            "destination = \"10.0.0.0/7\"",
        ),
        ("destination = \"10.0.0.0/8\"", "kind = \"unpinned\""),
        ("user = 0", "user = 1"),
    ] {
        let text = one(earlier, "2100-12-31") + &one(later, "2100-12-31");
        assert_eq!(warnings_of(&text), "", "{text}");
    }
    let longer = one("user = 0", "2100-12-30") + &one("user = 0", "2100-12-31");
    assert_eq!(warnings_of(&longer), "");
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
fn a_problem_has_its_place_and_its_fix() {
    let errors = errors_of(
        "[zone.a]\ninterfaces = \"fab*\" # ä\n[[rule]]\nname = \"é\"\nonly_via = [\"ä\", \"b\"]\nport = 1\n",
    );
    let problems: Vec<_> = errors
        .problems()
        .iter()
        .map(|problem| {
            (
                problem.gravity(),
                problem.line(),
                problem.column(),
                problem.what(),
                problem.fix(),
            )
        })
        .collect();
    let fix = Some("did you mean `a`?");
    let place = |column, what| (Gravity::Error, Some(5), Some(column), what, fix);
    assert_eq!(
        problems,
        [place(13, "unknown zone `ä`"), place(18, "unknown zone `b`")]
    );
    assert_eq!(errors.summary(), "policy.toml: 2 errors");
    assert!(!errors.is_missing());
}

#[test]
fn a_missing_file_is_distinguished_from_a_bad_one() {
    assert!(
        Policy::read("/nowhere/policy.toml".as_ref(), Occasion::ByHand)
            .expect_err("no such file")
            .is_missing()
    );
    assert!(
        !Policy::read("/proc/self/task".as_ref(), Occasion::ByHand)
            .expect_err("a folder")
            .is_missing()
    );
}
