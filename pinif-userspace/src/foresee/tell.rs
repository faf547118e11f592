//! The words of what is foreseen.

use std::{collections::HashMap, net::SocketAddr, time::SystemTime};

use pinif_ebpf::verdict::{Kind, KindSet, Severity};

use super::{
    Event,
    ask::name,
    judge::{Judge, Worse},
};
use crate::{
    findings::{
        explain::Route as Described,
        finding::{Direction, Finding, FindingId, Origin, endpoint_text, protocol_text, time_text},
        samples::Samples,
    },
    host::{network::Network, routes::RouteOracle},
    policy::{Rule, evaluate::rule_of},
    survey::{Leaves, sends::routed},
};

/// What is known when it is told.
pub(super) struct Words<'a> {
    pub judge: &'a Judge<'a>,
    pub event: &'a Event,
    /// The network after the event.
    pub network: &'a Network,
    /// Its routes.
    pub oracle: &'a mut RouteOracle,
    /// Those that were told already, by the places of their questions.
    pub routes: HashMap<usize, String>,
}

impl Words<'_> {
    /// The finding of what would be worse.
    pub fn finding(&mut self, worse: &Worse<'_>) -> Finding {
        let owned = &self.judge.sockets[worse.sending.socket];
        let (original, socket) = (self.judge.original, &owned.socket);
        let end = |end: SocketAddr| endpoint_text(end.ip(), (!socket.raw).then_some(end.port()));
        let key = format!(
            "{} {} {}",
            self.event, original.netns.cookie.0, socket.cookie.0
        );
        let destination = match worse.sending.network {
            Some(network) => match worse.sending.packet.destination_port {
                0 => network.to_string(),
                port => format!("{network} port {port}"),
            },
            None => end(socket.remote),
        };
        let rule = self.rule(worse).map(|rule| rule.name.clone());
        let mut finding = Finding {
            id: FindingId::of(key.as_bytes()).to_string(),
            time: time_text(SystemTime::now()),
            kind: worse.kind,
            severity: Severity::Risk,
            rule,
            netns: original.netns.name.clone(),
            direction: Direction::Out,
            bound_device: socket.device.map(|device| name(&original.network, device)),
            bound_address: None,
            egress_interface: name(self.network, worse.after.output),
            protocol: protocol_text(socket.protocol),
            source: end(socket.local),
            destination,
            packets: 0,
            bytes: 0,
            socket_cookie: Some(socket.cookie.0),
            process: owned.holder().cloned(),
            subject: None,
            samples: Samples::default(),
            cause: self.route(worse),
            explanation: String::new(),
            remedy: String::new(),
            origin: Origin::Socket,
            dropped: false,
        };
        finding.explanation = self.explanation(worse, &finding);
        finding.remedy = self.remedy(worse, &finding);
        finding
    }

    /// The rule that would be broken.
    fn rule(&self, worse: &Worse<'_>) -> Option<&Rule> {
        let number = rule_of(&worse.decision)?;
        KindSet::OF_RULES
            .contains(worse.kind)
            .then(|| &self.judge.policy.rules[number])
    }

    /// The route that it would fall to.
    fn route(&mut self, worse: &Worse<'_>) -> String {
        if let Some(told) = self.routes.get(&worse.sending.question) {
            return told.clone();
        }
        let told = self.ask(worse);
        self.routes.insert(worse.sending.question, told.clone());
        told
    }

    fn ask(&mut self, worse: &Worse<'_>) -> String {
        let socket = &self.judge.sockets[worse.sending.socket].socket;
        let packet = &worse.sending.packet;
        let to = SocketAddr::new(packet.destination.ip(), packet.destination_port);
        let query = Leaves::query(socket, to);
        match self.oracle.choose(&query, &self.network.links) {
            Ok(choice) => Described::chosen(&choice, &self.network.links).to_string(),
            Err(error) => error.to_string(),
        }
    }

    fn explanation(&self, worse: &Worse<'_>, finding: &Finding) -> String {
        let who = match &finding.process {
            Some(process) => format!("{}'s socket", process.comm),
            None => "A socket of no known process".to_owned(),
        };
        let what = format!("{} to {}", finding.protocol, finding.destination);
        let now = match worse.before {
            Some(way) => format!(
                "{what} by {} now",
                name(&self.judge.original.network, way.output)
            ),
            None => format!("no {what} now"),
        };
        let egress = &finding.egress_interface;
        let (event, why) = (self.event, self.why(worse, egress));
        format!("{who} sends {now}. With {event}, it would leave by {egress}{why}.")
    }

    /// What is wrong with that.
    fn why(&self, worse: &Worse<'_>, egress: &str) -> String {
        match (worse.kind, self.rule(worse)) {
            (Kind::PolicyEscape, Some(rule)) => {
                let zones = rule.only_via.iter();
                let zones: Vec<_> = zones
                    .map(|&zone| &*self.judge.policy.zones[zone].name)
                    .collect();
                format!(
                    ", and rule {} lets it leave by {} alone",
                    rule.name,
                    zones.join(", ")
                )
            }
            (Kind::Unpinned, Some(rule)) => {
                format!(", and rule {} demands a bound device", rule.name)
            }
            (Kind::AddressEscape, _) => {
                let owner = name(self.network, worse.decision.source_owner);
                let source = routed(&worse.sending.packet, worse.after).source;
                format!(" with {}, an address of {owner} alone", source.ip())
            }
            (Kind::DeviceEscape, _) => {
                format!(", although it is bound to another, and {egress} carries nothing for that")
            }
            _ => String::new(),
        }
    }

    fn remedy(&self, worse: &Worse<'_>, finding: &Finding) -> String {
        let egress = &finding.egress_interface;
        match (&finding.bound_device, worse.before, self.rule(worse)) {
            (Some(device), _, Some(rule)) => format!(
                "let rule {} allow {egress}, or bind the socket to another device than {device}",
                rule.name
            ),
            (None, Some(way), _) => format!(
                "bind the socket to {} with SO_BINDTODEVICE: a bound socket leaves by no other interface",
                name(&self.judge.original.network, way.output)
            ),
            (_, _, Some(rule)) => format!(
                "bind the socket to an interface that rule {} allows, with SO_BINDTODEVICE",
                rule.name
            ),
            _ => format!(
                "give {} a route by another interface than {egress}",
                finding.destination
            ),
        }
    }
}
