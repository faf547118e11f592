//! Findings that no packet tells of: what cannot be seen (`unaudited`).

use std::time::SystemTime;

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie, SocketCookie},
    verdict::Kind,
};

use super::{
    explain::{Cause, CauseKind, Circumstance, cause_text},
    finding::{Direction, Finding, FindingId, Origin, Process, time_text, usual_severity},
};

/// What a finding's `egress_interface` says where it may be any of the namespace's.
pub const ANY_INTERFACE: &str = "*";

/// A gap in what is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What tells it from others.
    pub key: GapKey,
    /// Why it is one.
    pub cause: CauseKind,
    /// The process that sends by it.
    pub process: Option<Process>,
    /// The socket that sends by it.
    pub socket: Option<SocketCookie>,
}

/// What tells one gap from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GapKey {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The interface; none where it may be any.
    pub interface: Option<IfIndex>,
    /// What makes the gap there.
    pub by: By,
}

/// What makes a gap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// A socket, by its inode number.
    Socket(u64),
    /// Nobody: pinif is not attached to the interface.
    Nobody,
    /// Nobody: the namespace of this name is not audited.
    Namespace(String),
    /// What stands before pinif, as it is shown.
    Ahead(String),
    /// An XDP program, by its number.
    XdpProgram(u32),
    /// pktgen.
    Pktgen,
    /// netconsole.
    Netconsole,
}

impl GapKey {
    /// What the gap's finding is called; `predecessors` is how many interfaces have had the index before.
    pub fn finding_id(&self, predecessors: u32) -> FindingId {
        FindingId::of(format!("{self:?} {predecessors}").as_bytes())
    }
}

/// The finding that a gap is, in a namespace and at an interface that are called so.
pub fn finding(
    gap: Gap,
    id: FindingId,
    netns: String,
    interface: Option<String>,
    time: SystemTime,
) -> Finding {
    let causes = [Cause::certain(gap.cause)];
    let egress_interface = interface.unwrap_or_else(|| ANY_INTERFACE.to_owned());
    let words = Circumstance {
        process: gap.process.as_ref().map(|process| process.comm.as_str()),
        causes: &causes,
        ..Circumstance::new(Kind::Unaudited, &egress_interface)
    };
    Finding {
        id: id.to_string(),
        time: time_text(time),
        kind: Kind::Unaudited,
        severity: usual_severity(Kind::Unaudited),
        rule: None,
        netns,
        direction: Direction::Out,
        bound_device: None,
        bound_address: None,
        cause: cause_text(&causes),
        explanation: words.explanation(),
        remedy: words.remedy(),
        protocol: String::new(),
        source: String::new(),
        destination: String::new(),
        packets: 0,
        bytes: 0,
        socket_cookie: gap.socket.map(|cookie| cookie.0),
        origin: match gap.key.by {
            By::Socket(_) => Origin::Socket,
            By::Pktgen | By::Netconsole => Origin::Kernel,
            By::Nobody | By::Namespace(_) | By::Ahead(_) | By::XdpProgram(_) => Origin::None,
        },
        process: gap.process,
        dropped: false,
        egress_interface,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(interface: Option<IfIndex>, by: By, cause: CauseKind) -> Gap {
        Gap {
            key: GapKey {
                netns: NetNsCookie(1),
                interface,
                by,
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
            By::Nobody,
            CauseKind::NotAttached {
                interface: "eth1".to_owned(),
                error: "EINVAL".to_owned(),
            },
        );
        let id = gap.key.finding_id(0);
        assert_ne!(id, gap.key.finding_id(1));
        let told = finding(
            gap,
            id,
            "card".to_owned(),
            Some("eth1".to_owned()),
            SystemTime::UNIX_EPOCH,
        );
        assert_eq!((told.kind, told.severity.name()), (Kind::Unaudited, "risk"));
        assert_eq!((told.packets, told.bytes), (0, 0));
        assert_eq!(told.cause, "eth1 could not be attached (EINVAL)");
    }

    #[test]
    fn gaps_have_names_of_their_own() {
        let at = |interface, by| {
            let key = GapKey {
                netns: NetNsCookie(1),
                interface,
                by,
            };
            key.finding_id(0)
        };
        let eth1 = Some(IfIndex(3));
        assert_ne!(at(eth1, By::Socket(7)), at(eth1, By::Socket(8)));
        assert_ne!(at(eth1, By::Socket(7)), at(None, By::Socket(7)));
        assert_ne!(at(eth1, By::Pktgen), at(eth1, By::Nobody));
        assert_eq!(at(eth1, By::Pktgen), at(eth1, By::Pktgen));
    }
}
