//! What takes packets, or copies of them, to another interface.

use crate::{
    findings::{
        decode::Sighted,
        explain::{Cause, CauseKind},
        scene::Scene,
    },
    host::nft::{Does, NftRule},
};

/// A mirror, and the nft rule that it is where one of them sends by this interface.
pub(in crate::findings) fn mirror(sighted: &Sighted, scene: &Scene<'_>, certain: bool) -> Cause {
    let sends_there = |rule: &NftRule| rule.does == Does::Redirect(Some(sighted.egress));
    let rule = (scene.nft)().into_iter().find(sends_there);
    Cause {
        certain: certain || rule.is_some(),
        kind: CauseKind::Mirror(rule.map(Box::new)),
    }
}
