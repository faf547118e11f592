//! Remedies of what the kernel sends by itself: replies, reports of groups, outer packets of tunnels.

use super::{WORLD, misled, misled_world};
use crate::bench::carry::{From, Mistake, Then, developer, on_card, operator};
use crate::bench::{Bench, Need, risk, scenario};
use pinif_lab::LinkKind;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const NFT: &[Need] = &[Need::Program("nft")];

fn of(kind: &'static str, name: &'static str, from: From, sends: &'static str) -> Mistake {
    Mistake {
        from,
        ..Mistake::of(kind, name, sends)
    }
}

/// The card answers its neighbour on the backplane by the front.
#[test]
fn a_reply_is_led_home() {
    fn make(bench: &Bench) {
        misled(bench, "pref 100 from 10.0.0.1");
    }
    Mistake {
        cause: "the kernel's own reply; rule 100 (from 10.0.0.1) sent it to table 100",
        make,
        remedies: vec![
            operator(
                "give 10.0.0.2 a route via fab0 in table 100 (`ip route replace 10.0.0.2 dev fab0 table 100`)",
                Then::By("fab0"),
            ),
            operator(
                "keep 10.0.0.2 out of rule 100 (from 10.0.0.1)",
                Then::By("fab0"),
            ),
            operator("drop it where it leaves via eth1 (`nft ", Then::Nowhere),
        ],
        ..of(
            "address-escape",
            "30 reply",
            From::Peer,
            "ping --to 10.0.0.1 --count 10",
        )
    }
    .is_fixed();
}

/// Somebody outside asks for an address of the backplane: nothing leads back by that.
#[test]
fn a_reply_that_can_go_nowhere_else_is_dropped() {
    Mistake {
        cause: "the kernel's own reply; route 192.0.2.0/24 dev eth1 src 192.0.2.1 in table main",
        remedies: vec![operator(
            "drop it where it leaves via eth1 (`nft ",
            Then::Nowhere,
        )],
        ..of(
            "address-escape",
            "30 reply-outside",
            From::Outside,
            "ping --to 10.0.0.1 --count 10",
        )
    }
    .is_fixed();
}

/// The answer to a connection that nothing accepts: that is dropped, and nothing else that has the address.
#[test]
fn a_reset_is_dropped_alone() {
    let name = "30 reset";
    scenario(name, NFT, |bench| {
        let outside = &bench.chassis.outside;
        let try_to_connect = || {
            let to = "10.0.0.1:9".parse().expect("an address");
            let refused = outside.run(|| TcpStream::connect_timeout(&to, Duration::from_secs(1)));
            refused
                .expect("the namespace")
                .expect_err("nobody accepts")
                .kind()
        };
        let auditor = bench.audit(&[]);
        assert_eq!(try_to_connect(), io::ErrorKind::ConnectionRefused);
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(
            (finding.kind.name(), finding.packets),
            ("address-escape", 1)
        );
        let [step] = &finding.remedies[..] else {
            panic!("one remedy\n{report}");
        };
        let lines = step.commands.iter().map(|line| on_card(finding, line));
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [
                "nft 'add table inet pinif_fix; add chain inet pinif_fix postrouting { type filter hook postrouting priority 101; }; \
                 add rule inet pinif_fix postrouting oifname \"eth1\" ip saddr 10.0.0.1 tcp flags & rst == rst drop'"
            ]
        );
        bench.shell(&step.commands[0]);
        let auditor = bench.audit(&[]);
        assert_eq!(try_to_connect(), io::ErrorKind::TimedOut);
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
        // What a program sends from there is another finding, and nobody's to drop.
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 10");
        let escape = risk("address-escape").egress("eth1").packets(10).by(&sent);
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

/// A group that a route leads outside: the kernel reports it there.
#[test]
fn a_group_is_joined_where_it_belongs() {
    Mistake {
        cause: "the kernel's report of group memberships (IGMP, MLD); programs have joined 239.7.7.7 on eth1",
        // That it is joined, and that it is left.
        packets: Some(4),
        policy: Some(
            "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"reports\"\ndestination = [\"224.0.0.22/32\"]\nonly_via \
             = [\"backplane\"]\n",
        ),
        remedies: vec![
            operator(
                "give 239.7.7.7 a route via fab0 before the program joins, and start the program again, if it joins without an interface (`ip route replace 239.7.7.7 dev \
                 fab0`)",
                Then::By("fab0"),
            ),
            developer(
                "name fab0 where the program joins the group",
                Then::By("fab0"),
            ),
        ],
        ..of(
            "policy-escape",
            "30 group",
            From::Card,
            "groups --how mreqn --group 239.7.7.7",
        )
    }
    .is_fixed();
}

/// The tunnel leads to a neighbour.
fn up(bench: &Bench) {
    bench.run("ip", "link set vx0 multicast off up");
    bench.run("ip", "address add 10.7.0.1/24 dev vx0");
    bench.run(
        "ip",
        "neighbour add 10.7.0.2 lladdr 02:00:00:00:00:77 dev vx0",
    );
}

/// A tunnel from the backplane's address to the world.
#[test]
fn a_tunnel_gets_the_address_of_its_way() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "link add vx0 type vxlan id 7 local 10.0.0.1 remote 203.0.113.9 dstport 4789",
        );
        up(bench);
    }
    Mistake {
        needs: &[Need::Program("nft"), Need::Link(LinkKind::Vxlan)],
        cause: "the outer packet of a tunnel; the tunnel is vx0; route 0.0.0.0/0 via 192.0.2.2 dev eth1",
        make,
        remedies: vec![
            operator(
                "give the tunnel vx0 the local address 192.0.2.1 (`ip link set dev vx0 type vxlan local 192.0.2.1`)",
                Then::By("eth1"),
            ),
            operator("drop it where it leaves via eth1", Then::Nowhere),
        ],
        ..of(
            "address-escape",
            "30 tunnel",
            From::Card,
            "udp --to 10.7.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A tunnel whose own setting is the address of where it must not leave: a route alone would take that along.
#[test]
fn a_tunnel_is_led_home_with_an_address_of_home() {
    fn make(bench: &Bench) {
        misled_world(bench);
        bench.run(
            "ip",
            "link add vx0 type vxlan id 7 local 192.0.2.1 remote 203.0.113.9 dstport 4789",
        );
        up(bench);
    }
    Mistake {
        needs: &[Need::Program("nft"), Need::Link(LinkKind::Vxlan)],
        cause: "=the outer packet of a tunnel; the tunnel is vx0; route 203.0.113.9/32 via 192.0.2.2 dev eth1 in table main",
        policy: Some(WORLD),
        make,
        remedies: vec![operator(
            "give 203.0.113.9 a route via fab0, and give the tunnel vx0 the local address 10.0.0.1 (`ip route replace 203.0.113.9 \
             via 10.0.0.2 dev fab0; ip link set dev vx0 type vxlan local 10.0.0.1`)",
            Then::By("fab0"),
        )],
        ..of(
            "policy-escape",
            "30 policy-tunnel-local",
            From::Card,
            "udp --to 10.7.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// One without such a setting has the address that the route gives.
#[test]
fn a_tunnel_without_an_address_is_led_home_by_a_route() {
    fn make(bench: &Bench) {
        misled_world(bench);
        bench.run(
            "ip",
            "link add vx0 type vxlan id 7 remote 203.0.113.9 dstport 4789",
        );
        up(bench);
    }
    Mistake {
        needs: &[Need::Program("nft"), Need::Link(LinkKind::Vxlan)],
        cause: "=the outer packet of a tunnel; the tunnel is vx0; route 203.0.113.9/32 via 192.0.2.2 dev eth1 in table main",
        policy: Some(WORLD),
        make,
        remedies: vec![operator(
            "give 203.0.113.9 a route via fab0 (`ip route replace 203.0.113.9 via 10.0.0.2 dev fab0`)",
            Then::By("fab0"),
        )],
        ..of(
            "policy-escape",
            "30 policy-tunnel",
            From::Card,
            "udp --to 10.7.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// An answer has the address that was asked, whatever routes say: by the backplane, that would be another mistake.
#[test]
fn a_reset_that_a_rule_keeps_elsewhere_is_dropped() {
    scenario("30 policy-reset", NFT, |bench| {
        misled_world(bench);
        let outside = &bench.chassis.outside;
        let try_to_connect = || {
            let [from, to] = ["203.0.113.9:0", "192.0.2.1:9"]
                .map(|address| address.parse::<SocketAddr>().expect("an address").into());
            let refused = outside.run(|| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.bind(&from)?;
                socket.connect_timeout(&to, Duration::from_secs(1))
            });
            refused
                .expect("the namespace")
                .expect_err("nobody accepts")
                .kind()
        };
        let auditor = bench.audit_with(WORLD, &[]);
        assert_eq!(try_to_connect(), io::ErrorKind::ConnectionRefused);
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!((finding.kind.name(), finding.packets), ("policy-escape", 1));
        let texts = finding.remedies.iter();
        let texts: Vec<_> = texts.map(|step| on_card(finding, &step.text)).collect();
        assert_eq!(
            texts,
            [
                "drop it where it leaves via eth1 (`nft 'add table inet pinif_fix; add chain inet pinif_fix postrouting { type \
                 filter hook postrouting priority 101; }; add rule inet pinif_fix postrouting oifname \"eth1\" ip daddr 203.0.113.9 tcp \
                 flags & rst == rst drop'`)",
                "let rule world allow eth1",
            ]
        );
        bench.shell(&finding.remedies[0].commands[0]);
        let auditor = bench.audit_with(WORLD, &[]);
        assert_eq!(try_to_connect(), io::ErrorKind::TimedOut);
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
    });
}
