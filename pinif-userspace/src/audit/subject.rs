//! Who a finding is about, in the reader's words.

use pinif_ebpf::{
    intent::NO_USER,
    key::{Address, IfIndex},
    share,
    subject::{self, KernelPacket},
};

use super::finding::{Process, Subject, protocol_text};
use crate::host::processes;

/// The subject of a finding. `process` is that of its first packet, `name` gives the names of interfaces.
pub fn of(
    subject: &subject::Subject,
    process: Option<&Process>,
    name: &dyn Fn(IfIndex) -> String,
) -> Subject {
    match *subject {
        subject::Subject::Program(program) => Subject::Program {
            exe: process.and_then(|process| process.exe.clone()),
            uid: Some(program.uid).filter(|&uid| uid != NO_USER),
            cgroup: (program.cgroup != 0)
                .then(|| processes::cgroup_path(program.cgroup))
                .flatten(),
        },
        subject::Subject::Kernel { what, address } => {
            let (what, protocol) = of_kernel(what);
            Subject::Kernel {
                what: what.to_owned(),
                address: text(address),
                protocol: protocol.map(protocol_text),
            }
        }
        subject::Subject::Forwarded { arrived, protocol } => Subject::Forwarded {
            interface: name(arrived),
            protocol: (protocol != 0).then(|| protocol_text(protocol)),
        },
        subject::Subject::Receiver { address, protocol } => Subject::Receiver {
            address: text(address),
            protocol: protocol_text(protocol),
        },
        subject::Subject::OtherPrograms { uid } => Subject::OtherPrograms { uid },
        subject::Subject::Others => Subject::Others,
    }
}

const fn of_kernel(what: KernelPacket) -> (&'static str, Option<u8>) {
    match what {
        KernelPacket::NotIp => ("arp or another link-layer protocol", None),
        KernelPacket::TcpReset => ("tcp reset", None),
        KernelPacket::Icmp => ("icmp", None),
        KernelPacket::NeighbourDiscovery => ("neighbour discovery", None),
        KernelPacket::GroupMembership => ("group membership report", None),
        KernelPacket::Tunnel(protocol) => ("tunnel", Some(protocol)),
        KernelPacket::Protocol(protocol) => ("other", Some(protocol)),
    }
}

fn text(address: Address) -> Option<String> {
    (address != Address::UNSPECIFIED).then(|| address.ip().to_string())
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
    fn a_subject_has_the_readers_words() {
        let name = |index: IfIndex| format!("eth{}", index.0);
        let of = |subject| of(&subject, None, &name);
        let kernel = of(subject::Subject::Kernel {
            what: KernelPacket::Tunnel(47),
            address: Address::v4([10, 0, 0, 1]),
        });
        assert_eq!(
            kernel,
            Subject::Kernel {
                what: "tunnel".to_owned(),
                address: Some("10.0.0.1".to_owned()),
                protocol: Some("gre".to_owned())
            }
        );
        let forwarded = of(subject::Subject::Forwarded {
            arrived: IfIndex(3),
            protocol: 0,
        });
        assert_eq!(
            forwarded,
            Subject::Forwarded {
                interface: "eth3".to_owned(),
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
