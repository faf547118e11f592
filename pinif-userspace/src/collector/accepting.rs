//! What the policy in force accepts, with the files of the programs that it names.

use std::{path::Path, sync::Arc, time::SystemTime};

use anyhow::Result;
use pinif_ebpf::subject::Program;

use super::{
    acceptance::{Acceptance, Destinations},
    key::Key,
};
use crate::{
    findings::{accepted::Accepted, finding::Finding},
    hub::{Hub, Notice},
    kernel::publish::{Named, Unresolved},
    policy::Policy,
};

/// What the policy in force accepts, with the files of the programs that it names.
pub(super) struct Accepting {
    pub(super) acceptance: Acceptance,
    pub(super) programs: Named,
}

impl Accepting {
    /// By a policy that comes into force now. What it names and is not there is reported.
    ///
    /// # Errors
    ///
    /// When nothing can be looked up.
    pub(super) fn by(policy: &Policy, hub: &Hub) -> Result<Self> {
        let acceptance = Acceptance::of(policy, SystemTime::now());
        let (programs, unresolved) = Named::of_programs(acceptance.executables().cloned())?;
        for Unresolved { what, why } in unresolved {
            hub.note(Notice::PolicyUnresolved { what, why });
        }
        Ok(Self {
            acceptance,
            programs,
        })
    }

    /// What is said of a finding.
    pub(super) fn judge(
        &self,
        key: &Key,
        finding: &Finding,
        destinations: impl FnOnce() -> Destinations,
    ) -> Option<Arc<Accepted>> {
        let is_file = |path: &Path, program: &Program| {
            self.programs
                .is_program(path, program.device, program.inode)
        };
        self.acceptance.judge(key, finding, is_file, destinations)
    }
}
