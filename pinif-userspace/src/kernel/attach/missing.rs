//! Hooks of the cgroup that the kernel refused while it took others: one of their kind stands alone on a cgroup above, by
//! `BPF_PROG_ATTACH` without `BPF_F_ALLOW_MULTI`, or the kernel was built without it.

use anyhow::Error;

/// Hooks that are missing, and why the first one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingHooks {
    /// The names of their programs.
    pub hooks: Vec<&'static str>,
    /// The kernel's reason.
    pub error: String,
}

/// Collects them. Without any hook there is nothing to go on with.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<(&'static str, Error)>);

impl Refusals {
    /// One was refused.
    pub(super) fn add(&mut self, hook: &'static str, error: Error) {
        self.0.push((hook, error));
    }

    /// What is missing, where others were attached.
    ///
    /// # Errors
    ///
    /// Why the first one was refused, where all were.
    pub(super) fn missing(mut self, is_any_attached: bool) -> anyhow::Result<Option<MissingHooks>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let hooks = self.0.iter().map(|(hook, _)| *hook).collect();
        let (_, error) = self.0.swap_remove(0);
        if !is_any_attached {
            return Err(error);
        }
        Ok(Some(MissingHooks {
            hooks,
            error: error.root_cause().to_string(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_hook_that_is_refused_alone_is_missing_and_all_are_an_error() {
        assert_eq!(Refusals::default().missing(true).expect("none"), None);
        let refusals = || {
            let mut refusals = Refusals::default();
            refusals.add("pinif_create", anyhow!("EPERM").context("refused"));
            refusals.add("pinif_release", anyhow!("EINVAL"));
            refusals
        };
        let missing = refusals().missing(true).expect("others are attached");
        let missing = missing.expect("two");
        assert_eq!(missing.hooks, ["pinif_create", "pinif_release"]);
        assert_eq!(missing.error, "EPERM");
        let error = refusals().missing(false).expect_err("all were refused");
        assert_eq!(format!("{error:#}"), "refused: EPERM");
    }
}
