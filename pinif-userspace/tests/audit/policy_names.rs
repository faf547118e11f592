//! What a policy names by a path is made anew: a program is upgraded, a service is started again. Case 29 of
//! docs/developers/scenarios.md.

use std::fs;
use std::path::Path;

use super::verdict_cache::secret;
use crate::bench::{Bench, SENDER, Sender, leak, scenario};

const SECRET: &str = "udp --to 203.0.113.9:9 --count 10";

fn sender(bench: &Bench, program: &Path, cgroup: &Path, arguments: &str) -> Sender {
    Sender::start_as(program, bench.card(), Some(cgroup), arguments)
}

#[test]
fn a_rule_follows_a_program_that_is_replaced() {
    scenario("29 executable", &[], |bench| {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("pinif-sender");
        let put = || {
            let new = directory.path().join("new");
            fs::copy(*SENDER, &new).expect("a copy of the sender");
            fs::rename(&new, &program).expect("in its place");
        };
        put();
        let policy = secret(&format!("executable = {:?}", program.display().to_string()));
        let mut auditor = bench.audit_with(&policy, &[]);
        let cgroup = bench.cgroup_path();
        // It goes on with the file that it was started from.
        let mut old = sender(bench, &program, cgroup, &format!("--wait-stdin {SECRET}"));
        old.wait_for("ready");
        put();
        auditor.wait_for_note("is a new one: its rules go on with it");
        let new = sender(bench, &program, cgroup, SECRET).finish();
        let old = old.go_and_finish();
        let escape = || {
            leak("policy-escape")
                .rule("secret")
                .egress("eth1")
                .packets(10)
        };
        auditor
            .stop()
            .expect()
            .finding(escape().by(&new))
            .finding(escape().by(&old))
            .nothing_else();
    });
}

/// One program makes the socket, and the one that the process begins then binds it and sends.
#[test]
fn a_rule_is_about_the_program_that_binds() {
    scenario("29 begun", &[], |bench| {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("begun");
        fs::copy(*SENDER, &program).expect("a copy of the sender");
        let path = program.display().to_string();
        let auditor = bench.audit_with(&secret(&format!("executable = {path:?}")), &[]);
        let begins =
            format!("hand-on --becomes {path} --bind 0.0.0.0 --to 203.0.113.9:9 --count 10");
        let cgroup = bench.cgroup_path();
        let mut process = sender(bench, Path::new(*SENDER), cgroup, &begins);
        let sent = process.sent();
        let report = auditor.stop();
        let escape = leak("policy-escape").rule("secret").egress("eth1");
        report
            .expect()
            .finding(escape.packets(10).by_program("begun", sent.pid))
            .nothing_else();
    });
}

#[test]
fn a_rule_follows_a_cgroup_that_comes_and_comes_again() {
    scenario("29 cgroup", &[], |bench| {
        let cgroup = bench.cgroup_path().join("service");
        let policy = secret(&format!("cgroup = \"{}/service\"", bench.cgroup()));
        let mut auditor = bench.audit_with(&policy, &[]);
        auditor.wait_for_note("is not on this machine");
        let mut sent = Vec::new();
        for _ in 0..2 {
            fs::create_dir(&cgroup).expect("a cgroup");
            auditor.wait_for_note("is a new one: its rules go on with it");
            sent.push(sender(bench, Path::new(*SENDER), &cgroup, SECRET).finish());
            fs::remove_dir(&cgroup).expect("its process has ended");
        }
        let escape = || {
            leak("policy-escape")
                .rule("secret")
                .egress("eth1")
                .packets(10)
        };
        let report = auditor.stop();
        let expected = report.expect();
        sent.iter()
            .fold(expected, |expected, sent| {
                expected.finding(escape().by(sent))
            })
            .nothing_else();
    });
}
