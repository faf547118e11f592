//! Remedies of what goes to addresses of a link alone: 169.254.0.0/16, fe80::/10, and reports of groups of IPv6 (MLD).

use crate::bench::Bench;
use crate::bench::carry::{Mistake, Then, developer, operator};

/// What goes to addresses of a link alone stays on the backplane.
const LINK_LOCAL: &str = r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "link-local"
destination = ["169.254.0.0/16", "fe80::/10", "ff02::16/128"]
only_via = ["backplane"]
"#;

fn escape(name: &'static str, sends: &'static str) -> Mistake {
    Mistake {
        policy: Some(LINK_LOCAL),
        ..Mistake::of("policy-escape", name, sends)
    }
}

/// A more specific route leads away from a midplane in 169.254.0.0/16.
#[test]
fn a_route_of_a_midplane_is_corrected() {
    fn make(bench: &Bench) {
        bench.run("ip", "address add 169.254.7.1/24 dev fab0");
        let peer = &bench.chassis.peer;
        let address = "169.254.7.2/24".parse().expect("an address");
        peer.add_address("fab0", address).expect("fab0");
        bench.knows("fab0", "169.254.7.2");
        bench.run("ip", "route add 169.254.7.0/30 via 192.0.2.2 dev eth1");
    }
    Mistake {
        cause: "route 169.254.7.0/30 via 192.0.2.2 dev eth1 in table main",
        make,
        remedies: vec![
            operator(
                "give 169.254.7.0/30 a route via fab0 (`ip route replace 169.254.7.0/30 dev fab0`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape("30 link-local-v4", "udp --to 169.254.7.2:7009 --count 10")
    }
    .is_fixed();
}

/// The program names the interface with the address.
#[test]
fn a_scope_is_the_one_where_it_belongs() {
    Mistake {
        cause: "most likely the program named eth1 (sin6_scope_id)",
        remedies: vec![
            operator(
                "start the program by pinif run, which drops what would leave by another interface",
                Then::Nowhere,
            ),
            developer(
                "bind the socket to fab0 with SO_BINDTODEVICE, and let the program name no other (sin6_scope_id)",
                Then::Peer,
            ),
        ],
        ..escape(
            "30 link-local-v6",
            "udp --scope eth1 --to [fe80::2]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A group that a route leads outside: the kernel reports it there by MLD.
#[test]
fn a_group_of_ipv6_is_joined_where_it_belongs() {
    fn make(bench: &Bench) {
        bench.run("ip", "-6 route add ff05::/16 dev eth1 table local");
    }
    Mistake {
        cause: "the kernel's report of group memberships (IGMP, MLD); programs have joined ",
        // That it is joined, and that it is left.
        packets: None,
        make,
        remedies: vec![
            operator("give ", Then::By("fab0")),
            developer(
                "name fab0 where the program joins the group (ipv6mr_interface, gr_interface)",
                Then::By("fab0"),
            ),
        ],
        ..escape("30 group-v6", "groups --how mreqn --group ff05::7")
    }
    .is_fixed();
}

/// IPv6 has the routes of groups in the local table, which is asked first.
#[test]
fn a_group_of_ipv6_that_a_route_leads_out_is_led_home() {
    fn make(bench: &Bench) {
        bench.run("ip", "-6 route add ff05::/16 dev eth1 table local");
    }
    Mistake {
        cause: "=most likely route ff05::/16 dev eth1 in table local",
        policy: Some(
            "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"groups\"\ndestination = [\"ff05::/16\"]\nonly_via = \
             [\"backplane\"]\n",
        ),
        make,
        remedies: vec![
            operator(
                "give ff05::/16 a route via fab0 in table local (`ip -6 route replace ff05::/16 dev fab0 table 255`)",
                Then::By("fab0"),
            ),
            operator("start the program by pinif run", Then::By("fab0")),
            developer("bind the socket to fab0 with SO_BINDTODEVICE", Then::By("fab0")),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 group-routed-v6",
            "udp --to [ff05::7]:7009 --count 10",
        )
    }
    .is_fixed();
}
