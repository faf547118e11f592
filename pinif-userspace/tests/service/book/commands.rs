//! Every command of the documentation, and what runs it. What developers read (`docs/developers`) is left out.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It is run as it is, and ends with one of these statuses.
    Here(&'static [i32]),
    /// A test in this file of the repository runs it, or all commands of its page.
    By(&'static str),
    /// No test runs it as it is, for this reason.
    Not(&'static str),
}
use Run::{By, Here, Not};

const HOST: &str = "it changes or asks a host that systemd runs: in a machine of its own, xtask/src/vm/service/checks.sh does what it does";
const ENDLESS: &str = "it goes on until it is ended; the tests of its command start and end it";

/// The first row whose page and part of the line are those of a command is its row. An empty page is each page.
const ROWS: &[(&str, &str, Run)] = &[
    (
        "docs/kinds/",
        "",
        By("pinif-userspace/tests/service/kinds.rs"),
    ),
    (
        "docs/cookbook/README.md",
        "unshare --net",
        By("pinif-userspace/tests/service/book/pages.rs"),
    ),
    (
        "docs/cookbook/",
        "",
        By("pinif-userspace/tests/service/book/pages.rs"),
    ),
    (
        "docs/comparison.md",
        "",
        By("pinif-userspace/tests/service/book/pages.rs"),
    ),
    (
        "docs/control.md",
        "curl",
        By("pinif-userspace/tests/service/control/docs.rs"),
    ),
    (
        "docs/history.md",
        "curl --cacert",
        By("pinif-userspace/tests/service/serve/secure_readers.rs"),
    ),
    (
        "docs/history.md",
        "curl",
        By("pinif-userspace/tests/service/serve/web.rs"),
    ),
    (
        "docs/chassis.md",
        "",
        By("pinif-userspace/tests/service/serve/chassis.rs"),
    ),
    (
        "",
        "--capture",
        By("pinif-userspace/tests/service/capture.rs"),
    ),
    (
        "docs/capture.md",
        "tshark",
        By("pinif-userspace/tests/service/capture.rs"),
    ),
    (
        "docs/alert.md",
        "serve --exec",
        By("pinif-userspace/tests/service/serve/exec.rs"),
    ),
    (
        "docs/alert.md",
        "set -eu",
        By("pinif-userspace/tests/service/serve/exec.rs"),
    ),
    (
        "docs/alert.md",
        "printf",
        By("pinif-userspace/tests/service/serve/exec.rs"),
    ),
    (
        "docs/alert.md",
        "\"$PINIF",
        By("pinif-userspace/tests/service/serve/exec.rs"),
    ),
    (
        "docs/metrics.md",
        "socat",
        By("pinif-userspace/tests/service/control/prometheus.rs"),
    ),
    (
        "",
        "cargo",
        Not("it builds pinif: what runs the tests has done so"),
    ),
    ("", "journalctl", Not(HOST)),
    ("", "systemctl", Not(HOST)),
    ("", "dpkg -i", Not(HOST)),
    ("", "rpm -i", Not(HOST)),
    ("", "tar -xf", Not(HOST)),
    ("", "install -m", Not(HOST)),
    (
        "",
        "pinif demo",
        By("pinif-userspace/tests/service/demo.rs"),
    ),
    (
        "",
        "--otlp",
        By("pinif-userspace/tests/service/serve/via.rs"),
    ),
    (
        "",
        "serve --listen",
        By("pinif-userspace/tests/service/serve/secure_files.rs"),
    ),
    ("", "serve", Not(ENDLESS)),
    (
        "",
        "pinif history",
        By("pinif-userspace/tests/service/serve/history.rs"),
    ),
    (
        "",
        "--enforce",
        By("pinif-userspace/tests/audit/enforce/leaks.rs"),
    ),
    (
        "",
        "--persist",
        By("pinif-userspace/tests/audit/persist/ends.rs"),
    ),
    (
        "",
        "pinif detach",
        By("pinif-userspace/tests/audit/persist/detach.rs"),
    ),
    ("", "pinif top", Not(ENDLESS)),
    ("", "--watch", Not(ENDLESS)),
    ("", "--follow", Not(ENDLESS)),
    (
        "",
        "pinif audit",
        Not(
            "what it finds is what the tests are about: they start it with a socket or a cgroup of their own",
        ),
    ),
    (
        "",
        "jq -s",
        Not("it is the second line of a command that audits for a minute"),
    ),
    (
        "",
        "foresee --socket",
        Not("it names an auditor's socket, which is another in each namespace"),
    ),
    ("", "pinif accept", Here(&[0])),
    ("", "policy test", Here(&[0, 2])),
    ("", "status --format nagios", Here(&[0, 1])),
    ("", "pinif sockets", Here(&[0, 2])),
    ("", "pinif foresee", Here(&[0, 2])),
    ("", "pinif", Here(&[0])),
];

/// What the commands of indented blocks begin with: other such blocks are drawings, settings and what is printed.
const PROGRAMS: [&str; 19] = [
    "cargo",
    "curl",
    "dpkg",
    "install",
    "ip",
    "journalctl",
    "mkdir",
    "nft",
    "pinif",
    "prometheus",
    "prometheus-alertmanager",
    "rotel",
    "rpm",
    "socat",
    "sudo",
    "systemctl",
    "tar",
    "tc",
    "vmagent",
];

/// A command, with the page that has it.
#[derive(Debug)]
pub struct Command {
    pub page: String,
    pub line: String,
    pub run: Run,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages, from the repository's root.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/kinds", "docs/cookbook"] {
        let entries = fs::read_dir(root().join(folder)).expect("it is there");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        let names = names.filter(|name| name.ends_with(".md") && name != "SUMMARY.md");
        pages.extend(names.map(|name| format!("{folder}/{name}")));
    }
    pages.sort();
    pages
}

/// The lines of a page that are commands: in fences of `sh`, and indented behind an empty line. Without what follows a `#`.
fn lines(text: &str) -> Vec<&str> {
    let (mut fence, mut is_indented, mut is_after_empty) = (None, false, true);
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            fence = fence.is_none().then_some(language);
        } else if fence == Some("sh") {
            lines.push(line);
        } else if fence.is_none() && line.starts_with("    ") && (is_after_empty || is_indented) {
            is_indented = true;
            let line = line.trim_start();
            let line = line.strip_prefix("$ ").unwrap_or(line);
            let first = line.split(' ').next().unwrap_or_default();
            if PROGRAMS.contains(&first) {
                lines.push(line.split(" # ").next().unwrap_or(line).trim_end());
            }
            continue;
        }
        is_indented = false;
        is_after_empty = line.is_empty();
    }
    lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
    lines
}

/// All commands.
///
/// # Panics
/// Where one has no row, which is to be made.
pub fn all() -> Vec<Command> {
    let mut commands = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).expect("a page");
        for line in lines(&text) {
            let row = row(&page, line);
            let (_, _, run) = row.unwrap_or_else(|| panic!("{page}: `{line}` has no row in ROWS"));
            commands.push(Command {
                page: page.clone(),
                line: line.to_owned(),
                run: *run,
            });
        }
    }
    commands
}

fn row(page: &str, line: &str) -> Option<&'static (&'static str, &'static str, Run)> {
    ROWS.iter()
        .find(|(place, part, _)| page.starts_with(place) && line.contains(part))
}

#[test]
fn each_command_is_run_or_has_a_reason() {
    let commands = all();
    assert!(commands.len() > 150, "only {} commands", commands.len());
    for (place, part, run) in ROWS {
        let is_of = |command: &&Command| {
            row(&command.page, &command.line).is_some_and(|row| (row.0, row.1) == (*place, *part))
        };
        assert!(
            commands.iter().find(is_of).is_some(),
            "no command has the row {place:?} {part:?}"
        );
        if let By(file) = run {
            let text = fs::read_to_string(root().join(file));
            let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
            // It runs the page's own lines, or the command.
            let page = place
                .trim_end_matches(".md")
                .rsplit('/')
                .find(|name| !name.is_empty());
            let word = part.rsplit(' ').find(|word| !word.is_empty());
            let mut names = page.into_iter().chain(word);
            assert!(
                names.any(|name| text.contains(name)),
                "{file} names neither {place} nor {part}"
            );
            assert!(text.contains("#[test]"), "{file} has no test");
        }
    }
}

#[test]
fn commands_are_found_in_fences_and_indented() {
    let page = "a\n\n    sudo pinif x     # why\n    $ pinif y\n    [Service]\n    answer: 7\n\nb\n    no\n\n```sh\nip a\n\n# c\n```\n\n```text\nip b\n```\n";
    assert_eq!(lines(page), ["sudo pinif x", "pinif y", "ip a"]);
}
