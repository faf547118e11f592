//! All that is foreseen: what would be a finding if something happened. It is reported once while it holds; what comes of
//! a namespace being foreseen anew goes back to the caller.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;
use pinif_ebpf::{
    key::{NetNsCookie, SocketCookie},
    verdict::{Kind, Severity},
};

use super::finding::{Finding, FindingId};

/// A finding of what has not happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latent {
    /// What it would be, of severity `risk`, without packets.
    pub finding: Finding,
    /// What would have to happen: `fab0 down`.
    pub condition: String,
    /// Whether its socket is closed: another like it is meant, which its program may make.
    pub is_closed: bool,
    /// The interface that such packets leave by now, if there is one; several, where each flow takes one of a route's next hops.
    pub now: Vec<Arc<str>>,
    /// The source address that they would have, where that is what is wrong.
    pub source: Option<IpAddr>,
    /// The network that they go to, where it is a rule's, and the port if it is one port's. Otherwise the finding's own
    /// destination is meant.
    pub network: Option<(IpNet, Option<u16>)>,
}

impl Latent {
    /// Where the packets go.
    pub fn destination(&self) -> String {
        match self.network {
            Some((network, None)) => network.to_string(),
            Some((network, Some(port))) => format!("{network} port {port}"),
            None => self.finding.destination(),
        }
    }
}

/// What distinguishes one from others: what would happen to whom, and what would come of it.
type Key = (
    NetNsCookie,
    String,
    Option<SocketCookie>,
    Kind,
    Option<String>,
    String,
);

/// All that was foreseen in a run.
#[derive(Debug, Default)]
pub struct Foreseen {
    holds: BTreeMap<Key, Latent>,
    reported: u64,
    worst: Option<Severity>,
}

/// What holds of what was foreseen: the first of it, by what would have to happen, and how much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The first of it.
    pub first: Vec<Latent>,
    /// How much there is in all.
    pub total: u64,
}

/// What is other than it was.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What holds from now on.
    pub new: Vec<Latent>,
    /// What held until now.
    pub gone: Vec<Latent>,
}

impl Foreseen {
    /// Takes all that is foreseen in a namespace now.
    pub fn take(&mut self, netns: NetNsCookie, all: Vec<Latent>) -> Changes {
        let mut changes = Changes::default();
        let mut now = BTreeSet::new();
        for mut latent in all {
            let key = key(netns, &latent);
            if !now.insert(key.clone()) || self.holds.contains_key(&key) {
                continue;
            }
            self.reported += 1;
            self.worst = self.worst.max(Some(latent.finding.severity));
            // It may have held before: then it is another finding.
            let number = format!("{} {}", latent.finding.id, self.reported);
            latent.finding.id = FindingId::of(number.as_bytes());
            self.holds.insert(key, latent.clone());
            changes.new.push(latent);
        }
        let gone = |key: &Key| key.0 == netns && !now.contains(key);
        let keys: Vec<Key> = self.holds.keys().filter(|key| gone(key)).cloned().collect();
        changes.gone = keys
            .iter()
            .filter_map(|key| self.holds.remove(key))
            .collect();
        changes
    }

    /// What holds now, at most so much of it.
    pub fn holding(&self, most: usize) -> Holding {
        Holding {
            first: self.holds.values().take(most).cloned().collect(),
            total: self.holds.len() as u64,
        }
    }

    /// How many were reported.
    pub fn reported(&self) -> u64 {
        self.reported
    }

    /// The gravest that was reported, whether it still holds or not.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }
}

fn key(netns: NetNsCookie, latent: &Latent) -> Key {
    let Latent {
        finding, condition, ..
    } = latent;
    (
        netns,
        condition.clone(),
        finding.socket,
        finding.kind,
        finding.rule().map(str::to_owned),
        finding.egress_interface().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::findings::finding::Place;

    const CARD: NetNsCookie = NetNsCookie(1);

    fn latent(condition: &str, socket: u64, egress: &str) -> Latent {
        let place = Place {
            interface: Some(egress.into()),
            ..Place::default()
        };
        let id = FindingId(socket);
        let kind = Kind::PolicyEscape;
        Latent {
            finding: Finding {
                severity: Severity::Risk,
                socket: Some(SocketCookie(socket)),
                ..Finding::new(id, kind, Arc::new(place), SystemTime::UNIX_EPOCH)
            },
            condition: condition.to_owned(),
            is_closed: false,
            now: Vec::new(),
            source: None,
            network: None,
        }
    }

    fn sockets(all: &[Latent]) -> Vec<u64> {
        all.iter()
            .filter_map(|latent| Some(latent.finding.socket?.0))
            .collect()
    }

    #[test]
    fn what_holds_is_reported_once_and_what_comes_again_is_another() {
        let mut foreseen = Foreseen::default();
        let first = latent("fab0 down", 1, "eth1");
        let other = latent("fab0 down", 2, "eth1");
        let before = foreseen.take(CARD, vec![first.clone(), other.clone(), first.clone()]);
        assert_eq!((sockets(&before.new), before.gone), (vec![1, 2], vec![]));
        assert_eq!(
            foreseen.take(CARD, vec![other.clone(), first.clone()]),
            Changes::default()
        );

        let changes = foreseen.take(CARD, vec![other.clone()]);
        assert_eq!((changes.new, sockets(&changes.gone)), (vec![], vec![1]));
        let again = foreseen.take(CARD, vec![other.clone(), first]);
        assert_eq!(sockets(&again.new), [1]);
        assert_ne!(again.new[0].finding.id, before.new[0].finding.id);
        assert_eq!(
            (foreseen.reported(), foreseen.worst()),
            (3, Some(Severity::Risk))
        );
    }

    #[test]
    fn another_interface_is_another_finding_and_other_namespaces_stay() {
        let mut foreseen = Foreseen::default();
        foreseen.take(CARD, vec![latent("fab0 down", 1, "eth1")]);
        foreseen.take(NetNsCookie(2), vec![latent("fab0 down", 1, "eth1")]);
        let changes = foreseen.take(CARD, vec![latent("fab0 down", 1, "eth2")]);
        assert_eq!(
            (sockets(&changes.new), sockets(&changes.gone)),
            (vec![1], vec![1])
        );
        let holding = foreseen.holding(1);
        assert_eq!((sockets(&holding.first), holding.total), (vec![1], 2));
        assert_eq!(sockets(&foreseen.take(NetNsCookie(2), vec![]).gone), [1]);
        assert_eq!(foreseen.reported(), 3);
        assert_eq!(foreseen.holding(9).total, 1);
    }
}
