//! A policy comes into force while the audit runs.

use std::time::SystemTime;

use anyhow::Result;

use super::{audit::Audit, enforcement, foresight, persisted_policy};
use crate::{
    hub::{Hub, Notice},
    kernel::{clock::monotonic, publish::Unresolved},
    policy::{Policy, PolicyErrors, ingress_policy::watched},
};

impl Audit {
    /// Puts a new policy into force; where that fails, the one in force stays.
    pub(super) fn reload(&mut self, policy: Policy) -> Result<()> {
        if !self.spares_session(&policy) {
            let why = "it would drop the session that pinif is run from";
            self.reload_failure = Some(vec![why.to_owned()]);
            return Ok(());
        }
        // Before the policy is in force, so that nothing arrives unseen from then on; under the old one nothing is found there.
        for netns in self.host_view.order().to_vec() {
            let namespace = self.namespaces.get(&netns);
            let wanted = namespace.map(|namespace| watched(&namespace.network, &policy));
            let wanted = wanted.unwrap_or_default();
            if !wanted.is_empty()
                && let Err(error) = self.hooks.load_ingress(&mut self.following.entries)
            {
                let error = format!("{error:#}");
                self.reload_failure = Some(vec![error.clone()]);
                self.hub.note(Notice::PolicyRefused { error });
                return Ok(());
            }
            self.watch_in_batches(netns, &wanted)?;
        }
        let persist = self.persist.as_deref();
        self.hooks.hear(policy.keeps_inside(), persist)?;
        self.report_missing_hooks();
        let networks: Vec<_> = self
            .namespaces
            .iter()
            .map(|(&netns, namespace)| (netns, &namespace.network))
            .collect();
        persisted_policy::write_next(&self.publisher, &policy, self.persist.as_deref())?;
        match self.publisher.policy(&policy, &networks) {
            Ok(unresolved) => {
                self.hub.note(Notice::PolicyInForce {
                    zones: policy.zones.len(),
                    rules: policy.rules.len(),
                    accepts: policy.accepts.len(),
                });
                warn_of(&policy, &unresolved, &self.hub);
                self.warn_of_unmatched(&policy);
                let events = self
                    .enforcement
                    .on(enforcement::Input::Policy(&policy), monotonic());
                self.hub.publish_all(events);
                self.accept_by(&policy)?;
                self.policies.insert(self.publisher.generation(), policy);
                self.policy_loaded = SystemTime::now();
                self.reload_failure = None;
            }
            Err(error) => {
                let error = format!("{error:#}");
                self.reload_failure = Some(vec![error.clone()]);
                self.hub.note(Notice::PolicyTooLarge { error });
            }
        }
        for netns in self.host_view.order().to_vec() {
            self.watch_arrivals(netns)?;
            self.foresight(foresight::Input::Changed(netns));
        }
        Ok(())
    }

    /// Reports what of a policy matches nothing in the audited namespaces.
    pub(super) fn warn_of_unmatched(&self, policy: &Policy) {
        let namespaces = self.namespaces.values();
        let networks: Vec<_> = namespaces.map(|namespace| &namespace.network).collect();
        for warning in policy.unmatched(&networks, &self.only_enter()) {
            self.hub.note(Notice::PolicyWarning(warning.brief()));
        }
    }

    /// Reports that the policy was changed, and has errors.
    pub(super) fn keep_policy(&mut self, errors: &PolicyErrors) {
        self.reload_failure = Some(errors.lines());
        self.hub.note(Notice::PolicyWrong(errors.lines()));
    }
}

/// Reports what of a policy that is in force is probably not meant, and what of it has no effect.
pub(super) fn warn_of(policy: &Policy, unresolved: &[Unresolved], hub: &Hub) {
    for warning in &policy.warnings {
        hub.note(Notice::PolicyWarning(warning.brief()));
    }
    for Unresolved { what, why } in unresolved {
        hub.note(Notice::PolicyUnresolved {
            what: what.clone(),
            why: why.clone(),
        });
    }
}
