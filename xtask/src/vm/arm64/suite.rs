//! The tests: chosen, and built for arm64.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    build,
    cross::Cross,
    process::{answer, run_cargo},
    target::Target,
    workspace::Workspace,
};

/// The cargo profile: little is optimized, since what is built here runs for seconds.
const SMOKE: &str = "smoke";

/// A test, by its binary and its name.
pub type Test = (&'static str, &'static str);

/// The leaks of each main kind, by IPv4 and IPv6, what arrives, and what `pinif run` keeps and refuses: each program is in use.
const TESTS: [Test; 6] = [
    ("audit", "escapes::bound_addresses"),
    ("audit", "escapes::bound_devices"),
    ("audit", "policy_escapes::senders"),
    ("audit", "ingress::contained::within"),
    ("hold", "run::attempts::an_ipv4_packet_info_is_kept"),
    (
        "hold",
        "run::attempts::unbinding_and_rebinding_are_refused_and_reported",
    ),
];

/// The built tests, and what they start.
#[derive(Debug)]
pub struct Suite {
    /// The binaries, by their names.
    pub binaries: Vec<(String, PathBuf)>,
    /// pinif and the sender, which the tests start by these paths.
    pub programs: [PathBuf; 2],
}

impl Suite {
    /// Builds the tests, by a profile of their own.
    ///
    /// # Errors
    /// Where they do not build.
    pub fn build(workspace: &Workspace, cross: &Cross) -> Result<Self> {
        build::build_ebpf(workspace)?;
        let cargo = || {
            let mut cargo = cross.cargo(workspace, "build");
            cargo.args(["--package", "pinif-userspace", "--profile", SMOKE]);
            cargo.args(["--bin", "pinif", "--example", "pinif-sender"]);
            cargo.args(names().flat_map(|name| ["--test", name]));
            cargo
        };
        run_cargo(&mut cargo())?;
        // Once more, with nothing left to do, for where it all is.
        let built = executables(cargo().args(["--quiet", "--message-format", "json"]))?;
        let binaries = names().map(|name| {
            let mut built = built.iter();
            let (name, path) = built
                .find(|(built, _)| built == name)
                .with_context(|| format!("cargo built no tests of {name}"))?;
            Ok((name.clone(), path.clone()))
        });
        let program = |name| workspace.built_for(Target::AARCH64, SMOKE, name);
        Ok(Self {
            binaries: binaries.collect::<Result<_>>()?,
            programs: [program("pinif"), program("examples/pinif-sender")],
        })
    }

    /// Which of the tests run.
    pub const fn tests(&self) -> &'static [Test] {
        &TESTS
    }
}

/// The names of the binaries.
fn names() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<_> = TESTS.iter().map(|(binary, _)| *binary).collect();
    names.dedup();
    names.into_iter()
}

/// The names and files of what a command of cargo's has built.
fn executables(cargo: &mut Command) -> Result<Vec<(String, PathBuf)>> {
    let text = answer(cargo)?;
    Ok(text.lines().filter_map(executable).collect())
}

/// The name and file of what one message of cargo's says was built.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = Path::new(message["executable"].as_str()?).to_owned();
    Some((message["target"]["name"].as_str()?.to_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_a_test_binary_is() {
        let message = r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"audit"},"executable":"/t/deps/audit-1"}"#;
        assert_eq!(
            executable(message),
            Some(("audit".to_owned(), "/t/deps/audit-1".into()))
        );
        let library = message.replace("\"/t/deps/audit-1\"", "null");
        assert_eq!(executable(&library), None);
        assert_eq!(executable("warning"), None);
    }
}
