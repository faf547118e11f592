//! Looks for what cannot be seen, and for what the host's state shows by itself, as [`Gaps`](super::gaps::Gaps) asks: here the host and the
//! kernel are asked, and here it is reported.

use std::{collections::VecDeque, fmt::Display, time::Instant};

use pinif_ebpf::{bypass::Bypass, intent::Owner};

use super::{
    audit::{Audit, Namespace},
    gaps::{Audited, Detected, Input, Listed, Look, Looked, Output, Unknown},
    key::Key,
    moment::Moment,
};
use crate::{
    findings::{
        enrich,
        gaps::{self, Gap, GapKey, GapSource},
    },
    host::{
        arp_flux,
        gaps::{Detector, netconsole, pktgen, sockets, xdp},
        namespaces::Enter,
        netns::HOST,
    },
    hub::{Change, Notice},
    kernel::attach::CgroupHooks,
};

impl Audit {
    /// Takes sockets that are about to bypass TC egress.
    pub(super) fn on_bypasses(&mut self, mut sockets: Vec<Bypass>) {
        sockets.retain(|socket| self.namespaces.contains_key(&socket.netns));
        self.on_gaps(Input::Bypassing(sockets));
    }

    /// Gives the gaps an input, and does what is to be done.
    pub(super) fn on_gaps(&mut self, input: Input) {
        let mut outputs = VecDeque::from(self.gaps.on(input, Instant::now()));
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Look(look) => {
                    let looked = Input::Looked(self.look_for_gaps(look));
                    outputs.extend(self.gaps.on(looked, Instant::now()));
                }
                Output::Gap {
                    gap,
                    owner,
                    has_grown,
                } => self.report_gap(*gap, owner, has_grown),
                Output::SendsBack {
                    netns,
                    interface,
                    program,
                } => {
                    let interface = self.names.interface(netns, interface);
                    self.hub.note(Notice::XdpProgram { interface, program });
                }
            }
        }
        if self.gaps.has_bypassing() {
            // Where it is bound to is looked at on time.
            self.on_change();
        }
    }

    /// Reports a gap, unless it was; one that has grown is reported again later.
    pub(super) fn report_gap(&mut self, mut gap: Gap, owner: Option<Owner>, has_grown: bool) {
        let key = Key::Gap(gap.key.clone());
        let now = Moment::now();
        if self.ledger.contains(&key) {
            if has_grown {
                self.ledger.grown(&key, now);
            } else {
                self.ledger.found_again(&key, now);
            }
            return;
        }
        gap.process = owner.and_then(|owner| enrich::owner(&owner));
        let GapKey {
            netns, interface, ..
        } = gap.key;
        let predecessors = interface.map(|index| self.names.predecessors(netns, index));
        let id = gap.key.finding_id(predecessors.unwrap_or_default());
        let name = match &gap.key.source {
            GapSource::Namespace(name) => name.clone(),
            _ => self.names.namespace(netns),
        };
        let interface = interface.map(|index| self.names.interface(netns, index));
        let mut finding = gaps::finding(gap, id, name, interface, now.wall, &mut self.shared);
        let namespace = self.namespaces.get_mut(&netns);
        let enter = namespace.map(|namespace| namespace.enter(finding.netns()));
        self.shared.amend_place(&mut finding, |place, _| {
            place.enter = enter.unwrap_or(Enter::Nothing);
        });
        finding.accepted = self.accepted(&key, &finding);
        let sighted = self
            .ledger
            .sighted(key.clone(), finding, now, now.monotonic);
        if let Some(finding) = sighted {
            self.show(Some(&key), finding, Change::Opened);
        }
    }

    fn look_for_gaps(&mut self, look: Look) -> Looked {
        let mut bypassing = Vec::new();
        self.bypasses.drain(|socket| bypassing.push(socket));
        // Who asks from here on is reported.
        let sockets = self
            .await_bypasses()
            .map_err(|error| format!("{error:#}"))
            .and_then(|()| self.list_sockets());
        let mut detected = Vec::new();
        if look.all {
            for (&netns, namespace) in &self.namespaces {
                let is_host = self.names.namespace(netns) == HOST;
                detect(namespace, is_host, &mut |found| {
                    detected.push((netns, found));
                });
            }
        }
        Looked {
            look,
            audited: self.audited_interfaces(),
            bypassing,
            sockets,
            detected,
        }
    }

    /// The sockets of audited namespaces that may bypass, each asked.
    fn list_sockets(&mut self) -> Result<Vec<Listed>, String> {
        let hooks = self.hooks.get(&mut self.following.entries);
        let listed = hooks
            .and_then(CgroupHooks::bypassing)
            .map_err(|error| format!("{error:#}"))?;
        let here = |socket: &Bypass| self.namespaces.contains_key(&socket.netns);
        let mut listed: Vec<_> = listed.into_iter().filter(here).collect();
        for namespace in self.namespaces.values() {
            let netns = namespace.hooks.netns();
            let unlisted = sockets::unlisted(netns, &listed).map_err(|error| error.to_string())?;
            listed.extend(unlisted);
        }
        let asked = listed.into_iter().map(|socket| Listed {
            state: sockets::state(&socket).map_err(|error| error.to_string()),
            socket,
        });
        Ok(asked.collect())
    }

    fn audited_interfaces(&self) -> Audited {
        let interfaces = |namespace: &Namespace| {
            let links = &namespace.network.links;
            let is_loopback = |index| links.get(index).is_some_and(|link| link.loopback);
            let audited = namespace.hooks.interfaces();
            audited.filter(|index| !is_loopback(*index)).collect()
        };
        let namespaces = self.namespaces.iter();
        namespaces
            .map(|(&netns, namespace)| (netns, interfaces(namespace)))
            .collect()
    }
}

/// Looks for what is no socket in a namespace.
fn detect(namespace: &Namespace, is_host: bool, found: &mut impl FnMut(Result<Detected, Unknown>)) {
    let netns = namespace.hooks.netns();
    for ahead in namespace.hooks.ahead() {
        let ahead = ahead.map(|(interface, what)| Detected::Ahead(interface, what.to_string()));
        found(ahead.map_err(unknown(Detector::Ahead)));
    }
    for program in xdp::programs(netns) {
        let program = program.map(Detected::Xdp);
        found(program.map_err(unknown(Detector::XdpPrograms)));
    }
    match arp_flux::find(netns, &namespace.network) {
        Ok(all) => all
            .into_iter()
            .for_each(|flux| found(Ok(Detected::ArpFlux(Box::new(flux))))),
        Err(error) => found(Err(unknown(Detector::ArpFlux)(error))),
    }
    let mut generators = |what, devices: Vec<_>, detected: fn(_) -> Detected| {
        for device in devices {
            let device: Result<String, _> = device;
            // One that was renamed since is found at the next look.
            let of_device = |name: String| namespace.network.links.by_name(&name);
            match device.map(of_device) {
                Ok(link) => link
                    .into_iter()
                    .for_each(|link| found(Ok(detected(link.index)))),
                Err(error) => found(Err(unknown(what)(error))),
            }
        }
    };
    generators(Detector::Pktgen, pktgen::devices(netns), Detected::Pktgen);
    if is_host {
        let devices = netconsole::devices();
        generators(Detector::Netconsole, devices, Detected::Netconsole);
    }
}

fn unknown<E: Display>(what: Detector) -> impl Fn(E) -> Unknown {
    move |error| Unknown {
        what,
        error: error.to_string(),
    }
}
