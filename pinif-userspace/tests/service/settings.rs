//! Options from the environment and from a file, as the whole program takes them. Each case of it is a unit test (`commands/settings`).

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

const REFERENCE: &str = include_str!("../../../docs/config.md");
const SHIPPED: &str = include_str!("../../../contrib/pinif.toml");

/// Runs pinif with a file of settings and one more variable.
fn pinif(file: &str, variable: (&str, &str), arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("pinif.toml"), file).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_pinif"))
        .current_dir(directory.path())
        .env("PINIF_CONFIG", "pinif.toml")
        .env(variable.0, variable.1)
        .args(arguments)
        .output()
        .expect("pinif starts")
}

/// What is wrong with a file of settings, as a person reads it.
fn errors(file: &str) -> String {
    let output = pinif(file, ("A", "b"), &["explain", "device-escape"]);
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// What stands between two marks of a Markdown text.
fn block(mark: &str) -> &'static str {
    let (_, rest) = REFERENCE.split_once(mark).expect("a block");
    rest.split_once("\n```").expect("a closed block").0
}

#[test]
fn a_file_counts_and_the_environment_before_it() {
    let file = "[doctor]\nformat = \"json\"\n";
    let stdout = |variable| {
        let output = pinif(file, variable, &["doctor"]);
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (json, human) = (stdout(("A", "b")), stdout(("PINIF_DOCTOR_FORMAT", "human")));
    assert!(json.starts_with('{'), "{json}");
    assert!(!human.is_empty() && !human.starts_with('{'), "{human}");
}

#[test]
fn a_fault_in_the_file_has_the_status_of_the_command() {
    for (arguments, status) in [
        (&["explain", "device-escape"][..], 1),
        (&["run", "--interface", "lo", "--", "true"], 125),
        (
            &["--config=pinif.toml", "run", "--interface", "lo", "true"],
            125,
        ),
    ] {
        let output = pinif("[nonsense]\n", ("A", "b"), arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    let output = pinif("", ("PINIF_AUDIT_ENFORCE", "maybe"), &["audit"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "pinif: PINIF_AUDIT_ENFORCE in the environment: `maybe` is neither `true` nor `false`\n"
    );
}

#[test]
fn the_examples_of_the_reference_are_what_it_says() {
    let good = block("```toml\n");
    assert_eq!(errors(good), "");
    let bad = good.replace("enforce", "enforc");
    assert_eq!(errors(&bad), format!("{}\n", block("```text\n")));
}

#[test]
fn the_file_that_is_shipped_is_good_with_and_without_its_marks() {
    assert_eq!(errors(SHIPPED), "");
    let set: String = SHIPPED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if option.starts_with(char::is_alphabetic) => format!("{option}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(set.lines().filter(|line| line.contains(" = ")).count(), 11);
    assert_eq!(errors(&set), "");
}

#[test]
fn one_that_others_can_change_is_refused_as_a_service_and_warned_of_by_hand() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pinif.toml");
    fs::write(&path, "[doctor]\nformat = \"json\"\n").expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("it is ours");
    let explain = |variable| {
        Command::new(env!("CARGO_BIN_EXE_pinif"))
            .env(variable, "/nowhere")
            .args(["explain", "device-escape", "--config"])
            .arg(&path)
            .output()
            .expect("pinif starts")
    };
    let words = format!(
        "pinif: others can change the configuration: the file {0} belongs to root, with mode 0666; run `chmod go-w {0}`\n",
        path.display()
    );
    for (variable, status) in [("NOTIFY_SOCKET", 1), ("A", 0)] {
        let output = explain(variable);
        assert_eq!(output.status.code(), Some(status), "{variable}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), words, "{variable}");
        assert_eq!(output.stdout.is_empty(), status == 1, "{variable}");
    }
}
