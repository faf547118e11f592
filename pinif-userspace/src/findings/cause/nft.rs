//! Which rules of nftables marked a packet, or took it to another interface.

use pinif_ebpf::{key::IfIndex, sighting::Origin};

use super::passage::Passages;
use crate::{
    findings::explain::{Cause, CauseKind},
    host::nft::{Does, NftRule},
};

/// A mirror, and the nft rule that it is where one of them sends by this interface.
pub(in crate::findings) fn mirror(egress: IfIndex, rules: &[NftRule], certain: bool) -> Cause {
    let sends_there = |rule: &&NftRule| rule.does == Does::Redirect(Some(egress));
    let rule = rules.iter().find(sends_there).cloned();
    Cause {
        certain: certain || rule.is_some(),
        kind: CauseKind::Mirror(rule.map(Box::new)),
    }
}

/// That a rule at another interface's egress hook took a packet of a socket here which no route led here: more likely than that the program named
/// the interface, where nothing shows that it did.
pub(super) fn redirected(egress: IfIndex, rules: &[NftRule]) -> Option<Cause> {
    let takes_here =
        |rule: &&NftRule| rule.family == "netdev" && rule.does == Does::Redirect(Some(egress));
    let rule = rules.iter().find(takes_here).cloned()?;
    Some(Cause::likely(CauseKind::Mirror(Some(Box::new(rule)))))
}

/// The mark that a rule of routing asked for, and which rules may have set it: those that set just this, or else those that set some of
/// its bits, or else those that compute one; of all of them, only those that may have seen the packet.
pub(super) fn marked(mark: u32, by: Origin, passages: &Passages, rules: &[NftRule]) -> Cause {
    let rules = passages.of_rules(rules);
    let of = |wanted: fn(Does, u32) -> bool| -> Vec<NftRule> {
        let may_set = rules.iter().filter(|rule| wanted(rule.does, mark));
        may_set.map(|&rule| rule.clone()).collect()
    };
    let degrees: [fn(Does, u32) -> bool; 3] = [
        |does, mark| matches!(does, Does::Mark(Some(set)) if set.is_whole() && set.may_give(mark)),
        |does, mark| matches!(does, Does::Mark(Some(set)) if set.may_give(mark)),
        |does, _| does == Does::Mark(None),
    ];
    let may_set = degrees.into_iter().map(of);
    Cause::certain(CauseKind::Marked {
        mark,
        by,
        may_set: may_set
            .into_iter()
            .find(|rules| !rules.is_empty())
            .unwrap_or_default(),
    })
}

/// The causes of a finding at this interface, with the rules that were not known when it was made; nothing where they make no
/// difference.
pub(crate) fn with_rules(
    causes: &[Cause],
    egress: IfIndex,
    passages: &Passages,
    rules: &[NftRule],
) -> Option<Vec<Cause>> {
    let again = |cause: &Cause| match &cause.kind {
        CauseKind::Marked { mark, by, may_set } if may_set.is_empty() => {
            marked(*mark, *by, passages, rules)
        }
        CauseKind::Mirror(None) => mirror(egress, rules, cause.certain),
        CauseKind::Named { .. } if !cause.certain => {
            redirected(egress, rules).unwrap_or_else(|| cause.clone())
        }
        _ => cause.clone(),
    };
    let all: Vec<Cause> = causes.iter().map(again).collect();
    (all != causes).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::nft::{Applies, MarkSet};

    fn rule(handle: u64, does: Does) -> NftRule {
        NftRule {
            family: "ip",
            table: "lab".to_owned(),
            chain: "out".to_owned(),
            handle,
            does,
            applies: Applies::default(),
        }
    }

    fn handles(cause: &Cause) -> Vec<u64> {
        match &cause.kind {
            CauseKind::Marked { may_set, .. } => may_set.iter().map(|rule| rule.handle).collect(),
            CauseKind::Mirror(rule) => rule.iter().map(|rule| rule.handle).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_rules_that_set_a_mark_best_are_named() {
        let part = |value, mask| Does::Mark(Some(MarkSet { value, mask }));
        let rules = [
            rule(1, Does::Mark(None)),
            rule(2, part(7, 0xff)),
            rule(3, part(0x100, 0xf00)),
            rule(4, Does::Mark(Some(MarkSet::whole(0x207)))),
            rule(5, Does::Redirect(Some(IfIndex(3)))),
        ];
        assert_eq!(
            handles(&marked(0x207, Origin::Process, &Passages::any(), &rules)),
            [4]
        );
        assert_eq!(
            handles(&marked(7, Origin::Process, &Passages::any(), &rules)),
            [2]
        );
        assert_eq!(
            handles(&marked(0x107, Origin::Process, &Passages::any(), &rules)),
            [2, 3]
        );
        assert_eq!(
            handles(&marked(9, Origin::Process, &Passages::any(), &rules)),
            [1]
        );
        assert_eq!(
            handles(&marked(9, Origin::Process, &Passages::any(), &rules[1..])),
            [0; 0]
        );
    }

    #[test]
    fn what_was_not_known_at_first_is_added() {
        let (here, other) = (IfIndex(3), IfIndex(4));
        let rules = [
            rule(1, Does::Mark(Some(MarkSet::whole(7)))),
            rule(2, Does::Redirect(Some(here))),
        ];
        let before = [
            marked(7, Origin::Process, &Passages::any(), &[]),
            mirror(here, &[], false),
            Cause::certain(CauseKind::NeverPinned),
        ];
        let after =
            with_rules(&before, here, &Passages::any(), &rules).expect("they are known now");
        assert_eq!([handles(&after[0]), handles(&after[1])], [[1], [2]]);
        assert_eq!(after[2], before[2]);
        assert!(after[1].certain && !before[1].certain);
        let named = [Cause::likely(CauseKind::Named {
            how: "IP_PKTINFO",
            interface: "eth1".to_owned(),
            routed: None,
        })];
        assert_eq!(with_rules(&named, here, &Passages::any(), &rules), None);
        let fwd = [NftRule {
            family: "netdev",
            ..rule(2, Does::Redirect(Some(here)))
        }];
        let after_fwd = with_rules(&named, here, &Passages::any(), &fwd).expect("it is known now");
        assert!(!after_fwd[0].certain && handles(&after_fwd[0]) == [2]);
        assert_eq!(with_rules(&after, here, &Passages::any(), &[]), None);
        assert_eq!(
            with_rules(&before[1..], other, &Passages::any(), &rules),
            None
        );
    }
}
