//! What the verdict cache compares for a dimension.

use pinif_ebpf::policy::InForce;

/// What the verdict cache must compare for two packets to be of one class, as far as rules look at the dimension
/// ([`pinif_ebpf::policy::InForce`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum CacheInput {
    /// What it always compares of a packet.
    Packet,
    /// The source port.
    SourcePort,
    /// The user, and who else has the socket.
    User,
    /// Who has the socket.
    Owner,
}

impl CacheInput {
    /// Whether the programs compare it, and nothing else besides the packet, where rules look at the dimension of this bit.
    pub(super) const fn is_compared_for(self, bit: u32) -> bool {
        let in_force = InForce(0).next(0, bit);
        let source_port = in_force.looks_at_source_ports();
        let (user, owner) = (in_force.looks_at_users(), in_force.looks_at_owners());
        match self {
            Self::Packet => !source_port && !user && !owner,
            Self::SourcePort => source_port && !user && !owner,
            Self::User => !source_port && user && owner,
            Self::Owner => !source_port && !user && owner,
        }
    }
}
