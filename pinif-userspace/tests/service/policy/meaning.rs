//! What a good policy means.

use super::{ZONES, errors_of, good};

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
