//! What holds of any findings.

use proptest::{prelude::*, sample::subsequence};

use super::*;

fn known() -> impl Strategy<Value = Known> {
    let kinds = prop_oneof![
        3 => Just(Kind::IngressEscape),
        2 => Just(Kind::AddressEscape),
        1 => Just(Kind::PolicyEscape),
    ];
    let severity = prop_oneof![Just(Severity::Leak), Just(Severity::Risk)];
    let subject = prop_oneof![
        3 => (1..3u64).prop_map(program),
        1 => Just(kernel(KernelPacket::TcpReset)),
        1 => Just(kernel(KernelPacket::Icmp)),
        1 => Just(receiver(protocol::TCP)),
    ];
    let sockets = subsequence((1..5u64).collect::<Vec<_>>(), 0..4);
    let ends = prop_oneof![
        4 => Just(1),
        1 => Just(2),
    ];
    (
        kinds,
        severity,
        subject,
        0..4u64,
        sockets,
        any::<bool>(),
        ends,
        1..4u64,
    )
        .prop_map(
            |(kind, severity, subject, time, sockets, more, ends, packets)| {
                let known = Known::of(kind, severity, subject, time)
                    .sockets(&sockets, more && sockets.len() == 3)
                    .packets(packets);
                match ends {
                    1 => known,
                    _ => known.to(&[(SERVER, 7000), (CARD, 4000)]),
                }
            },
        )
}

fn some_known() -> impl Strategy<Value = Vec<Known>> {
    prop::collection::vec(known(), 0..12).prop_map(|mut all| {
        // A finding is one entry of the kernel's table.
        all.sort_by_key(|known| known.0);
        all.dedup_by_key(|known| known.0);
        all
    })
}

proptest! {
    /// Whatever was reported first, the same findings are named in the same.
    #[test]
    fn the_order_of_reports_says_nothing((all, shuffled) in some_known().prop_flat_map(|all| {
        (Just(all.clone()), Just(all).prop_shuffle())
    })) {
        let by_key = |all: &[Known]| {
            let named = named(all).into_iter().zip(all);
            let mut pairs: Vec<_> = named.map(|(whole, Known(key, _))| (*key, whole.map(|at| all[at].0))).collect();
            pairs.sort_unstable();
            pairs
        };
        prop_assert_eq!(by_key(&all), by_key(&shuffled));
    }

    /// What is not compared, since no key says that it may be related, is named in nothing.
    #[test]
    fn what_is_named_in_another_is_related_by_its_key(all in some_known()) {
        for (place, whole) in named(&all).into_iter().enumerate() {
            if let Some(whole) = whole {
                prop_assert!(may_be_related(&all[place].0, &all[whole].0));
                prop_assert!(may_be_related(&all[whole].0, &all[place].0));
            }
        }
    }

    /// A finding is named in one that is as grave at least, so that the gravest of all is named in none, and none in itself.
    #[test]
    fn the_gravest_is_never_named_in_another(all in some_known()) {
        let named = named(&all);
        for (place, whole) in named.iter().enumerate() {
            let mut at = place;
            let mut steps = 0;
            while let Some(next) = named[at] {
                prop_assert!(all[next].0.severity >= all[at].0.severity);
                at = next;
                steps += 1;
                prop_assert!(steps <= all.len(), "a circle");
            }
            if let Some(whole) = *whole {
                prop_assert_eq!(all[whole].0.egress, all[place].0.egress);
            }
        }
        let gravest = all.iter().map(|known| known.0.severity).max();
        let own = named.iter().zip(&all).filter(|(whole, _)| whole.is_none());
        prop_assert_eq!(own.map(|(_, known)| known.0.severity).max(), gravest);
    }

    /// No socket's packets are named in a finding that has none of that socket's, where all sockets are known.
    #[test]
    fn no_other_socket_is_named(all in some_known()) {
        for (part, whole) in named(&all).into_iter().enumerate() {
            let Some(whole) = whole else { continue };
            let (part, whole) = (&all[part], &all[whole]);
            if part.0.subject.user_of_program().is_none() || whole.1.samples.has_more(Of::Socket) {
                continue;
            }
            prop_assert!(!part.1.samples.has_more(Of::Socket));
            for socket in part.1.samples.of(Of::Socket) {
                prop_assert!(whole.1.samples.of(Of::Socket).any(|one| one.socket() == socket.socket()));
            }
        }
    }
}
