//! What `cargo install --path pinif-userspace` installs, and from what.

use std::{
    path::{Component, Path},
    process::Command,
};

use serde_json::Value;

use crate::{
    files::{below, read},
    root,
};

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(arguments)
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn pinif_is_installed_alone() {
    let metadata = cargo(&[
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let userspace = packages.iter().find(|it| it["name"] == "pinif-userspace");
    let targets = userspace.expect("a member")["targets"]
        .as_array()
        .expect("targets");
    let is_program = |target: &&Value| {
        let kinds = target["kind"].as_array().expect("kinds");
        kinds.iter().any(|kind| kind == "bin")
    };
    let programs: Vec<_> = targets
        .iter()
        .filter(is_program)
        .map(|target| target["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(programs, ["pinif"]);
}

/// What the tests alone use: io_uring for their sender, and what the laboratory has beyond the demo.
#[test]
fn pinif_is_built_without_what_the_tests_use() {
    let tree = cargo(&[
        "tree",
        "--offline",
        "--package",
        "pinif-userspace",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p};{f}",
    ]);
    let packages: Vec<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.split_once(';'))
        .map(|(package, features)| (package.split(' ').next().unwrap_or_default(), features))
        .collect();
    let features = |name: &str| packages.iter().find(|it| it.0 == name).map(|it| it.1);
    assert_eq!(features("io-uring"), None, "{tree}");
    assert_eq!(features("pinif-lab"), Some(""), "{tree}");
    // They are there where the tests' packages are: the names are right.
    let of_tests = cargo(&[
        "tree",
        "--offline",
        "--package",
        "pinif-userspace",
        "--prefix",
        "none",
    ]);
    assert!(of_tests.contains("\nio-uring "), "{of_tests}");
}

/// What a source includes travels with its crate: `cargo package` takes nothing from outside of it.
#[test]
fn what_sources_include_is_in_their_crate() {
    for member in ["pinif-ebpf", "pinif-userspace", "pinif-userspace/lab"] {
        let member = root().join(member);
        for file in below(&member.join("src"), &["rs"]) {
            let text = read(&file);
            let included = ["include_str!(\"", "include_bytes!(\""]
                .into_iter()
                .flat_map(|macro_name| text.split(macro_name).skip(1));
            for path in included.filter_map(|rest| rest.split('"').next()) {
                let folder = file.parent().expect("a folder");
                let ups = Path::new(path).components();
                let ups = ups.take_while(|it| *it == Component::ParentDir).count();
                let depth = folder.strip_prefix(&member).expect("below it");
                assert!(
                    ups <= depth.components().count(),
                    "{} includes {path}, which is outside of {}",
                    file.display(),
                    member.display()
                );
            }
        }
    }
}
