//! What became of a scenario, for `cargo xtask`: a file that says so from the beginning, so that a scenario that never
//! ends is not taken for one that was not tried.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::group::Group;
use super::promise;
use super::report::Report;
use super::wanted::Finding;

/// The kinds of findings of one scenario, each as often as it is there.
#[derive(Clone, Default)]
struct Kinds {
    expected: Vec<String>,
    found: Vec<String>,
}

thread_local! {
    /// What the scenario of this thread expects and has found until now.
    static FINDINGS: RefCell<Option<Kinds>> = RefCell::default();
}

/// The account of one scenario.
pub struct Record<'a> {
    name: &'a str,
    file: Option<PathBuf>,
}

impl<'a> Record<'a> {
    /// Begins it, in the directory that `PINIF_SCENARIO_DIR` names; in none where it names none.
    pub fn begin(name: &'a str) -> Self {
        FINDINGS.take();
        let file = std::env::var_os("PINIF_SCENARIO_DIR").map(|directory| {
            let directory = PathBuf::from(directory);
            fs::create_dir_all(&directory)
                .expect("cannot make the directory of PINIF_SCENARIO_DIR");
            directory.join(format!("{}.json", name.replace([' ', '/'], "-")))
        });
        let record = Self { name, file };
        record.write("failed", "it did not end");
        record
    }

    /// It cannot run here.
    pub fn skipped(&self, reason: &str) {
        self.write("skipped", reason);
    }

    /// It ran to its end.
    pub fn ended(&self, passed: bool) {
        self.write(if passed { "passed" } else { "failed" }, "");
    }

    fn write(&self, outcome: &str, reason: &str) {
        let Some(file) = &self.file else { return };
        let kernel = nix::sys::utsname::uname().expect("uname cannot fail");
        let kinds = FINDINGS.with_borrow(Clone::clone);
        let account = json!({
            "scenario": self.name,
            "outcome": outcome,
            "reason": reason,
            "expected": kinds.as_ref().map(|kinds| &kinds.expected),
            "found": kinds.as_ref().map(|kinds| &kinds.found),
            "promise": promise::of(self.name),
            "group": Group::current().map(|group| group.name()),
            "kernel": kernel.release().to_string_lossy(),
        });
        fs::write(file, account.to_string()).expect("cannot write what became of the scenario");
    }
}

/// Notes the kinds that a report must have, and those that it has.
pub fn note(expected: &[Finding], report: &Report) {
    FINDINGS.with_borrow_mut(|kinds| {
        let kinds = kinds.get_or_insert_default();
        let wanted = expected.iter().map(|finding| finding.kind().to_owned());
        kinds.expected.extend(wanted);
        let found = report.findings.iter();
        let found = found.map(|finding| finding.kind.name().to_owned());
        kinds.found.extend(found);
        kinds.expected.sort_unstable();
        kinds.found.sort_unstable();
        // What several senders of one program did is one finding.
        kinds.expected.dedup();
        kinds.found.dedup();
    });
}
