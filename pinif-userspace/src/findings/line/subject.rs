//! What a line says of who a finding is about.

use std::{net::IpAddr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::findings::{
    flow::protocol_text,
    subject::{self, KernelPacket},
};

/// Who a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Subject {
    /// All processes of one program, user and cgroup.
    Program {
        /// The executable; null where it is not known any more.
        exe: Option<String>,
        /// The user; null where it is not known.
        uid: Option<u32>,
        /// The cgroup, from the root of the v2 hierarchy; null where it is gone.
        cgroup: Option<String>,
    },
    /// The kernel itself.
    Kernel {
        /// What it sends.
        what: KernelPacket,
        /// The local address that it sends from.
        address: Option<String>,
        /// The IP protocol, as in `protocol`, of `tunnel` and `other`.
        protocol: Option<String>,
    },
    /// What is forwarded.
    Forwarded {
        /// The interface that it came in by.
        interface: String,
        /// The IP protocol, as in `protocol`; null of what is no IP packet.
        protocol: Option<String>,
    },
    /// What arrives for a local address, and no process's socket receives.
    Receiver {
        /// The local address.
        address: Option<String>,
        /// The IP protocol, as in `protocol`.
        protocol: String,
    },
    /// All further programs of a user that has too many findings of this kind.
    OtherPrograms {
        /// The user.
        uid: u32,
    },
    /// All that has no finding of its own, since there are too many.
    Others,
}

impl Subject {
    /// How an `[[accept]]` of the policy names it: `receiver icmp 10.0.0.1`. Nothing for programs, which it names by their file and user.
    pub fn accepted_as(&self) -> Option<String> {
        let mut words = Vec::new();
        match self {
            Self::Program { .. } | Self::OtherPrograms { .. } => return None,
            Self::Kernel {
                what,
                address,
                protocol,
            } => {
                words.extend(["kernel", what.name()]);
                words.extend(protocol.as_deref());
                words.extend(address.as_deref());
            }
            Self::Forwarded {
                interface,
                protocol,
            } => {
                words.extend(["forwarded", interface]);
                words.extend(protocol.as_deref());
            }
            Self::Receiver { address, protocol } => {
                words.extend(["receiver", protocol]);
                words.extend(address.as_deref());
            }
            Self::Others => words.push("others"),
        }
        Some(words.join(" "))
    }
}

impl From<&subject::Subject> for Subject {
    fn from(subject: &subject::Subject) -> Self {
        let text = |text: &Arc<str>| text.to_string();
        let number = |address: &IpAddr| address.to_string();
        match subject {
            subject::Subject::Program { exe, uid, cgroup } => Self::Program {
                exe: exe.as_ref().map(text),
                uid: *uid,
                cgroup: cgroup.as_ref().map(text),
            },
            subject::Subject::Kernel {
                what,
                address,
                protocol,
            } => Self::Kernel {
                what: *what,
                address: address.as_ref().map(number),
                protocol: protocol.map(protocol_text),
            },
            subject::Subject::Forwarded {
                interface,
                protocol,
            } => Self::Forwarded {
                interface: text(interface),
                protocol: protocol.map(protocol_text),
            },
            subject::Subject::Receiver { address, protocol } => Self::Receiver {
                address: address.as_ref().map(number),
                protocol: protocol_text(*protocol),
            },
            subject::Subject::OtherPrograms { uid } => Self::OtherPrograms { uid: *uid },
            subject::Subject::Others => Self::Others,
        }
    }
}
