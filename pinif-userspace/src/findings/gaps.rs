//! Findings that come from no packet: what cannot be seen (`unaudited`), and what the state of the host shows by itself (`arp-flux`).

use std::time::SystemTime;

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie, SocketCookie},
    subject::SubjectKey,
    verdict::Kind,
};

use super::{
    explain::{Cause, CauseKind},
    finding::{Finding, FindingId, Place, SentBy},
    process::Process,
    removal::Part,
    shared::Shared,
    subject,
};
use crate::host::gaps::{Detector, sockets::BypassMethod};

/// A gap in what is seen, or what was found beside the packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What distinguishes it from others.
    pub key: GapKey,
    /// Why it is one.
    pub cause: CauseKind,
    /// The process that sends by it.
    pub process: Option<Process>,
    /// The socket that sends by it.
    pub socket: Option<SocketCookie>,
}

/// What distinguishes one gap from another: never a socket, since a program that opens a thousand has one fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GapKey {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The interface; none where it may be any.
    pub interface: Option<IfIndex>,
    /// What makes the gap there.
    pub source: GapSource,
}

/// What makes a gap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GapSource {
    /// The sockets of one kind of a program.
    Sockets(BypassMethod, SubjectKey),
    /// pinif is not attached to the interface.
    NotAttached,
    /// The namespace of this name is not audited.
    Namespace(String),
    /// What stands before pinif, as it is shown.
    Ahead(String),
    /// An XDP program, by its number.
    XdpProgram(u32),
    /// pktgen.
    Pktgen,
    /// netconsole.
    Netconsole,
    /// It is unknown whether there is any: this could not be looked for.
    Unknown(Detector),
    /// This was removed of pinif itself.
    Removed(Part),
    /// Hooks of the cgroup are missing.
    MissingHooks,
    /// The interface answers for the address of this one. Nothing is unseen.
    ArpFlux(IfIndex),
}

impl GapKey {
    /// What the gap's finding is called; `predecessors` is how many interfaces have had the index before.
    pub fn finding_id(&self, predecessors: u32) -> FindingId {
        let mut bytes = self.netns.0.to_le_bytes().to_vec();
        bytes.extend(self.interface.unwrap_or_default().0.to_le_bytes());
        bytes.extend(predecessors.to_le_bytes());
        self.source.write(&mut bytes);
        FindingId::of(&bytes)
    }
}

impl GapSource {
    /// Adds what distinguishes it from any other: a number for what it is, and the rest.
    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Sockets(way, subject) => {
                bytes.extend([1, way.number()]);
                bytes.extend(subject.to_bytes());
            }
            Self::NotAttached => bytes.push(2),
            Self::Namespace(name) => {
                bytes.push(3);
                bytes.extend(name.bytes());
            }
            Self::Ahead(what) => {
                bytes.push(4);
                bytes.extend(what.bytes());
            }
            Self::XdpProgram(id) => {
                bytes.push(5);
                bytes.extend(id.to_le_bytes());
            }
            Self::Pktgen => bytes.push(6),
            Self::Netconsole => bytes.push(7),
            Self::Unknown(detector) => bytes.extend([8, detector.number()]),
            Self::Removed(part) => {
                bytes.push(9);
                part.write(bytes);
            }
            Self::MissingHooks => bytes.push(10),
            Self::ArpFlux(other) => {
                bytes.push(11);
                bytes.extend(other.0.to_le_bytes());
            }
        }
    }

    /// The program that makes the gap.
    fn subject(&self) -> Option<pinif_ebpf::subject::Subject> {
        match self {
            Self::Sockets(_, subject) => subject.decode(),
            Self::NotAttached
            | Self::Namespace(_)
            | Self::Ahead(_)
            | Self::XdpProgram(_)
            | Self::Pktgen
            | Self::Netconsole
            | Self::Unknown(_)
            | Self::Removed(_)
            | Self::MissingHooks
            | Self::ArpFlux(_) => None,
        }
    }

    /// The kind of the finding.
    const fn kind(&self) -> Kind {
        match self {
            Self::ArpFlux(_) => Kind::ArpFlux,
            _ => Kind::Unaudited,
        }
    }
}

/// The finding that a gap is, in a namespace and at an interface that are called so.
pub fn finding(
    gap: Gap,
    id: FindingId,
    netns: String,
    interface: Option<String>,
    time: SystemTime,
    shared: &mut Shared,
) -> Finding {
    let place = Place {
        boot: shared.boot.clone(),
        netns: shared.names.one(netns),
        interface: interface.map(|name| shared.names.one(name)),
        ..Place::default()
    };
    // A program's subject names no interface.
    let subject = gap.key.source.subject().map(|of| {
        let no_name = |_| String::new();
        subject::of(&of, gap.process.as_ref(), &no_name, &mut shared.names)
    });
    let place = shared.places.one(place);
    let kind = gap.key.source.kind();
    Finding {
        origin: match gap.key.source {
            GapSource::Sockets(..) => SentBy::Socket,
            GapSource::Pktgen | GapSource::Netconsole | GapSource::ArpFlux(_) => SentBy::Kernel,
            GapSource::NotAttached
            | GapSource::Namespace(_)
            | GapSource::Ahead(_)
            | GapSource::XdpProgram(_)
            | GapSource::Unknown(_)
            | GapSource::Removed(_)
            | GapSource::MissingHooks => SentBy::None,
        },
        causes: shared.causes.one(vec![Cause::certain(gap.cause)]),
        socket: gap.socket,
        process: gap.process.map(|process| shared.processes.one(process)),
        subject: subject.map(|subject| shared.subjects.one(subject)),
        ..Finding::new(id, kind, place, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{explain, finding::ANY_INTERFACE};

    fn gap(interface: Option<IfIndex>, source: GapSource, cause: CauseKind) -> Gap {
        Gap {
            key: GapKey {
                netns: NetNsCookie(1),
                interface,
                source,
            },
            cause,
            process: None,
            socket: None,
        }
    }

    #[test]
    fn a_gap_is_a_risk_without_packets() {
        let gap = gap(
            Some(IfIndex(3)),
            GapSource::NotAttached,
            CauseKind::NotAttached {
                interface: "eth1".to_owned(),
                error: "EINVAL".to_owned(),
            },
        );
        let id = gap.key.finding_id(0);
        assert_ne!(id, gap.key.finding_id(1));
        let found = finding(
            gap,
            id,
            "card".to_owned(),
            Some("eth1".to_owned()),
            SystemTime::UNIX_EPOCH,
            &mut Shared::default(),
        );
        assert_eq!(
            (found.kind, found.severity.name()),
            (Kind::Unaudited, "risk")
        );
        assert_eq!((found.packets, found.bytes), (0, 0));
        assert_eq!(
            explain::cause(&found),
            "eth1 could not be attached (EINVAL)"
        );
    }

    #[test]
    fn what_could_not_be_looked_for_says_what_and_why() {
        let unknown = CauseKind::NotLookedFor {
            what: Detector::XdpPrograms,
            error: "Operation not permitted (os error 1)".to_owned(),
        };
        let gap = gap(None, GapSource::Unknown(Detector::XdpPrograms), unknown);
        let id = gap.key.finding_id(0);
        let time = SystemTime::UNIX_EPOCH;
        let finding = finding(
            gap,
            id,
            "card".to_owned(),
            None,
            time,
            &mut Shared::default(),
        );
        assert_eq!(
            explain::cause(&finding),
            "XDP programs could not be looked for (Operation not permitted (os error 1))"
        );
        assert_eq!(
            explain::explanation(&finding),
            "pinif could not look for XDP programs here: there may be traffic that it neither judges nor counts."
        );
        assert_eq!(finding.egress_interface(), ANY_INTERFACE);
    }

    #[test]
    fn gaps_have_names_of_their_own() {
        let at = |interface, source| {
            let key = GapKey {
                netns: NetNsCookie(1),
                interface,
                source,
            };
            key.finding_id(0)
        };
        let eth1 = Some(IfIndex(3));
        let sockets = |way, uid| GapSource::Sockets(way, SubjectKey::other_programs(uid));
        let bypass = sockets(BypassMethod::QdiscBypass, 7);
        assert_ne!(
            at(eth1, bypass.clone()),
            at(eth1, sockets(BypassMethod::QdiscBypass, 8))
        );
        assert_ne!(
            at(eth1, bypass.clone()),
            at(eth1, sockets(BypassMethod::Xdp, 7))
        );
        assert_ne!(at(eth1, bypass.clone()), at(None, bypass));
        assert_ne!(
            at(eth1, GapSource::Pktgen),
            at(eth1, GapSource::NotAttached)
        );
        assert_eq!(at(eth1, GapSource::Pktgen), at(eth1, GapSource::Pktgen));
        let unknown = |detector| at(None, GapSource::Unknown(detector));
        assert_ne!(unknown(Detector::Pktgen), unknown(Detector::Ahead));
    }
}
