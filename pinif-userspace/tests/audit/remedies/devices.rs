//! Remedies of what is about a bound device: `device-escape`, `copy-escape` and `crossed-bind`.

use crate::bench::carry::{Mistake, Then, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE, Need};
use pinif_lab::LinkKind;

#[test]
fn ip_pktinfo_names_the_bound_device() {
    Mistake {
        cause: "IP_PKTINFO override",
        make: |bench| bench.knows("eth1", "10.0.0.2"),
        remedies: vec![
            operator(
                "start the program by pinif run, which drops what would leave by another interface (`pinif run --interface fab0 -- \
                 COMMAND`)",
                Then::Nowhere,
            ),
            developer(
                "send without IP_PKTINFO's ipi_ifindex, or set it to fab0",
                Then::Peer,
            ),
        ],
        ..Mistake::of(
            "device-escape",
            "30 pktinfo",
            "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A socket of IPv6 that sends IPv4 may name the interface by the message of either.
#[test]
fn a_socket_of_ipv6_that_sends_ipv4_names_the_bound_device() {
    Mistake {
        cause: "=IP_PKTINFO or IPV6_PKTINFO override",
        make: |bench| bench.knows("eth1", "10.0.0.2"),
        remedies: vec![
            operator(
                "start the program by pinif run, which drops what would leave by another interface",
                Then::Nowhere,
            ),
            developer(
                "send without IP_PKTINFO's ipi_ifindex or IPV6_PKTINFO's ipi6_ifindex, or set it to fab0",
                Then::Peer,
            ),
        ],
        ..Mistake::of(
            "device-escape",
            "30 pktinfo-mapped",
            "udp --bind-device fab0 --pktinfo eth1 --to [::ffff:10.0.0.2]:7009 --count 10",
        )
    }
    .is_fixed();
}

#[test]
fn the_scope_is_the_bound_device() {
    Mistake {
        cause: "sin6_scope_id override",
        remedies: vec![
            operator("start the program by pinif run", Then::Nowhere),
            developer(
                "set sin6_scope_id to the index of fab0, or to 0",
                Then::Peer,
            ),
        ],
        ..Mistake::of(
            "device-escape",
            "30 scope",
            "udp --bind-device fab0 --scope eth1 --to [fe80::2]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The VRF's table has its own network alone, so that the rules go on to the main table.
#[test]
fn a_vrf_ends_where_its_table_does() {
    fn make(bench: &Bench) {
        bench.run("ip", "link add blue type vrf table 10");
        bench.run("ip", "link set blue up");
        bench.run("ip", "link set fab0 master blue");
    }
    Mistake {
        needs: &[Need::Link(LinkKind::Vrf)],
        cause: "table 10 of the VRF blue has no route there",
        make,
        remedies: vec![operator(
            "give 203.0.113.9 a route in table 10 of the VRF blue",
            Then::Nowhere,
        )],
        ..Mistake::of(
            "device-escape",
            "30 vrf",
            "udp --bind-device blue --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

#[test]
fn a_rule_that_duplicates_is_deleted() {
    fn make(bench: &Bench) {
        bench.run("nft", "add table netdev lab");
        bench.run(
            "nft",
            "add chain netdev lab out { type filter hook egress device fab0 priority 0 ; }",
        );
        bench.run("nft", "add rule netdev lab out udp dport 7009 dup to eth1");
    }
    Mistake {
        needs: &[Need::NetdevEgress],
        cause: "a mirror, redirect or duplicate (nft rule netdev lab out handle ",
        make,
        remedies: vec![operator(
            "delete the nft rule netdev lab out handle ",
            Then::Peer,
        )],
        ..Mistake::of(
            "copy-escape",
            "30 dup",
            "udp --bind-device fab0 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// Of a socket that is bound to nothing, a route leads home, and nothing shows that the program named another interface.
#[test]
fn a_rule_that_redirects_is_deleted() {
    fn make(bench: &Bench) {
        bench.run("nft", "add table netdev lab");
        bench.run(
            "nft",
            "add chain netdev lab out { type filter hook egress device fab0 priority 0 ; }",
        );
        bench.run("nft", "add rule netdev lab out udp dport 7009 fwd to eth1");
    }
    Mistake {
        needs: &[Need::NetdevEgress],
        cause: "most likely a mirror, redirect or duplicate (nft rule netdev lab out handle ",
        make,
        remedies: vec![operator(
            "delete the nft rule netdev lab out handle ",
            Then::Peer,
        )],
        ..Mistake::of(
            "address-escape",
            "30 redirect",
            "udp --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

#[test]
fn address_and_device_are_of_one_interface() {
    Mistake {
        cause: "bind() to 192.0.2.1 of eth1, and SO_BINDTODEVICE to fab0",
        remedies: vec![developer(
            "bind the socket to 10.0.0.1, an address of fab0, or to the device eth1",
            Then::Peer,
        )],
        ..Mistake::of(
            "crossed-bind",
            "30 crossed",
            "udp --bind 192.0.2.1 --bind-device fab0 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A packet socket names its interface with each packet.
#[test]
fn a_packet_socket_names_where_it_belongs() {
    Mistake {
        cause: "packet socket, which chooses its interface by sll_ifindex",
        policy: Some(CONTROL_PLANE),
        remedies: vec![developer(
            "send with the index of fab0 in sll_ifindex",
            Then::By("fab0"),
        )],
        ..Mistake::of(
            "address-escape",
            "30 packet",
            "packet --device eth1 --from 10.0.0.1:5000 --to 10.0.0.2:9 --count 10",
        )
    }
    .is_fixed();
}
