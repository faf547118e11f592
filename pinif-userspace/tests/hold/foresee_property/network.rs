//! What is foreseen is what the kernel does then.

use pinif_ebpf::key::SocketCookie;
use pinif_userspace::findings::{finding::Finding, latent::Latent};
use pinif_userspace::foresee::{self, Event, Original};
use pinif_userspace::host::netns::NetNs;
use pinif_userspace::policy::Policy;
use pinif_userspace::survey;
use proptest::prelude::*;

use super::world::{LINKS, build, down, leaves, runner, world};
use crate::bench::scenario;

#[test]
fn what_is_foreseen_happens_in_any_network() {
    scenario("foresee property", &[], |_| {
        let mut runner = runner(40);
        let outcome = runner.run(&world(), |world| {
            let (card, _far, sockets) = build(&world);
            let netns = NetNs::named(card.name()).expect("the card");
            let before: Vec<_> = sockets.iter().map(|socket| leaves(&card, socket)).collect();
            let original = Original::read(&netns).expect("it is readable");
            let owned = survey::owned(&netns).expect("they are readable");
            let down = LINKS[world.down];
            let event = self::down(down);
            let empty = Policy::default();
            let all = foresee::foresee(&original, &empty, &owned, &[event]).expect("it is copied");
            let foreseen = &all[0];
            prop_assert_eq!(&foreseen.uncopied, &Vec::<String>::new());

            card.set_down(down).expect("down");
            for (socket, before) in sockets.iter().zip(before) {
                let cookie = socket.cookie().expect("a cookie");
                let finding = foreseen
                    .findings
                    .iter()
                    .map(|latent| &latent.finding)
                    .find(|finding| finding.socket == Some(SocketCookie(cookie)));
                let after = leaves(&card, socket);
                match finding {
                    Some(finding) => {
                        prop_assert_eq!(Some(finding.egress_interface()), after, "{:?}", finding)
                    }
                    // It goes on as it did, or sends nothing.
                    None => prop_assert!(
                        after.is_none() || after == before,
                        "{:?} then {:?}",
                        before,
                        after
                    ),
                }
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    });
}

#[test]
fn one_scratch_namespace_after_the_other_is_like_new() {
    scenario("foresee turns", &[], |_| {
        let mut runner = runner(20);
        let outcome = runner.run(&world(), |world| {
            let (card, _far, _sockets) = build(&world);
            let netns = NetNs::named(card.name()).expect("the card");
            let original = Original::read(&netns).expect("it is readable");
            let owned = survey::owned(&netns).expect("they are readable");
            let policy = Policy::default();
            let events: Vec<_> = LINKS.iter().chain(&LINKS).copied().map(down).collect();
            let brief_of = |events: &[Event]| {
                let all = foresee::foresee(&original, &policy, &owned, events).expect("foreseen");
                let findings = all.into_iter().map(|foreseen| foreseen.findings);
                let brief = findings.map(|findings| {
                    let brief = |latent: Latent| {
                        let Finding {
                            id, place, causes, ..
                        } = latent.finding;
                        (id, place, causes)
                    };
                    findings.into_iter().map(brief).collect::<Vec<_>>()
                });
                brief.collect::<Vec<_>>()
            };
            let alone: Vec<_> = events
                .iter()
                .flat_map(|event| brief_of(std::slice::from_ref(event)))
                .collect();
            prop_assert_eq!(brief_of(&events), alone);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    });
}
