//! The policy that is in force across instances: the first one of an instance follows the one of the previous instance without a
//! moment in between, and what was confirmed of a policy stays confirmed of that policy.

use std::collections::BTreeMap;

use anyhow::Result;
use pinif_ebpf::enforce::until;

use crate::{
    host::{netns::NetNs, network::Network},
    kernel::{
        persist::{self, Persist},
        publish::{Publisher, Unresolved},
    },
    policy::Policy,
};

/// Puts the first policy of this instance into force. The networks are read before that: from the first packet on that it
/// judges, it knows their zones.
///
/// # Errors
///
/// When a table is full.
pub(super) fn put_into_force(
    publisher: &mut Publisher,
    policy: &Policy,
    persist: Option<&Persist>,
    namespaces: &[NetNs],
) -> Result<Vec<Unresolved>> {
    let Some(persist) = persist else {
        return publisher.policy(policy, &[]);
    };
    let mut networks = BTreeMap::new();
    if persist.takes_over() {
        persist.leave_all_but(|netns| namespaces.iter().any(|wanted| wanted.cookie == netns));
        for netns in namespaces {
            // One that cannot be read is reported when it is taken in.
            if let Ok(network) = Network::read(netns) {
                networks.insert(netns.cookie, network);
            }
        }
        if is_in_force(publisher, policy, persist) {
            publisher.goes_on();
        }
    }
    write_next(publisher, policy, Some(persist))?;
    let networks: Vec<_> = networks
        .iter()
        .map(|(&netns, network)| (netns, network))
        .collect();
    publisher.policy(policy, &networks)
}

/// Whether a previous instance has put the same policy into force.
fn is_in_force(publisher: &Publisher, policy: &Policy, persist: &Persist) -> bool {
    persist.has_policy(publisher.slot(), digest(policy))
}

/// Until when a previous instance has had this policy enforced. What was confirmed of one policy was not confirmed of another.
pub(super) fn enforced_until(
    publisher: &Publisher,
    policy: &Policy,
    persist: Option<&Persist>,
) -> u64 {
    match persist {
        Some(persist) if is_in_force(publisher, policy, persist) => publisher.enforced_until(),
        _ => until::NEVER,
    }
}

/// Writes for later instances which policy will be in force next.
///
/// # Errors
///
/// When the kernel refuses.
pub(super) fn write_next(
    publisher: &Publisher,
    policy: &Policy,
    persist: Option<&Persist>,
) -> Result<()> {
    persist.map_or(Ok(()), |persist| {
        persist.write_policy(publisher.next_slot(), digest(policy))
    })
}

/// What a policy demands, wherever it was read from.
fn digest(policy: &Policy) -> u64 {
    let unparsed = if policy.passes_unparsed { "pass" } else { "" };
    persist::digest_of(&format!("{:?}{:?}{unparsed}", policy.zones, policy.rules))
}
