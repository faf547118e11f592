//! Who a finding is about.

use std::{net::IpAddr, sync::Arc};

use pinif_ebpf::{
    intent::NO_USER,
    key::{Address, IfIndex},
    share, subject,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{pool::Pool, process::Process};
use crate::host::cgroups;

/// Who a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All processes of one program, user and cgroup.
    Program {
        /// The executable, where it is known.
        exe: Option<Arc<str>>,
        /// The user, where it is known.
        uid: Option<u32>,
        /// The cgroup, from the root of the v2 hierarchy, where it is still there.
        cgroup: Option<Arc<str>>,
    },
    /// The kernel itself.
    Kernel {
        /// What it sends.
        what: KernelPacket,
        /// The local address that it sends from.
        address: Option<IpAddr>,
        /// The IP protocol's number, of tunnels and what has no name here.
        protocol: Option<u8>,
    },
    /// What is forwarded.
    Forwarded {
        /// The interface that it came in by.
        interface: Arc<str>,
        /// The IP protocol's number; none of what is no IP packet.
        protocol: Option<u8>,
    },
    /// What arrives for a local address, and no process's socket receives.
    Receiver {
        /// The local address.
        address: Option<IpAddr>,
        /// The IP protocol's number.
        protocol: u8,
    },
    /// All further programs of a user that has too many findings of this kind.
    OtherPrograms {
        /// The user.
        uid: u32,
    },
    /// All that has no finding of its own, since there are too many.
    Others,
}

/// What the kernel sends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KernelPacket {
    /// No IP packet: ARP, a bridge's or a bond's own protocol.
    NotIp,
    /// A RST of TCP.
    TcpReset,
    /// ICMP or ICMPv6, but for the next two.
    Icmp,
    /// Neighbour discovery (RFC 4861).
    NeighbourDiscovery,
    /// A report of group memberships (IGMP, MLD).
    GroupMembership,
    /// A tunnel's outer packet.
    Tunnel,
    /// Another protocol.
    Other,
}

impl KernelPacket {
    /// Its name, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not-ip",
            Self::TcpReset => "tcp-reset",
            Self::Icmp => "icmp",
            Self::NeighbourDiscovery => "neighbour-discovery",
            Self::GroupMembership => "group-membership",
            Self::Tunnel => "tunnel",
            Self::Other => "other",
        }
    }
}

/// The subject of a finding. `process` is that of its first packet, `name` gives the names of interfaces, and `names` has those
/// that findings share.
pub fn of(
    subject: &subject::Subject,
    process: Option<&Process>,
    name: &dyn Fn(IfIndex) -> String,
    names: &mut Pool<str>,
) -> Subject {
    match *subject {
        subject::Subject::Program(program) => Subject::Program {
            exe: process
                .and_then(|process| process.exe.as_deref())
                .map(|exe| names.one(exe)),
            uid: Some(program.uid).filter(|&uid| uid != NO_USER),
            cgroup: (program.cgroup != 0)
                .then(|| cgroups::cgroup_path(program.cgroup))
                .flatten()
                .map(|path| names.one(path)),
        },
        subject::Subject::Kernel { what, address } => {
            let (what, protocol) = of_kernel(what);
            Subject::Kernel {
                what,
                address: known(address),
                protocol,
            }
        }
        subject::Subject::Forwarded { arrived, protocol } => Subject::Forwarded {
            interface: names.one(name(arrived)),
            protocol: Some(protocol).filter(|&protocol| protocol != 0),
        },
        subject::Subject::Receiver { address, protocol } => Subject::Receiver {
            address: known(address),
            protocol,
        },
        subject::Subject::OtherPrograms { uid } => Subject::OtherPrograms { uid },
        subject::Subject::Others => Subject::Others,
    }
}

/// What the kernel sends, and the protocol's number where the rest does not say it.
pub(super) const fn of_kernel(what: subject::KernelPacket) -> (KernelPacket, Option<u8>) {
    match what {
        subject::KernelPacket::NotIp => (KernelPacket::NotIp, None),
        subject::KernelPacket::TcpReset => (KernelPacket::TcpReset, None),
        subject::KernelPacket::Icmp => (KernelPacket::Icmp, None),
        subject::KernelPacket::NeighbourDiscovery => (KernelPacket::NeighbourDiscovery, None),
        subject::KernelPacket::GroupMembership => (KernelPacket::GroupMembership, None),
        subject::KernelPacket::Tunnel(protocol) => (KernelPacket::Tunnel, Some(protocol)),
        subject::KernelPacket::Protocol(protocol) => (KernelPacket::Other, Some(protocol)),
    }
}

fn known(address: Address) -> Option<IpAddr> {
    (address != Address::UNSPECIFIED).then(|| address.ip())
}

/// What a finding adds to its explanation that stands for what has none of its own.
pub fn stands_for(subject: &Subject) -> Option<String> {
    match subject {
        Subject::OtherPrograms { uid } => Some(format!(
            " User {uid} has {} findings of this kind, and gets no more: this one counts what all other programs of that user \
             sent.",
            share::OF_A_USER
        )),
        Subject::Others => Some(
            " The table of findings is full but for what is kept free: this one counts all that would have been a finding of \
             its own."
                .to_owned(),
        ),
        Subject::Program { .. }
        | Subject::Kernel { .. }
        | Subject::Forwarded { .. }
        | Subject::Receiver { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_the_readers_names() {
        let name = |index: IfIndex| format!("eth{}", index.0);
        let mut names = Pool::default();
        let mut of = |subject| of(&subject, None, &name, &mut names);
        let kernel = of(subject::Subject::Kernel {
            what: subject::KernelPacket::Tunnel(47),
            address: Address::v4([10, 0, 0, 1]),
        });
        assert_eq!(
            kernel,
            Subject::Kernel {
                what: KernelPacket::Tunnel,
                address: Some([10, 0, 0, 1].into()),
                protocol: Some(47)
            }
        );
        let forwarded = of(subject::Subject::Forwarded {
            arrived: IfIndex(3),
            protocol: 0,
        });
        assert_eq!(
            forwarded,
            Subject::Forwarded {
                interface: "eth3".into(),
                protocol: None
            }
        );
        let program = of(subject::Subject::Program(subject::Program {
            uid: NO_USER,
            ..subject::Program::default()
        }));
        assert_eq!(
            program,
            Subject::Program {
                exe: None,
                uid: None,
                cgroup: None
            }
        );
    }

    #[test]
    fn what_stands_for_others_says_so() {
        let others = stands_for(&Subject::OtherPrograms { uid: 1000 });
        assert!(others.is_some_and(|text| text.contains("User 1000")));
        assert!(stands_for(&Subject::Others).is_some());
    }
}
