//! The state of the machine at the first sighting, in which the causes of a finding are looked for.

use std::{net::IpAddr, sync::Arc};

use pinif_ebpf::key::IfIndex;

use super::decode::Sighted;
use crate::{
    host::{
        conntrack::{Tracked, Tuple},
        entrance::Entrance,
        links::Link,
        mptcp::Endpoint,
        namespaces::Enter,
        neighbours::Unanswered,
        network::Network,
        nft::NftRule,
        routes::{Choice, Route, RouteError, RouteQuery},
        running::Runs,
        socket_options::NamedInterfaces,
    },
    policy::Policy,
};

/// The kernel's answer to where a packet would go, and the rule that led there.
pub type LookUp<'a> = dyn FnMut(&RouteQuery) -> Result<Choice, RouteError> + 'a;

/// What the causes of a finding are looked for in.
pub struct Scene<'a> {
    /// The namespace's name.
    pub netns: &'a str,
    /// What leads a shell to it.
    pub enter: &'a Enter,
    /// The namespace's interfaces and addresses.
    pub network: &'a Network,
    /// The policy that the packet was judged by.
    pub policy: &'a Policy,
    /// The name of an interface of the namespace, also of one that is gone.
    pub name: &'a dyn Fn(IfIndex) -> String,
    /// What the kernel lets in by an interface of this name.
    pub entrance: &'a dyn Fn(&str) -> Option<Entrance>,
    /// Whether an interface of this name runs by now; nothing where that is not known.
    pub runs: &'a dyn Fn(&str) -> Option<Runs>,
    /// How a neighbour on an interface does not answer, as the kernel has it now; nothing where it does, or where nobody asked it.
    pub silent: &'a dyn Fn(IfIndex, IpAddr) -> Option<Unanswered>,
    /// What the kernel's connection tracking says of a packet.
    pub tracked: &'a dyn Fn(&Tuple) -> Option<Tracked>,
    /// The rules of nftables that mark or redirect; none where they are not known yet ([`with_rules`](super::cause::with_rules)).
    pub nft: &'a dyn Fn() -> Arc<[NftRule]>,
    /// The groups that programs have joined on an interface of this name.
    pub groups: &'a dyn Fn(&str) -> Vec<IpAddr>,
    /// The endpoints of Multipath TCP's path manager.
    pub endpoints: &'a dyn Fn() -> Vec<Endpoint>,
    /// The routes whose outer packets go to an address (`encap`).
    pub encapsulating: &'a dyn Fn(IpAddr) -> Arc<[Route]>,
    /// The interfaces that the options of the packet's socket name; nothing where it cannot be asked any more.
    pub options: &'a dyn Fn() -> Option<NamedInterfaces>,
    /// Whether the packet's process serves at this port of TCP: what it sends from there answers whoever connected.
    pub serves: &'a dyn Fn(u16) -> bool,
    /// The names of interfaces that were there, and are there no more.
    pub gone: &'a [String],
}

impl Scene<'_> {
    /// The interfaces of the zones that the rule allows which decided, if one did.
    pub fn allowed(&self, sighted: &Sighted) -> Vec<&Link> {
        let links = self.network.links.iter();
        links
            .filter(|link| self.allows(sighted, &link.name))
            .collect()
    }

    /// Whether the rule that decided allows an interface of this name.
    pub(super) fn allows(&self, sighted: &Sighted, name: &str) -> bool {
        let rule = sighted.rule;
        rule.is_some_and(|rule| self.policy.allows(rule, name))
    }
}
