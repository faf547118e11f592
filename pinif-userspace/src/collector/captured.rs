//! The audit's part of what is captured: what each packet is, by the names that it knows.

use std::time::Duration;

use pinif_ebpf::{
    capture::flag,
    key::IfIndex,
    loss::Loss,
    sighting::{FindingKey, Origin},
    verdict::{Kind, Severity},
};

use super::{audit::Audit, describe::rule_of, moment::Moment};
use crate::{
    capture::{About, CaptureState, Packet, Place, with_tag},
    host::attributes::text,
    kernel::captures::CapturedPacket,
};

impl Audit {
    /// Has packets written.
    pub(super) fn on_captured(&self, captured: Vec<CapturedPacket>) {
        let Some(capturing) = &self.capturing else {
            return;
        };
        let now = Moment::now();
        for packet in captured {
            if let Some(packet) = self.packet(packet, now) {
                capturing.push(packet);
            }
        }
    }

    /// Has the last ones written, and waits for that.
    pub(super) fn end_capturing(&mut self) {
        if let Some(capturing) = &mut self.capturing {
            let rest = capturing.rest();
            self.on_captured(rest);
        }
        if let Some(capturing) = self.capturing.take() {
            capturing.end();
        }
    }

    /// What was captured so far, where so much was lost elsewhere.
    pub(super) fn capture_state(&self, losses: &[(Loss, u64)]) -> Option<CaptureState> {
        let mut state = self.capturing.as_ref()?.state();
        let lost = losses.iter().find(|(loss, _)| *loss == Loss::CapturesFull);
        state.not_captured += lost.map_or(0, |(_, lost)| *lost);
        Some(state)
    }

    /// A packet with all that is said of it. None where the kernel's numbers mean nothing here, which would be a mistake of pinif's own.
    fn packet(&self, packet: CapturedPacket, now: Moment) -> Option<Packet> {
        let CapturedPacket {
            captured,
            mut bytes,
        } = packet;
        let FindingKey {
            netns,
            bound,
            egress,
            dropped,
            ..
        } = captured.key;
        let name = |index: IfIndex| self.names.interface(netns, index);
        let ethernet = captured.has(flag::ETHERNET);
        let tag = if ethernet && captured.tag_type != 0 {
            with_tag(&mut bytes, captured.tag_type, captured.tag)
        } else {
            0
        };
        let comm = text(&captured.comm.0);
        let is_known = captured.sent_by() == Origin::Process || captured.pid != 0;
        let pid = Some(captured.pid).filter(|&pid| pid != 0);
        Some(Packet {
            place: Place {
                interface: name(egress),
                netns: self.names.namespace(netns),
                ethernet,
            },
            time: now.before(Duration::from_nanos(captured.time)).wall,
            length: captured.length + tag,
            bytes,
            about: About {
                finding: self.names.finding_id(&captured.key),
                kind: Kind::from_number(captured.key.kind)?,
                severity: Severity::from_number(captured.key.severity)?,
                arrived: captured.has(flag::ARRIVES),
                dropped: dropped != 0,
                bound: bound.is_some().then(|| name(bound)),
                rule: rule_of(&self.policies, &captured.key)
                    .map(|(policy, number)| policy.rules[number].name.clone()),
                process: (is_known && !comm.is_empty()).then_some((comm, pid)),
                number: captured.number,
            },
        })
    }
}
