//! A hundred interfaces, and a thousand sockets.

use std::net::UdpSocket;
use std::time::Instant;

use pinif_ebpf::verdict::Kind;
use pinif_lab::{Namespace, Route};
use pinif_userspace::foresee::{self, Event, Original};
use pinif_userspace::host::netns::NetNs;
use pinif_userspace::policy::Policy;
use pinif_userspace::survey;

use crate::bench::scenario;

/// How long it takes is printed on standard error: `cargo nextest run --test hold many_interfaces --no-capture`.
#[test]
fn many_interfaces_and_sockets_are_foreseen_in_turn() {
    scenario("foresee many", &[], |_| {
        const LINKS: u8 = 100;
        const SOCKETS: u16 = 1000;
        let card = Namespace::new("card").expect("a namespace");
        let far = Namespace::new("far").expect("a namespace");
        for number in 0..LINKS {
            let name = format!("eth{number}");
            card.veth(&name, &far, &name, number).expect("a link");
            far.set_up(&name).expect("up");
            card.set_up(&name).expect("up");
            card.wait_until_operational(&name).expect("operational");
            let address = format!("10.0.{number}.1/24").parse().expect("a prefix");
            card.add_address(&name, address).expect("an address");
        }
        let everything = "0.0.0.0/0".parse().expect("a prefix");
        let gateway = "10.0.99.2".parse().expect("an address");
        card.add_route(Route::new(everything, "eth99").via(gateway))
            .expect("a route");
        let sockets = card.run(|| {
            let sockets = (0..SOCKETS).map(|number| {
                let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
                // Half of them are not connected, and may send everywhere.
                if number % 2 == 0 {
                    let link = number / 2 % u16::from(LINKS);
                    let to = format!("10.0.{link}.2:9");
                    socket.connect(to).expect("a route");
                }
                socket
            });
            sockets.collect::<Vec<_>>()
        });
        let sockets = sockets.expect("the card is there");
        let netns = NetNs::named(card.name()).expect("the card");
        let rule = "[zone.front]\ninterfaces = [\"eth99\"]\n[zone.all]\ninterfaces = [\"*\"]\n\
            [[rule]]\nname = \"inside\"\ndestination = \"10.0.0.0/16\"\nonly_via = \"inside\"\n\
            [zone.inside]\ninterfaces = [\"eth[0-8]*\", \"eth9\", \"eth9[0-8]\"]\n";
        let policy = Policy::parse(rule, "many").expect("a policy");
        let start = Instant::now();
        let original = Original::read(&netns).expect("it is readable");
        let owned = survey::owned(&netns).expect("they are readable");
        let events = foresee::every_interface(&original.network);
        let all = foresee::foresee(&original, &policy, &owned, &events).expect("foreseen");
        eprintln!(
            "{} events, {} sockets: {:.1?}",
            events.len(),
            owned.len(),
            start.elapsed()
        );
        assert_eq!((events.len(), owned.len()), (100, sockets.len()));
        for foreseen in &all {
            let escapes = foreseen.findings.iter();
            let escapes = escapes
                .filter(|latent| latent.finding.kind == Kind::PolicyEscape)
                .count();
            // The five that are connected there, and those that are connected nowhere. Without eth99 nothing leads outside.
            let expected = match &foreseen.event {
                Event::Down(name) if name == "eth99" => 0,
                _ => 5 + SOCKETS as usize / 2,
            };
            assert_eq!(escapes, expected, "{}", foreseen.event);
        }
    });
}
