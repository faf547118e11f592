//! Where the demo plays: the chassis, the card's policy, fabricd and its cgroup. All of it goes when it is dropped.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use pinif_lab::{Cgroup, Chassis};

use super::daemon::{Answer, Step};
use super::fabricd::Fabricd;
use crate::collector::enforcement::Enforce;
use crate::collector::fail_on::FailOn;
use crate::collector::plan::{Plan, QUIET_AFTER};
use crate::host::identity::Identity;
use crate::host::namespaces::Wanted;
use crate::host::netns::NetNs;
use crate::kernel::{load::Loader, mode::Mode};
use crate::policy::Policy;

const POLICY: &str = include_str!("policy.toml");

/// The card's two ports.
pub const PORTS: [&str; 2] = ["fab0", "eth1"];

/// The stage. Its parts go in this order: fabricd must have ended before its cgroup can go.
#[derive(Debug)]
pub struct Stage {
    fabricd: Fabricd,
    cgroup: Cgroup,
    chassis: Chassis,
}

impl Stage {
    /// Builds it, with fabricd waiting.
    pub fn build() -> Result<Self> {
        let chassis = pinif_lab::chassis().context("cannot build the demo's chassis")?;
        let cgroup = Cgroup::new("demo")?;
        Ok(Self {
            fabricd: Fabricd::start(&chassis.card, &cgroup)?,
            cgroup,
            chassis,
        })
    }

    /// What is to be audited.
    pub fn plan(&self) -> Result<Plan> {
        Ok(Plan {
            identity: Identity::read(BTreeMap::new())?,
            namespaces: vec![NetNs::named(self.chassis.card.name())?],
            wanted: Wanted::Named,
            interfaces: Vec::new(),
            cgroup: self.cgroup.path().to_owned(),
            policy: policy()?,
            enforce: Enforce::Never,
            objection: |_, _| Ok(None),
            duration: None,
            // Leaks are what the demo is about: only lost counts are a failure.
            fail_on: FailOn::Never,
            quiet_after: QUIET_AFTER,
            foresee: false,
            replies: false,
            capture: None,
            learn: false,
            max_sockets: None,
            attach: Mode::of_kernel(),
            log_level: 0,
            loader: Loader::begin(),
            persist: None,
        })
    }

    /// Lets fabricd do a step.
    pub fn perform(&mut self, step: Step) -> Result<Answer> {
        self.fabricd.perform(step)
    }

    /// Sets the backplane's link down on the card.
    pub fn cut_backplane(&self) -> Result<()> {
        self.chassis.card.set_down("fab0")
    }

    /// How many packets each of [`PORTS`] has sent, by its driver's own account.
    pub fn sent(&self) -> Result<[u64; 2]> {
        let mut sent = [0; 2];
        for (sent, port) in sent.iter_mut().zip(PORTS) {
            *sent = self.chassis.card.sent(port)?.packets;
        }
        Ok(sent)
    }
}

fn policy() -> Result<Policy> {
    Ok(Policy::parse(POLICY, "policy.toml")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_a_good_one() {
        let policy = policy().expect("a policy");
        assert!(policy.warnings.is_empty());
        assert!(policy.rules[0].pinned && policy.zones[0].contained);
    }
}
