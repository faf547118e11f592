//! The session that pinif is run from, and whether a policy that is enforced would drop it: its connections are those that
//! an ancestor process of pinif holds, for sudo(8) strips the environment, and the one that `SSH_CONNECTION` names (ssh(1)).

use std::{
    collections::HashSet,
    fmt,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result};
use pinif_ebpf::{
    enforce::Action,
    key::IfIndex,
    verdict::{Decision, Direction, Kind, arrival::reply_to},
};

use crate::{
    host::{
        netns::NetNs,
        network::Network,
        processes,
        routes::RouteOracle,
        socket_options::accepted_by,
        sockets::{self, DiagSocket},
    },
    policy::{
        Policy, Rule,
        evaluate::{InForce, Surroundings, rule_of},
    },
    survey::{
        self, Leaves, Owned,
        sends::{SocketSender, packet, senders},
    },
    text::escape::visible,
};

/// A connection of the session that a policy would drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Whose connection it is, and its ends: `sshd's (pid 812) connection from 10.0.0.1:22 to 198.51.100.7:50022`.
    pub connection: String,
    /// The interface that it leaves via, or arrives on.
    pub interface: String,
    /// Its network namespace.
    pub netns: String,
    /// What would be wrong.
    pub kind: Kind,
    /// The rule that would be broken.
    pub rule: Option<String>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (connection, interface) = (&self.connection, visible(&self.interface));
        let kind = self.kind.name();
        let does = match self.kind.row().direction {
            Direction::Ingress => "arrives on",
            Direction::Egress | Direction::Unseen => "leaves via",
        };
        let a = if self.kind == Kind::IngressEscape {
            "an"
        } else {
            "a"
        };
        write!(f, "{connection} {does} {interface}, which is {a} {kind}")?;
        match &self.rule {
            Some(rule) => write!(f, " under the rule {}", visible(rule)),
            None => Ok(()),
        }
    }
}

/// What fixes it, for the end of a sentence: a rule that alerts spares what breaks rules alone.
fn fix(cuts: &[Cut]) -> String {
    let action = if cuts.iter().all(|cut| cut.rule.is_some()) {
        "alert"
    } else {
        "allow"
    };
    format!(
        "change the policy, or put a rule with `action = \"{action}\"` for this connection above"
    )
}

/// That a policy would drop the session, in these namespaces, if it were enforced: a sentence without its end. Nothing, where
/// it would not.
///
/// # Errors
///
/// Where a namespace cannot be looked into.
pub fn objection(policy: &Policy, namespaces: &[NetNs]) -> Result<Option<String>> {
    let cuts = check(policy, namespaces)?;
    let texts: Vec<_> = cuts.iter().map(Cut::to_string).collect();
    Ok((!texts.is_empty()).then(|| {
        format!(
            "would drop the session that pinif is run from: {}; {}",
            texts.join("; "),
            fix(&cuts)
        )
    }))
}

/// The connections of the session in these namespaces that a policy would drop.
///
/// # Errors
///
/// Where a namespace cannot be looked into.
pub fn check(policy: &Policy, namespaces: &[NetNs]) -> Result<Vec<Cut>> {
    let in_force = InForce::new(policy);
    let family = Family::of_this_process();
    let mut cuts = Vec::new();
    for netns in namespaces {
        let mut sockets = sockets::list(netns).with_context(|| unreadable("sockets", netns))?;
        sockets.retain(|socket| is_connected(socket) && family.has(socket));
        if sockets.is_empty() {
            continue;
        }
        let network = Network::read(netns).with_context(|| unreadable("interfaces", netns))?;
        sockets.retain(|socket| is_elsewhere(socket.remote.ip(), &network));
        let sockets = survey::with_owners(sockets);
        let surroundings = Surroundings::of(&network, policy);
        let mut oracle = RouteOracle::open(netns).context("routes cannot be asked for")?;
        for (owned, sender) in sockets.iter().zip(senders(&sockets, &in_force)) {
            let query = Leaves::query(&owned.socket, owned.socket.remote);
            // What has no route is not dropped by a policy.
            let Ok(Some(way)) = oracle.way(&query) else {
                continue;
            };
            let socket_sender = SocketSender {
                owned,
                sender: &sender,
            };
            let sent = packet(&owned.socket, owned.socket.remote);
            let leaves = socket_sender.verdict(&sent, way, &in_force, &surroundings);
            let by = arrives_by(owned).unwrap_or(way.output);
            let arrives = in_force.judge_arrival(&reply_to(&sent), by, &sender, &surroundings);
            let cut =
                [(leaves, way.output), (arrives, by)]
                    .into_iter()
                    .find_map(|(decision, at)| {
                        let kind = dropped(&decision, policy)?;
                        Some(Cut {
                            connection: connection(owned),
                            interface: network.links.get(at)?.name.clone(),
                            netns: netns.name.clone(),
                            kind,
                            rule: broken(&decision, policy).map(|rule| rule.name.clone()),
                        })
                    });
            cuts.extend(cut);
        }
    }
    Ok(cuts)
}

fn unreadable(what: &str, netns: &NetNs) -> String {
    format!(
        "the {what} of the network namespace {} cannot be read",
        netns.name
    )
}

/// The kind for which it is dropped; the gravest, where there are several.
fn dropped(decision: &Decision, policy: &Policy) -> Option<Kind> {
    let rule = rule_of(decision).and_then(|number| policy.rules.get(number));
    let action = rule.map_or(Action::Unsaid, |rule| rule.action);
    let finding = decision.finding();
    finding
        .filter(|_| decision.is_dropped(action) || decision.is_kept_out(action))
        .map(|(kind, _)| kind)
}

/// The interface that its packets arrive by, as far as that is known: of a connection that was accepted.
fn arrives_by(owned: &Owned) -> Option<IfIndex> {
    accepted_by(owned.socket.inode, owned.holder()?.id()?)
}

/// The rule that is broken, and says what becomes of it. What arrives may break one, and be of a contained zone besides.
fn broken<'p>(decision: &Decision, policy: &'p Policy) -> Option<&'p Rule> {
    let (kind, _) = decision.finding()?;
    let is_of_zone = kind == Kind::IngressEscape && decision.source_owner.is_some();
    let rule = policy.rules.get(rule_of(decision)?);
    rule.filter(|_| kind.row().is_of_rule && !is_of_zone)
}

/// Whether it is a TCP connection, as sessions are.
fn is_connected(socket: &DiagSocket) -> bool {
    let peer = socket.remote.ip();
    i32::from(socket.protocol) == libc::IPPROTO_TCP && !socket.raw && !peer.is_unspecified()
}

fn is_elsewhere(peer: IpAddr, network: &Network) -> bool {
    let mut own = network.addresses.iter();
    own.all(|own| own.address != peer) && !network.is_of_loopback(peer)
}

fn connection(owned: &Owned) -> String {
    let whose = match owned.holder() {
        Some(process) => format!("{}'s ({})", visible(&process.comm), process.number()),
        None => "the session's".to_owned(),
    };
    let DiagSocket { local, remote, .. } = owned.socket;
    format!("{whose} connection from {local} to {remote}")
}

/// What the session's sockets are known by.
struct Family {
    inodes: HashSet<u64>,
    /// The session's two ends, its own first.
    named: Option<(SocketAddr, SocketAddr)>,
}

impl Family {
    fn of_this_process() -> Self {
        let named = std::env::var("SSH_CONNECTION").ok();
        Self {
            inodes: processes::ancestors()
                .into_iter()
                .flat_map(processes::sockets_of)
                .collect(),
            named: named.as_deref().and_then(ends),
        }
    }

    fn has(&self, socket: &DiagSocket) -> bool {
        self.inodes.contains(&socket.inode) || self.named == Some((socket.local, socket.remote))
    }
}

/// The server's end and the client's, of `CLIENT PORT SERVER PORT`.
fn ends(text: &str) -> Option<(SocketAddr, SocketAddr)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [client, client_port, server, server_port] = words[..] else {
        return None;
    };
    let end = |address: &str, port: &str| {
        // Of a link-local address, the interface follows.
        let address = address.split('%').next()?;
        let address: IpAddr = address.parse().ok()?;
        Some(SocketAddr::new(address.to_canonical(), port.parse().ok()?))
    };
    Some((end(server, server_port)?, end(client, client_port)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_session_are_read_as_ssh_writes_them() {
        let both = |text: &str| ends(text).map(|(own, peer)| format!("{own} {peer}"));
        assert_eq!(
            both("198.51.100.7 50022 10.0.0.1 22").as_deref(),
            Some("10.0.0.1:22 198.51.100.7:50022")
        );
        assert_eq!(
            both("fe80::2%eth1 50022 fe80::1%eth1 22").as_deref(),
            Some("[fe80::1]:22 [fe80::2]:50022")
        );
        for text in [
            "",
            "198.51.100.7 50022 10.0.0.1",
            "UNKNOWN 65535 UNKNOWN 65535",
            "a b c d",
        ] {
            assert_eq!(both(text), None, "{text}");
        }
    }
}
