//! Zones and rules that match nothing on this host: a warning at the start, when the policy is read again, and in `pinif policy check`.

use std::fs;
use std::process::Command;

use crate::bench::scenario;

/// A policy of which a rule keeps its traffic to the zone of these interfaces, and names this source.
fn policy(interfaces: &str, source: &str) -> String {
    format!(
        "[zone.spare]\ninterfaces = \"{interfaces}\"\n[[rule]]\nname = \"kept\"\nsource = \"{source}\"\nonly_via = \"spare\"\n"
    )
}

const EMPTY: &str = "zone `spare` has no interface here: none is named `swp*`";
const SHUT: &str = "rule `kept` lets its traffic leave only via zones that have no interface here";
const FOREIGN: &str = "no interface here has an address in the `source` of rule `kept`";
const UNMATCHED: [&str; 3] = [EMPTY, SHUT, FOREIGN];

#[test]
fn an_audit_warns_at_the_start_and_when_the_policy_is_read_again() {
    scenario("service unmatched", &[], |bench| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let write = |text: &str| fs::write(file.path(), text).expect("it is ours");
        write(&policy("swp*", "10.0.0.0/24"));
        let path = file.path().to_str().expect("UTF-8");
        let mut auditor = bench.audit(&["--policy", path]);
        auditor.wait_for_note(EMPTY);
        auditor.wait_for_note(SHUT);
        write(&policy("fab*", "172.16.0.0/12"));
        auditor.wait_for_note("a new policy is in force");
        auditor.wait_for_note(FOREIGN);
        let report = auditor.stop();
        // At the start two, and one afterwards.
        for warning in UNMATCHED {
            assert_eq!(report.stderr.matches(warning).count(), 1, "{report}");
        }
        report.expect().nothing_else();
    });
}

#[test]
fn what_matches_is_no_warning() {
    scenario("service matched", &[], |bench| {
        let auditor = bench.audit_with(&policy("fab*", "10.0.0.0/24"), &[]);
        let report = auditor.stop();
        for warning in UNMATCHED {
            assert!(!report.stderr.contains(warning), "{report}");
        }
        report.expect().nothing_else();
    });
}

#[test]
fn a_check_warns_of_this_namespace_and_the_policy_is_good() {
    scenario("service unmatched-check", &[], |bench| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let check = |text: &str| {
            fs::write(file.path(), text).expect("it is ours");
            let mut pinif = Command::new(env!("CARGO_BIN_EXE_pinif"));
            pinif.args(["policy", "check", "--netns", bench.card().name()]);
            pinif.arg(file.path());
            let output = pinif.output().expect("pinif runs");
            let inside = bench.card().run(|| {
                let mut pinif = Command::new(env!("CARGO_BIN_EXE_pinif"));
                pinif.args(["policy", "check"]).arg(file.path()).output()
            });
            let inside = inside.expect("the card").expect("pinif runs");
            assert_eq!(inside, output, "it is the same from within");
            let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
            let (said, warned) = (text(output.stdout), text(output.stderr));
            assert_eq!(output.status.code(), Some(0), "{warned}");
            assert!(said.ends_with(": ok, 1 zone, 1 rule\n"), "{said}");
            warned
        };
        assert_eq!(check(&policy("fab*", "10.0.0.0/24")), "");
        let warned = check(&policy("swp*", "172.16.0.0/12"));
        for warning in UNMATCHED {
            assert!(warned.contains(&format!("warning: {warning}")), "{warned}");
        }
        let look = format!("help: `ip -n {} link` shows the names", bench.card().name());
        assert!(warned.contains(&look), "{warned}");
        let by_path = policy("fab*", "10.0.0.0/24") + "executable = \"/nowhere/fabd\"\n";
        let warned = check(&by_path);
        let missing = "warning: executable /nowhere/fabd is not on this host";
        assert!(warned.starts_with(missing), "{warned}");
    });
}
