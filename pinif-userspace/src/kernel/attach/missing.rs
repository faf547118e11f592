//! Hooks of the cgroup that the kernel refused while it took others: one of their kind stands alone on a cgroup above, by
//! `BPF_PROG_ATTACH` without `BPF_F_ALLOW_MULTI`, or the kernel was built without it.

use anyhow::Error;

/// Hooks that are missing, and why the first one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingHooks {
    /// The names of their programs.
    pub hooks: Vec<&'static str>,
    /// What is lacking without them, each once.
    pub lacks: Vec<Lack>,
    /// The kernel's reason.
    pub error: String,
}

/// What is lacking without a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// What sockets ask for, and whose they are.
    Sockets,
    /// That packets are refused before the kernel looks for their neighbour.
    Refusal,
    /// That groups are refused before the kernel reports them.
    Groups,
    /// By which interface a request came.
    Replies,
}

/// Collects them.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<(&'static str, Lack, Error)>);

impl Refusals {
    /// One was refused.
    pub(super) fn add(&mut self, hook: &'static str, lack: Lack, error: Error) {
        self.0.push((hook, lack, error));
    }

    /// Where none was attached, there is nothing to go on with.
    ///
    /// # Errors
    ///
    /// Why the first one was refused, if any was.
    pub(super) fn failed(&mut self) -> anyhow::Result<()> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(self.0.swap_remove(0).2),
        }
    }

    /// What is missing, where something is.
    pub(super) fn missing(self) -> Option<MissingHooks> {
        let (_, _, first) = self.0.first()?;
        let mut lacks: Vec<Lack> = self.0.iter().map(|(_, lack, _)| *lack).collect();
        lacks.sort_unstable();
        lacks.dedup();
        Some(MissingHooks {
            hooks: self.0.iter().map(|(hook, ..)| *hook).collect(),
            lacks,
            error: first.root_cause().to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_hook_that_is_refused_alone_is_missing_and_all_are_an_error() {
        assert_eq!(Refusals::default().missing(), None);
        Refusals::default().failed().expect("nothing was refused");
        let refusals = || {
            let mut refusals = Refusals::default();
            refusals.add(
                "pinif_create",
                Lack::Sockets,
                anyhow!("EPERM").context("refused"),
            );
            refusals.add("pinif_join", Lack::Groups, anyhow!("EINVAL"));
            refusals.add("pinif_release", Lack::Sockets, anyhow!("EINVAL"));
            refusals
        };
        let missing = refusals().missing().expect("three");
        assert_eq!(
            missing.hooks,
            ["pinif_create", "pinif_join", "pinif_release"]
        );
        assert_eq!(missing.lacks, [Lack::Sockets, Lack::Groups]);
        assert_eq!(missing.error, "EPERM");
        let error = refusals().failed().expect_err("all were refused");
        assert_eq!(format!("{error:#}"), "refused: EPERM");
    }
}
