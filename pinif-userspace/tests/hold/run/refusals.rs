//! What is not run, and why.

use std::fs;
use std::process::Command;

use super::INSIDE;
use crate::bench::{Held, Need, SENDER, scenario};

/// What pinif says when it cannot run a command.
fn refusal(mut run: Command) -> String {
    let output = run.arg("true").output().expect("pinif");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_command_that_cannot_be_pinned_is_not_run() {
    scenario("run errors", &[Need::Program("setpriv")], |bench| {
        bench.lacks("fab9", &refusal(bench.pinned("fab9", "")));
        let mut run = Command::new(env!("CARGO_BIN_EXE_pinif"));
        run.args(["run", "--interface", "lo", "--netns", "no-such-card", "--"]);
        assert!(refusal(run).starts_with("pinif: there is no network namespace `no-such-card`"));
        let mut run = Command::new(env!("CARGO_BIN_EXE_pinif"));
        run.args(["run", "--interface", "lo", "--cgroup", "/proc", "--"]);
        assert!(refusal(run).starts_with("pinif: /proc is no cgroup of the second version; name"));
        let mut run = Command::new("setpriv");
        run.args(["--reuid", "65534", "--clear-groups", "--bounding-set=-all"]);
        run.args([
            env!("CARGO_BIN_EXE_pinif"),
            "run",
            "--interface",
            "lo",
            "--",
        ]);
        let said = refusal(run);
        assert!(said.starts_with("pinif: root is needed"), "{said}");
        let usage = Command::new(env!("CARGO_BIN_EXE_pinif"))
            .arg("run")
            .output()
            .expect("pinif");
        assert_eq!(usage.status.code(), Some(125));
    });
}

#[test]
fn a_threaded_cgroup_is_reported() {
    scenario("run threaded", &[], |bench| {
        let threaded = bench.cgroup_path().join("threaded");
        fs::create_dir(&threaded).expect("a cgroup");
        fs::write(threaded.join("cgroup.type"), "threaded").expect("threaded");
        let mut run = Command::new(env!("CARGO_BIN_EXE_pinif"));
        run.args(["run", "--interface", "lo", "--cgroup"])
            .arg(&threaded)
            .arg("--");
        let said = refusal(run);
        fs::remove_dir(&threaded).expect("it is empty");
        assert!(
            said.contains("can hold no process") && said.contains("threaded"),
            "{said}"
        );
        assert!(said.contains("--cgroup"), "{said}");
    });
}

#[test]
fn a_run_within_a_run_is_pinned_to_the_same_or_refused() {
    scenario("run nested", &[], |bench| {
        let nested = |interface: &str| -> Held {
            let mut run = bench.pinned("fab0", "");
            run.args([
                env!("CARGO_BIN_EXE_pinif"),
                "run",
                "--interface",
                interface,
                "--",
                *SENDER,
            ]);
            run.args(["udp", "--to", INSIDE, "--count", "10"]);
            bench.held(run)
        };
        let (same, outside) = bench.outside_while(|| nested("fab0"));
        assert_eq!((same.sent().sent, outside), (10, 0), "{same:?}");
        assert_eq!(same.account.left(), [("fab0", 10)]);
        let other = nested("eth1");
        assert_eq!(other.output.status.code(), Some(125), "{other:?}");
        let said = String::from_utf8_lossy(&other.output.stderr);
        assert!(
            said.contains("is pinned to fab0 already, and cannot be pinned to eth1 as well"),
            "{said}"
        );
    });
}

/// It hides the cgroup hierarchy, and everybody tries it first.
#[test]
fn within_ip_netns_exec_it_runs_all_the_same() {
    scenario("run netns-exec", &[], |bench| {
        let card = bench.card().name();
        let program = env!("CARGO_BIN_EXE_pinif");
        let run = format!("netns exec {card} {program} run --interface fab0 -- true");
        bench.program("ip", &run);
        let audit = format!("netns exec {card} {program} audit --interface fab0 --duration 100ms");
        bench.program("ip", &audit);
    });
}

/// A cgroup's path is hidden too: what helps is said.
#[test]
fn within_ip_netns_exec_a_cgroup_is_to_be_named_outside() {
    scenario("run netns-exec-cgroup", &[], |bench| {
        let program = env!("CARGO_BIN_EXE_pinif");
        let cgroup = "/sys/fs/cgroup/pinif-is-not-there";
        let output = Command::new("ip")
            .args(["netns", "exec", bench.card().name(), program])
            .args(["audit", "--interface", "fab0", "--cgroup", cgroup])
            .output()
            .expect("ip");
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = format!(
            "there is no cgroup {cgroup}; cgroup v2 is not mounted here, as within `ip netns exec`: start pinif outside of that, with \
             --netns NAME for the network namespace"
        );
        assert!(!output.status.success() && said.contains(&wanted), "{said}");
    });
}
