//! The two directions in which an interface's packets are seen, each by a traffic program of its own.

use aya::programs::TcAttachType;
use pinif_ebpf::entry;

/// A direction, as the interface has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcDirection {
    /// What leaves by it.
    Egress,
    /// What arrives by it.
    Ingress,
}

impl TcDirection {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Egress, Self::Ingress];

    /// The traffic program, by the name of its function.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Egress => "pinif_egress",
            Self::Ingress => "pinif_ingress",
        }
    }

    /// The entry program, by the name of its function in the object. Loaded, it has the traffic program's name.
    pub(super) const fn entry(self) -> &'static str {
        match self {
            Self::Egress => "pinif_leaves",
            Self::Ingress => "pinif_arrives",
        }
    }

    /// The entry program of an auditor that is to outlive its collector: by its name it is distinguished from those that go with theirs.
    pub(super) const fn lasting_program(self) -> &'static str {
        match self {
            Self::Egress => "pinif_egress_p",
            Self::Ingress => "pinif_ingress_p",
        }
    }

    /// Whether a program of this name is an auditor's.
    pub(super) fn is_entry(self, name: &str) -> bool {
        name == self.program() || name == self.lasting_program()
    }

    /// The traffic program's place in `TRAFFIC`.
    pub(super) const fn place(self) -> u32 {
        match self {
            Self::Egress => entry::EGRESS,
            Self::Ingress => entry::INGRESS,
        }
    }

    /// Where it is attached.
    pub(super) const fn attach_type(self) -> TcAttachType {
        match self {
            Self::Egress => TcAttachType::Egress,
            Self::Ingress => TcAttachType::Ingress,
        }
    }

    /// The same, as a number of `enum bpf_attach_type` (`BPF_TCX_EGRESS`, `BPF_TCX_INGRESS`).
    pub(super) const fn tcx(self) -> u32 {
        match self {
            Self::Egress => 47,
            Self::Ingress => 46,
        }
    }

    /// Its number below the clsact qdisc (`TC_H_MIN_EGRESS`, `TC_H_MIN_INGRESS`; linux/pkt_sched.h).
    pub(super) const fn minor(self) -> u16 {
        match self {
            Self::Egress => 0xfff3,
            Self::Ingress => 0xfff2,
        }
    }
}
