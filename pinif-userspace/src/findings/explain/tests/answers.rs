use super::*;
use crate::findings::ways::{ChosenBy, Ways};

/// NAT changes nothing of an answer: only the first packet of a connection meets its rules.
#[test]
fn no_translation_is_offered_of_an_answer() {
    let of = |is_reply, chosen_by| {
        let mut finding = circumstance(Kind::AddressEscape).finding();
        finding.ways = Arc::new(Ways {
            source: Some([192, 0, 2, 1].into()),
            is_reply,
            chosen_by,
            ..Ways::default()
        });
        remedy(&finding)
    };
    for chosen_by in [
        ChosenBy::Before,
        ChosenBy::Nat,
        ChosenBy::Program,
        ChosenBy::Unknown,
    ] {
        let (first, answer) = (of(false, chosen_by), of(true, chosen_by));
        assert!(first.contains("masquerade"), "{chosen_by:?}: {first}");
        assert!(!answer.contains("masquerade"), "{chosen_by:?}: {answer}");
        assert!(!answer.is_empty(), "{chosen_by:?}");
    }
}
