//! What pinif is built for.

#[path = "../../pinif-userspace/build/target.rs"]
mod tested;

use std::{env, fmt, str::FromStr};

/// A target that pinif is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    name: &'static str,
    architecture: &'static str,
}

impl Target {
    /// 64-bit Arm.
    pub const AARCH64: Self = Self {
        name: "aarch64-unknown-linux-gnu",
        architecture: "aarch64",
    };

    /// As cargo and rustc name it.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The target of this machine.
    ///
    /// # Errors
    /// Where pinif is not built for it: what is, in a sentence.
    pub fn of_this_machine() -> Result<Self, String> {
        format!("{}-unknown-linux-gnu", env::consts::ARCH).parse()
    }

    /// The processor, as `uname -m` names it.
    pub const fn architecture(self) -> &'static str {
        self.architecture
    }

    /// Whether this machine runs what is built for it.
    pub fn is_of_this_machine(self) -> bool {
        self.architecture == env::consts::ARCH
    }
}

/// The environment variable that gives cargo, and nextest, a setting of a target.
pub fn variable(target: &str, setting: &str) -> String {
    let target = target.replace(['-', '.'], "_").to_uppercase();
    format!("CARGO_TARGET_{target}_{setting}")
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(target: &str) -> Result<Self, String> {
        let mut tested = tested::TESTED.into_iter();
        let found = tested.find(|(name, _)| *name == target);
        let (name, architecture) = found.ok_or_else(|| tested::refusal(target))?;
        Ok(Self { name, architecture })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tested_is_built_and_all_else_refused_by_one_sentence_with_what_works() {
        assert_eq!("aarch64-unknown-linux-gnu".parse(), Ok(Target::AARCH64));
        for target in [
            "s390x-unknown-linux-gnu",
            "riscv64gc-unknown-linux-gnu",
            "armv7-unknown-linux-gnueabihf",
        ] {
            let refusal = target.parse::<Target>().expect_err("it is not tested");
            let beginning = format!(
                "pinif is built for x86_64-unknown-linux-gnu and aarch64-unknown-linux-gnu, and not for {target}: "
            );
            assert!(refusal.starts_with(&beginning), "{refusal}");
            assert!(!refusal.contains(['\n', '.']), "{refusal}");
        }
    }

    #[test]
    fn cargo_is_given_settings_of_a_target() {
        assert_eq!(
            variable("aarch64-unknown-linux-gnu", "LINKER"),
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER"
        );
        assert_eq!(
            variable("x86_64-unknown-linux-gnu", "RUNNER"),
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER"
        );
    }
}
