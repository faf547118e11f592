//! A policy that changes while it is in force.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use pinif_ebpf::verdict::Kind;
use tempfile::TempDir;

use crate::bench::{Auditor, Bench, leak, scenario};

/// What the senders here do: it is a leak by [`control_plane`] alone.
const TRAFFIC: &str = "udp --to 10.9.0.9:9";

/// Control traffic stays on the backplane, by a rule of this name.
fn control_plane(rule: &str) -> String {
    format!(
        "[zone.backplane]\ninterfaces = [\"fab*\"]\n\n[[rule]]\nname = \"{rule}\"\ndestination = [\"10.0.0.0/8\"]\nonly_via = \
         [\"backplane\"]\n"
    )
}

/// A policy's file in a folder of its own.
struct File {
    folder: TempDir,
}

impl File {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Self { folder };
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes it in place.
    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("it is ours");
    }

    /// Puts another in its place.
    fn replace(&self, text: &str) {
        let new = self.beside(".policy.toml.new");
        fs::write(&new, text).expect("it is ours");
        fs::rename(new, self.path()).expect("it is ours");
    }
}

fn audit<'a>(bench: &'a Bench, file: &Path) -> Auditor<'a> {
    let file = file.to_str().expect("UTF-8");
    bench.audit(&["--policy", file])
}

/// That a sender of its own is found to break this rule, by the policy that is in force now.
fn leaks_by(bench: &Bench, auditor: &mut Auditor<'_>, rule: &str) {
    let sent = bench.send(&format!("{TRAFFIC} --count 10"));
    let finding = auditor.wait_for_finding_that(rule, |finding| {
        let mut sockets = finding.samples.sockets.samples.iter();
        sockets.any(|socket| socket.socket_cookie == sent.cookie)
    });
    assert_eq!(finding.kind, Kind::PolicyEscape);
    assert_eq!(finding.rule.as_deref(), Some(rule));
    let begin = format!("Rule {rule} lets ");
    assert!(
        finding.explanation.starts_with(&begin),
        "{}",
        finding.explanation
    );
}

/// A policy that comes into force after another by `change`, and takes nothing from what the other found.
fn changes_by(name: &str, change: impl FnOnce(&File, &str)) {
    scenario(name, &[], |bench| {
        let file = File::new(&control_plane("first"));
        let mut auditor = audit(bench, &file.path());
        leaks_by(bench, &mut auditor, "first");
        change(&file, &control_plane("second"));
        auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
        leaks_by(bench, &mut auditor, "second");
        let report = auditor.stop();
        let rules: Vec<_> = report
            .findings
            .iter()
            .map(|finding| (finding.rule.as_deref().expect("a rule"), finding.packets))
            .collect();
        assert_eq!(rules, [("first", 10), ("second", 10)], "{report}");
        assert!(!report.stderr.contains("error"), "{report}");
    });
}

#[test]
fn a_file_that_is_written_comes_into_force() {
    changes_by("service reload-written", |file, text| file.write(text));
}

#[test]
fn a_file_that_is_replaced_comes_into_force() {
    changes_by("service reload-replaced", |file, text| file.replace(text));
}

/// A volume of Kubernetes: `policy.toml` → `..data/policy.toml`, `..data` → `..1`, and the link in the middle is swapped.
#[test]
fn a_volume_that_is_swapped_comes_into_force() {
    scenario("service reload-volume", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let publish = |version: &str, rule: &str| {
            fs::create_dir(at(version)).expect("a folder");
            let file = at(version).join("policy.toml");
            fs::write(file, control_plane(rule)).expect("a policy");
            symlink(version, at("..data_tmp")).expect("a link");
            fs::rename(at("..data_tmp"), at("..data")).expect("it is ours");
        };
        publish("..1", "first");
        symlink("..data/policy.toml", at("policy.toml")).expect("a link");
        let mut auditor = audit(bench, &at("policy.toml"));
        leaks_by(bench, &mut auditor, "first");
        for (version, rule) in [("..2", "second"), ("..3", "third")] {
            publish(version, rule);
            auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
            leaks_by(bench, &mut auditor, rule);
        }
    });
}

/// The path leads by a link to a folder, and this link is swapped.
#[test]
fn a_folder_that_is_swapped_comes_into_force() {
    scenario("service reload-folder", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let publish = |version: &str, rule: &str| {
            fs::create_dir(at(version)).expect("a folder");
            fs::write(at(version).join("policy.toml"), control_plane(rule)).expect("a policy");
            symlink(version, at("new")).expect("a link");
            fs::rename(at("new"), at("current")).expect("it is ours");
        };
        publish("v1", "first");
        let mut auditor = audit(bench, &at("current").join("policy.toml"));
        leaks_by(bench, &mut auditor, "first");
        for (version, rule) in [("v2", "second"), ("v3", "third")] {
            publish(version, rule);
            auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
            leaks_by(bench, &mut auditor, rule);
        }
    });
}

/// The directory beside the policy is a link, to what comes later.
#[test]
fn files_beside_the_policy_are_noticed_where_a_link_leads_to_nothing_yet() {
    scenario("service reload-dangling", &[], |bench| {
        let file = File::new(&control_plane("first"));
        let folder = tempfile::tempdir().expect("a folder");
        let elsewhere = folder.path().join("accepted");
        symlink(&elsewhere, file.beside("policy.d")).expect("a link");
        let mut auditor = audit(bench, &file.path());
        fs::create_dir(&elsewhere).expect("it is ours");
        let accept =
            "[[accept]]\nkind = \"device-escape\"\nreason = \"known\"\nuntil = 2100-12-31\n";
        fs::write(elsewhere.join("10.toml"), accept).expect("it is ours");
        auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule, 1 accepted");
        leaks_by(bench, &mut auditor, "first");
    });
}

/// A link to a file elsewhere, which is written there.
#[test]
fn a_file_that_a_link_leads_to_comes_into_force() {
    scenario("service reload-link", &[], |bench| {
        let file = File::new(&control_plane("first"));
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("policy.toml");
        symlink(file.path(), &link).expect("a link");
        let mut auditor = audit(bench, &link);
        file.write(&control_plane("second"));
        auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
        leaks_by(bench, &mut auditor, "second");
    });
}

#[test]
fn a_hangup_reads_the_same_file_again() {
    scenario("service reload-hangup", &[], |bench| {
        let file = File::new(&control_plane("first"));
        let mut auditor = audit(bench, &file.path());
        for _ in 0..3 {
            auditor.signal(Signal::SIGHUP);
            auditor.wait_for_note("a new policy is in force: 1 zone, 1 rule");
            leaks_by(bench, &mut auditor, "first");
        }
    });
}

#[test]
fn without_a_policy_a_hangup_changes_nothing() {
    scenario("service hangup-without-policy", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        auditor.signal(Signal::SIGHUP);
        auditor.wait_for_note("there is no policy to read again");
        bench.send(&format!("{TRAFFIC} --count 10"));
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 10)
            .nothing_else();
    });
}

#[test]
fn a_wrong_file_leaves_the_policy_in_force_until_it_is_right_again() {
    scenario("service reload-wrong", &[], |bench| {
        let file = File::new(&control_plane("first"));
        let path = file.path().display().to_string();
        let mut auditor = audit(bench, &file.path());
        file.write("[zone.backplane]\ninterfaces = [\"fab*\"]\ncontainde = true\n\n[[rule]]\nonly_via = [\"front\"]\n");
        let note = auditor.wait_for_note("the changed policy is wrong");
        assert_eq!(
            note,
            "error: the changed policy is wrong, and the one in force stays"
        );
        for words in [
            ":3:1: unknown key `containde` in a zone; did you mean `contained`?",
            ":5:1: a rule without a name; findings show it",
            ":6:13: unknown zone `front`; the zones are `backplane`",
        ] {
            let note = auditor.wait_for_note(words);
            assert!(note.starts_with(&format!("error: {path}:")), "{note}");
        }
        leaks_by(bench, &mut auditor, "first");
        file.write(&control_plane("second"));
        auditor.wait_for_note("a new policy is in force");
        leaks_by(bench, &mut auditor, "second");
    });
}

#[test]
fn a_file_that_is_removed_leaves_the_policy_in_force() {
    scenario("service reload-removed", &[], |bench| {
        let file = File::new(&control_plane("first"));
        let path = file.path().display().to_string();
        let mut auditor = audit(bench, &file.path());
        fs::remove_file(file.path()).expect("it is ours");
        auditor.wait_for_note("the changed policy is wrong, and the one in force stays");
        auditor.wait_for_note(&format!("error: cannot read {path}: there is no such file"));
        leaks_by(bench, &mut auditor, "first");
        file.write(&control_plane("second"));
        auditor.wait_for_note("a new policy is in force");
        leaks_by(bench, &mut auditor, "second");
    });
}

#[test]
fn what_is_probably_not_meant_is_reported_at_the_start_and_of_a_new_policy() {
    scenario("service reload-warnings", &[], |bench| {
        let twice = |first: &str, second: &str| {
            let again = control_plane(second);
            let rule = &again[again.find("[[rule]]").expect("a rule")..];
            control_plane(first) + "\n" + rule
        };
        let file = File::new(&twice("a", "b"));
        let path = file.path().display().to_string();
        let mut auditor = audit(bench, &file.path());
        let note = auditor.wait_for_note("never decides");
        let start = format!("warning: {path}:9:1: rule `b` never decides: `a` matches all");
        assert!(note.starts_with(&start), "{note}");
        file.write(&twice("c", "d"));
        auditor.wait_for_note("a new policy is in force: 1 zone, 2 rules");
        let note = auditor.wait_for_note("never decides");
        assert!(note.contains("rule `d` never decides: `c`"), "{note}");
    });
}

#[test]
fn a_policy_that_demands_nothing_any_more_is_warned_of() {
    scenario("service reload-empty", &[], |bench| {
        let file = File::new(&control_plane("first"));
        let mut auditor = audit(bench, &file.path());
        file.replace("# nothing\n");
        let note = auditor.wait_for_note("a new policy is in force");
        assert_eq!(note, "warning: a new policy is in force: 0 zones, 0 rules");
        bench.send(&format!("{TRAFFIC} --count 10"));
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 10)
            .nothing_else();
    });
}

/// The policy of a number has so many rules; that of an odd one forbids what the sender does.
fn numbered(number: usize) -> String {
    let mut text = if number % 2 == 1 {
        control_plane("control-plane")
    } else {
        control_plane("elsewhere").replace("10.0.0.0/8", "172.15.0.0/16")
    };
    for other in 1..number {
        text += &format!(
            "\n[[rule]]\nname = \"other-{other}\"\ndestination = [\"172.16.{other}.0/24\"]\nonly_via = [\"backplane\"]\n"
        );
    }
    text
}

#[test]
fn every_packet_is_counted_once_while_policies_change() {
    scenario("service reload-under-load", &[], |bench| {
        let file = File::new(&numbered(1));
        let mut auditor = audit(bench, &file.path());
        let mut sender = bench.sender(&format!("{TRAFFIC} --until-line --wait-stdin"));
        sender.wait_for("ready").go();
        for number in 2..=100 {
            file.replace(&numbered(number));
            // At once; it is seen by itself a moment later, and then once more.
            auditor.signal(Signal::SIGHUP);
            let rules = format!("1 zone, {number} rules");
            auditor.wait_for_note(&rules);
            let sent = bench.card().sent("eth1").expect("eth1").packets;
            bench.wait_until_sent("eth1", sent + 1);
        }
        sender.go();
        let sent = sender.finish();
        let report = auditor.stop();
        let [escape] = &report.findings[..] else {
            panic!("there is one socket\n{report}");
        };
        assert_eq!(report.summary.packets, sent.sent, "{report}");
        let escaped = escape.packets;
        assert!(0 < escaped && escaped < sent.sent, "{report}");
        let wanted = leak("policy-escape").egress("eth1").rule("control-plane");
        report
            .expect()
            .finding(wanted.packets(escaped).by(&sent))
            .contained_unpinned("eth1", sent.sent - escaped)
            .nothing_else();
    });
}

#[test]
fn a_forwarded_flow_is_judged_by_the_policy_in_force() {
    scenario("service reload-forwarded", &[], |bench| {
        bench.let_forward();
        let forward = || {
            let before = bench.card().sent("eth1").expect("eth1").packets;
            let flow = "udp --bind 10.0.0.2:4000 --to 10.9.0.9:9 --count 1000";
            bench.far_sender(&bench.chassis.peer, flow).finish();
            bench.wait_until_sent("eth1", before + 1000);
        };
        // With a rule that allows this flow, and with one that is not about it.
        for allowing in [
            control_plane("control-plane").replace("fab*", "eth*"),
            control_plane("control-plane").replace("10.0.0.0/8", "172.16.0.0/12"),
        ] {
            let file = File::new(&allowing);
            let mut auditor = audit(bench, &file.path());
            forward();
            let further = "\n[[rule]]\nname = \"further\"\ndestination = [\"172.15.0.0/16\"]\nonly_via = [\"backplane\"]\n";
            let forbidding = control_plane("backplane-only") + further;
            let again = allowing + further + &further.replace("further", "further still");
            for (policy, rules) in [(forbidding, "2 rules"), (again, "3 rules")] {
                file.replace(&policy);
                auditor.signal(Signal::SIGHUP);
                auditor.wait_for_note(&format!("1 zone, {rules}"));
                forward();
            }
            let report = auditor.stop();
            let escape = leak("policy-escape").egress("eth1").rule("backplane-only");
            report
                .expect()
                .finding(escape.packets(1000).protocol("udp").cause("forwarded"))
                .contained_unpinned("eth1", 2000)
                .nothing_else();
        }
    });
}
