//! What is foreseen, as facts.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::SystemTime};

use anyhow::Result;
use pinif_ebpf::{enforce::Action, verdict::Severity};

use super::{
    ask::name,
    event::Event,
    judge::{Judge, Worse},
};
use crate::{
    findings::{
        explain::{Cause, CauseKind, Route},
        finding::{Finding, FindingId, Place, Rule},
        flow::{Endpoint, Flow},
        latent::Latent,
        shared::Shared,
    },
    host::{network::Network, routes::RouteOracle},
    policy::evaluate::rule_of,
    survey::{Leaves, sends::routed},
};

/// The findings of what an event, after which the network is this one, makes worse.
///
/// # Errors
///
/// Where routes cannot be asked for.
pub(super) fn latents(
    judge: &Judge<'_>,
    event: &Event,
    network: &Network,
    oracle: &mut RouteOracle,
) -> Result<Vec<Latent>> {
    let worse = judge.worse(network, oracle)?;
    let mut facts = Facts {
        judge,
        event,
        network,
        oracle,
        routes: HashMap::new(),
        shared: Shared::default(),
    };
    Ok(worse.iter().map(|worse| facts.latent(worse)).collect())
}

/// What is known when something is foreseen.
struct Facts<'a> {
    judge: &'a Judge<'a>,
    event: &'a Event,
    /// The network after the event.
    network: &'a Network,
    /// Its routes.
    oracle: &'a mut RouteOracle,
    /// Those that were asked for already, by the places of their questions.
    routes: HashMap<usize, Arc<[Cause]>>,
    /// What the findings of one event share.
    shared: Shared,
}

impl Facts<'_> {
    /// The finding of what would be worse.
    fn latent(&mut self, worse: &Worse<'_>) -> Latent {
        let owned = &self.judge.sockets[worse.sending.socket];
        let (original, socket) = (self.judge.original, &owned.socket);
        let key = format!(
            "{} {} {}",
            self.event, original.netns.cookie.0, socket.cookie.0
        );
        let end = |end: SocketAddr| Endpoint::new(end.ip(), (!socket.raw).then_some(end.port()));
        let packet = &worse.sending.packet;
        let port = Some(packet.destination_port).filter(|&port| port != 0);
        let now = worse.before.iter();
        let now = now.map(|way| name(&original.network, way.output));
        let source = routed(packet, worse.after).source.ip();
        let finding = Finding {
            severity: Severity::Risk,
            also: worse.decision.also,
            causes: self.causes(worse),
            flow: Some(Flow {
                protocol: socket.protocol,
                source: end(socket.local),
                destination: end(socket.remote),
            }),
            socket: Some(socket.cookie),
            process: owned
                .holder()
                .map(|process| self.shared.processes.one(process.clone())),
            ..Finding::new(
                FindingId::of(key.as_bytes()),
                worse.kind,
                self.place(worse),
                SystemTime::now(),
            )
        };
        Latent {
            finding,
            condition: self.event.to_string(),
            is_closed: owned.is_closed(),
            now: now
                .map(|interface| self.shared.names.one(interface))
                .collect(),
            source: Some(source),
            network: worse.sending.network.map(|network| (network, port)),
        }
    }

    fn place(&mut self, worse: &Worse<'_>) -> Arc<Place> {
        let original = self.judge.original;
        let socket = &self.judge.sockets[worse.sending.socket].socket;
        let owner = worse.decision.source_owner;
        let names = &mut self.shared.names;
        let place = Place {
            // What is foreseen has an id of one run.
            boot: None,
            netns: names.one(original.netns.name.as_str()),
            enter: self.judge.enter.clone(),
            interface: Some(names.one(name(self.network, worse.after.output))),
            bound_device: socket
                .device
                .map(|device| names.one(name(&original.network, device))),
            source_owner: owner
                .is_some()
                .then(|| names.one(name(self.network, owner))),
            contained_zone: None,
            contained_interface: None,
            rule: self.rule(worse),
        };
        self.shared.places.one(place)
    }

    /// The rule that would be broken, by its kind or by another that holds as well.
    fn rule(&mut self, worse: &Worse<'_>) -> Option<Rule> {
        let policy = self.judge.policy;
        let number = rule_of(&worse.decision)?;
        let rule = &policy.rules[number];
        let names = &mut self.shared.names;
        let zones = rule.only_via.iter();
        let links = self.judge.original.network.links.iter();
        let allowed = links.filter(|link| policy.allows(number, &link.name));
        Some(Rule {
            name: Some(names.one(rule.name.as_str())),
            only_via: zones
                .map(|&zone| names.one(policy.zones[zone].name.as_str()))
                .collect(),
            interfaces: allowed.map(|link| names.one(link.name.as_str())).collect(),
            alerts: rule.action == Action::Alert,
        })
    }

    /// The route that it would fall to.
    fn causes(&mut self, worse: &Worse<'_>) -> Arc<[Cause]> {
        let question = worse.sending.question;
        if let Some(known) = self.routes.get(&question) {
            return Arc::clone(known);
        }
        let cause = self.ask(worse);
        let causes = self.shared.causes.one(vec![cause]);
        self.routes.insert(question, Arc::clone(&causes));
        causes
    }

    fn ask(&mut self, worse: &Worse<'_>) -> Cause {
        let socket = &self.judge.sockets[worse.sending.socket].socket;
        let packet = &worse.sending.packet;
        let to = SocketAddr::new(packet.destination.ip(), packet.destination_port);
        let query = Leaves::query(socket, to);
        Cause::certain(match self.oracle.choose(&query, &self.network.links) {
            Ok(choice) => CauseKind::Route(Route::chosen(&choice, &self.network.links)),
            Err(error) => CauseKind::NoRoute(error.to_string()),
        })
    }
}
