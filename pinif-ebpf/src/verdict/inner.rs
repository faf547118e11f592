//! What a rule says of the packet inside another that the stack put it into, where a route encapsulates.

use super::{Decision, Kind, KindSet, Severity};

impl Decision {
    /// The same of a packet that has another inside, which `inner` was decided on: where a rule keeps that one in, by whichever header it
    /// leaves, the rule is broken.
    ///
    /// What is wrong with its own header comes after that, but for a device that its socket is bound to, and a rule that keeps the outer
    /// packet in: to follow these leads the inner one home as well. Of the inner one, nothing but the rule counts.
    #[inline(always)]
    pub const fn carrying(self, inner: Self) -> Self {
        const GRAVER: KindSet = KindSet(
            1 << Kind::DeviceEscape as u8
                | 1 << Kind::CopyEscape as u8
                | 1 << Kind::PolicyEscape as u8,
        );
        let leaks = self.severity == Severity::Leak as u8;
        let is_graver = leaks && GRAVER.0 & 1 << self.kind != 0;
        let breaks =
            inner.severity == Severity::Leak as u8 && inner.kinds().contains(Kind::PolicyEscape);
        if is_graver || !breaks {
            return self;
        }
        Self {
            kind: Kind::PolicyEscape as u8,
            severity: Severity::Leak as u8,
            also: KindSet(0),
            rule: inner.rule,
            source_owner: inner.source_owner,
        }
    }
}
