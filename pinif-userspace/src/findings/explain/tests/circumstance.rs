//! Findings, by the facts in which they differ.

use std::{sync::Arc, time::SystemTime};

use pinif_ebpf::verdict::{Kind, KindSet};

use crate::findings::{
    explain::{Cause, explanation, remedy},
    finding::{Finding, FindingId, Place, Rule, SentBy},
    flow::{Endpoint, Flow},
    process::Process,
};

/// The facts of a finding, in short.
#[derive(Clone, Copy)]
pub(super) struct Circumstance<'a> {
    pub kind: Kind,
    pub also: &'a [Kind],
    pub protocol: u8,
    pub source: &'a str,
    pub destination: &'a str,
    pub origin: SentBy,
    pub process: Option<&'a str>,
    pub bound_device: Option<&'a str>,
    pub bound_address: Option<&'a str>,
    pub egress_interface: &'a str,
    pub source_owner: Option<&'a str>,
    pub contained_zone: Option<&'a str>,
    pub rule: Option<&'a str>,
    pub only_via: &'a [&'a str],
    pub only_via_interfaces: &'a [&'a str],
    pub alerts: bool,
    pub dropped: bool,
    pub causes: &'a [Cause],
}

impl<'a> Circumstance<'a> {
    /// One of which nothing else is known.
    pub const fn new(kind: Kind, egress_interface: &'a str) -> Self {
        Self {
            kind,
            also: &[],
            protocol: 17,
            source: "",
            destination: "",
            origin: SentBy::Socket,
            process: None,
            bound_device: None,
            bound_address: None,
            egress_interface,
            source_owner: None,
            contained_zone: None,
            rule: None,
            only_via: &[],
            only_via_interfaces: &[],
            alerts: false,
            dropped: false,
            causes: &[],
        }
    }

    pub fn finding(&self) -> Finding {
        let name = |name: &str| -> Arc<str> { name.into() };
        let names = |all: &[&str]| all.iter().copied().map(name).collect();
        let place = Place {
            netns: name("card"),
            interface: Some(name(self.egress_interface)),
            bound_device: self.bound_device.map(name),
            source_owner: self.source_owner.map(name),
            contained_zone: self.contained_zone.map(name),
            rule: self.rule.map(|rule| Rule {
                name: Some(name(rule)),
                only_via: names(self.only_via),
                interfaces: names(self.only_via_interfaces),
                alerts: self.alerts,
            }),
            ..Place::default()
        };
        let mut also = KindSet::default();
        self.also.iter().for_each(|&kind| also.insert(kind));
        let flow = endpoint(self.source).zip(endpoint(self.destination));
        let now = SystemTime::UNIX_EPOCH;
        Finding {
            also,
            origin: self.origin,
            dropped: self.dropped,
            bound_address: self.bound_address.and_then(|address| address.parse().ok()),
            causes: self.causes.into(),
            flow: flow.map(|(source, destination)| Flow {
                protocol: self.protocol,
                source,
                destination,
            }),
            process: self.process.map(|comm| {
                Arc::new(Process {
                    pid: Some(7),
                    started: Some(1),
                    comm: comm.to_owned(),
                    exe: None,
                    uid: 0,
                    cgroup: None,
                })
            }),
            ..Finding::new(FindingId(7), self.kind, Arc::new(place), now)
        }
    }

    pub fn explanation(&self) -> String {
        explanation(&self.finding())
    }

    pub fn remedy(&self) -> String {
        remedy(&self.finding())
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let with_port = text
        .parse::<std::net::SocketAddr>()
        .map(|end| Endpoint::new(end.ip(), Some(end.port())));
    let alone = || text.parse().map(|address| Endpoint::new(address, None));
    with_port.or_else(|_| alone()).ok()
}
