//! Where the rules of nftables may have seen a packet whose mark routing asked for, or one that it has its mark from.

use pinif_ebpf::{
    packet::protocol,
    sighting::Origin,
    subject::{KernelPacket, Subject},
};

use crate::{
    findings::{
        decode::{Headers, Sighted},
        explain::{Cause, CauseKind},
        ways::{ChosenBy, Ways},
    },
    host::nft::{Known, NftRule, Stage},
};

/// All of them.
const ALL: &[Stage] = &[
    Stage::Arrival,
    Stage::Input,
    Stage::Output,
    Stage::Filter,
    Stage::Later,
];
/// Where what arrives is seen that the host takes in.
const TAKEN_IN: &[Stage] = &[Stage::Arrival, Stage::Input];
/// Where a connection may have got the mark that its packets are given.
const SAVED: &[Stage] = &[Stage::Arrival, Stage::Input, Stage::Output, Stage::Filter];

/// Where rules may have seen a packet.
struct Passage {
    stages: &'static [Stage],
    packet: Known,
}

/// All that may have marked a packet.
pub(crate) struct Passages {
    own: Vec<Passage>,
    /// Where its connection may have got its mark, and by which packets.
    connection: Vec<Passage>,
}

/// What else is known of the packet.
#[derive(Clone, Copy, Default)]
pub(crate) struct Changed {
    /// NAT changed its addresses or ports, and it had others where most rules see it.
    pub is_translated: bool,
    /// It answers what came in.
    pub is_reply: bool,
    /// It was put into another packet, or is the one that another was put into: rules saw another.
    pub is_encapsulated: bool,
}

impl Changed {
    /// As a finding's causes and what routing offered it say.
    pub fn of(causes: &[Cause], ways: &Ways) -> Self {
        let is = |is: fn(&CauseKind) -> bool| causes.iter().any(|cause| is(&cause.kind));
        Self {
            is_translated: is(|kind| {
                let is_given =
                    matches!(kind, CauseKind::Forwarded { is_translated, .. } if *is_translated);
                is_given || matches!(kind, CauseKind::Translated { .. })
            }),
            is_reply: ways.is_reply,
            is_encapsulated: ways.chosen_by == ChosenBy::Tunnel
                || is(|kind| matches!(kind, CauseKind::Encapsulated { .. })),
        }
    }
}

impl Passages {
    /// Those of any packet.
    pub fn any() -> Self {
        let anywhere = Passage {
            stages: ALL,
            packet: Known::default(),
        };
        Self {
            own: vec![anywhere],
            connection: Vec::new(),
        }
    }

    /// Those of this packet.
    pub fn of(sighted: &Sighted, changed: Changed) -> Self {
        let Changed {
            is_translated,
            is_reply,
            is_encapsulated,
        } = changed;
        let Some(headers) = sighted.headers.filter(|_| !is_encapsulated) else {
            return Self::any();
        };
        let uid = sighted.owner.as_ref().map(|owner| owner.uid);
        let family = Known {
            is_ipv6: Some(headers.destination.is_ipv6()),
            ..Known::default()
        };
        let its = match is_translated {
            true => Known {
                protocol: Some(headers.protocol),
                ..family
            },
            false => known(&headers),
        };
        let asked = match is_translated {
            true => its,
            false => exchanged(its),
        };
        // Whoever sends it, a chain of type filter is too late, unless NAT gives it another destination then (`nf_nat_ipv4_local_fn`).
        let leaving: &[Stage] = match is_translated {
            true => &[Stage::Output, Stage::Filter],
            false => &[Stage::Output],
        };
        let mut own = Vec::new();
        let mut add = |stages, packet| own.push(Passage { stages, packet });
        match (sighted.origin, sighted.subject) {
            (Origin::None, _) if sighted.forwarded_from().is_some() => {
                add(&[Stage::Arrival], its);
            }
            (Origin::Process, _) => {
                add(leaving, Known { uid, ..its });
                // A server's socket has the mark of who connected (`tcp_fwmark_accept`).
                if is_reply && headers.protocol == protocol::TCP {
                    add(TAKEN_IN, asked);
                }
            }
            (
                _,
                Subject::Kernel {
                    what: KernelPacket::TcpReset | KernelPacket::Icmp,
                    ..
                },
            ) => {
                add(leaving, its);
                // It has the mark of what it answers (`fwmark_reflect`), which may be of any protocol.
                add(TAKEN_IN, family);
            }
            _ => return Self::any(),
        }
        let connection = [its, asked].map(|packet| Passage {
            stages: SAVED,
            packet,
        });
        Self {
            own,
            connection: connection.into(),
        }
    }

    /// The rules among these that may have marked the packet, or the connection that it has its mark from.
    pub fn of_rules<'a>(&self, rules: &'a [NftRule]) -> Vec<&'a NftRule> {
        let sees = |passages: &[Passage], rule: &NftRule| {
            let mut all = passages.iter();
            all.any(|passage| rule.may_see(passage.stages, &passage.packet))
        };
        let is_restored = rules
            .iter()
            .any(|rule| rule.applies.restores && sees(&self.own, rule));
        let may_mark =
            |rule: &&NftRule| sees(&self.own, rule) || is_restored && sees(&self.connection, rule);
        rules.iter().filter(may_mark).collect()
    }
}

fn known(headers: &Headers) -> Known {
    Known {
        is_ipv6: Some(headers.destination.is_ipv6()),
        protocol: Some(headers.protocol),
        source: Some(headers.source),
        destination: Some(headers.destination),
        source_port: headers.source_port,
        destination_port: headers.destination_port,
        uid: None,
    }
}

/// Of a packet of the other direction.
const fn exchanged(packet: Known) -> Known {
    Known {
        source: packet.destination,
        destination: packet.source,
        source_port: packet.destination_port,
        destination_port: packet.source_port,
        ..packet
    }
}
