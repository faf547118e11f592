//! Remedies of routes with several next hops, of which one leads where the traffic belongs.

use crate::bench::carry::{From, Mistake, Then, on_card, operator};
use crate::bench::{Bench, CONTROL_PLANE, Events, Need, scenario, wait_until};

const ROUTE: &str =
    "route add 10.9.0.0/16 nexthop via 10.0.0.2 dev fab0 nexthop via 192.0.2.2 dev eth1";
const SENDS: &str = "udp --to 10.9.0.9:7009 --count 10";

/// The link comes up, and each flow would take one of both next hops again.
#[test]
fn of_a_next_hop_whose_link_is_down_the_route_is_changed_as_well() {
    fn make(bench: &Bench) {
        bench.run("ip", ROUTE);
        super::peer_has(bench, "10.9.0.9/32");
        bench.card().set_down("fab0").expect("fab0 goes down");
    }
    Mistake {
        cause: "=link fab0 is down; route 10.9.0.0/16 via 192.0.2.2 dev eth1 in table main, one of its 2 next hops",
        policy: Some(CONTROL_PLANE),
        make,
        // The kernel forgets neighbours with the link.
        meanwhile: |bench| bench.knows("fab0", "10.0.0.2"),
        remedies: vec![operator(
            "bring fab0 up, and give 10.9.0.0/16 a route via fab0 (`ip link set fab0 up; ip route replace 10.9.0.0/16 via 10.0.0.2 dev fab0`)",
            Then::Peer,
        )],
        ..Mistake::of("policy-escape", "30 multipath-down", SENDS)
    }
    .is_fixed();
}

/// The kernel removes the addresses of IPv6 with the link, and nobody knows them then.
#[test]
fn of_a_next_hop_of_ipv6_whose_link_is_down_its_address_comes_first() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "-6 route add fd09::/32 nexthop via fd00::2 dev fab0 nexthop via 2001:db8::2 dev eth1",
        );
        bench.card().set_down("fab0").expect("fab0 goes down");
    }
    Mistake {
        cause: "=link fab0 is down; route fd09::/32 via 2001:db8::2 dev eth1 in table main, one of its 2 next hops",
        policy: Some(CONTROL_PLANE),
        make,
        remedies: vec![operator(
            "bring fab0 up, give it its address of IPv6 again, which the kernel removed when it went down, and give fd09::/32 a route via fab0",
            Then::Words,
        )],
        ..Mistake::of(
            "policy-escape",
            "30 multipath-down-v6",
            "udp --to [fd09::7]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The same of what the card forwards: it goes back by the link that it came by.
#[test]
fn of_a_next_hop_whose_link_is_down_what_is_forwarded_is_led_home() {
    fn make(bench: &Bench) {
        bench.let_forward();
        // The kernel would send a redirect to whoever is sent back.
        for link in ["all", "eth1"] {
            let setting = format!("ipv4/conf/{link}/send_redirects");
            bench.card().set_sysctl(&setting, "0").expect("a setting");
        }
        bench.run("ip", ROUTE);
        super::peer_has(bench, "10.9.0.7/32");
        bench.card().set_down("fab0").expect("fab0 goes down");
    }
    Mistake {
        cause: "=forwarded from eth1; link fab0 is down; route 10.9.0.0/16 via 192.0.2.2 dev eth1 in table main, one of its 2 next hops",
        policy: Some(CONTROL_PLANE),
        make,
        meanwhile: |bench| bench.knows("fab0", "10.0.0.2"),
        from: From::Outside,
        remedies: vec![
            operator(
                "bring fab0 up, and give 10.9.0.0/16 a route via fab0 (`ip link set fab0 up; ip route replace 10.9.0.0/16 via 10.0.0.2 dev fab0`)",
                Then::Peer,
            ),
            operator(
                "drop it in the forward chain when it would leave via eth1 (`nft ",
                Then::Nowhere,
            ),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 multipath-down-forwarded",
            "udp --to 10.9.0.7:7009 --count 10",
        )
    }
    .is_fixed();
}

/// No command gives a link its carrier, and no route leads by it until then, where a setting says so.
#[test]
fn of_a_next_hop_without_carrier_nothing_is_done_by_a_command() {
    fn make(bench: &Bench) {
        bench.run("ip", ROUTE);
        let card = bench.card();
        let setting = "ipv4/conf/fab0/ignore_routes_with_linkdown";
        card.set_sysctl(setting, "1").expect("a setting");
        let events = Events::of_links([card]);
        bench.chassis.peer.set_down("fab0").expect("it is there");
        wait_until("fab0 has no carrier", &events, || {
            bench.ask("ip", "link show fab0").contains("NO-CARRIER")
        });
    }
    Mistake {
        cause: "=link fab0 has no carrier; route 10.9.0.0/16 via 192.0.2.2 dev eth1 in table main, one of its 2 next hops",
        policy: Some(CONTROL_PLANE),
        make,
        remedies: vec![operator(
            "give fab0 a carrier (its cable, the other end, or the interface below it), and give 10.9.0.0/16 a route via fab0",
            Then::Words,
        )],
        ..Mistake::of("policy-escape", "30 multipath-carrier", SENDS)
    }
    .is_fixed();
}

/// Both carry packets, and the kernel chooses for each flow.
fn one_of_two(
    name: &str,
    family: &str,
    to: fn(u8) -> String,
    network: &str,
    hops: [&str; 2],
    command: &str,
) {
    scenario(name, &[Need::Program("ip")], |bench| {
        let [inside, outside] = hops;
        bench.run(
            "ip",
            &format!(
                "{family}route add {network} nexthop via {inside} dev fab0 nexthop via {outside} dev eth1"
            ),
        );
        let sends = || {
            for host in 1..=40 {
                bench.send(&format!("udp --to {}", to(host)));
            }
        };
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        sends();
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(finding.kind.name(), "policy-escape", "{report}");
        assert!(
            finding.cause.starts_with(&format!(
                "route {network} via {outside} dev eth1 in table main, one of its 2 next hops"
            )),
            "{report}"
        );
        let step = &finding.remedies[0];
        assert_eq!(
            on_card(finding, &step.text),
            format!("give {network} a route via fab0 (`{command}`)")
        );
        step.commands.iter().for_each(|line| bench.shell(line));
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        sends();
        let report = auditor.stop();
        assert_eq!(report.sent_by("fab0").packets, 40, "{report}");
        assert!(report.findings.is_empty(), "after {step:#?}\n{report}");
    });
}

#[test]
fn of_two_next_hops_the_route_is_changed() {
    one_of_two(
        "30 multipath",
        "",
        |host| format!("10.9.1.{host}:7009"),
        "10.9.0.0/16",
        ["10.0.0.2", "192.0.2.2"],
        "ip route replace 10.9.0.0/16 via 10.0.0.2 dev fab0",
    );
}

#[test]
fn of_two_next_hops_of_ipv6_the_route_is_changed() {
    one_of_two(
        "30 multipath-v6",
        "-6 ",
        |host| format!("[fd09::{host}]:7009"),
        "fd09::/32",
        ["fd00::2", "2001:db8::2"],
        "ip -6 route replace fd09::/32 via fd00::2 dev fab0",
    );
}
