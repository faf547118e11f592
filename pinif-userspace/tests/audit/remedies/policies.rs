//! Remedies of `policy-escape` and `unpinned`: a rule keeps it on the backplane.

use super::{misled, peer_has};
use crate::bench::arrivals::Arrivals;
use crate::bench::carry::{From, Mistake, Then, developer, on_card, operator};
use crate::bench::{Bench, CONTROL_PLANE, CONTROL_PLANE_PINNED, Need, scenario};
use pinif_lab::LinkKind;

pub(super) fn escape(name: &'static str, sends: &'static str) -> Mistake {
    Mistake {
        policy: Some(CONTROL_PLANE),
        ..Mistake::of("policy-escape", name, sends)
    }
}

/// Nothing leads to it by the backplane. That is somebody's to decide.
#[test]
fn what_nothing_reaches_is_somebodys_to_decide() {
    Mistake {
        cause: "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        remedies: vec![operator(
            "decide where 10.9.0.9 belongs: no route leads there via fab0, so that a socket bound there would wait for a neighbour \
             that does not answer; give it a router there, or let rule control-plane allow eth1",
            Then::Words,
        )],
        ..escape("30 policy-beyond", "udp --to 10.9.0.9:7009 --count 10")
    }
    .is_fixed();
}

/// The program has an address of eth1: where it belongs, that would be another mistake.
#[test]
fn a_route_takes_no_foreign_address_along() {
    Mistake {
        cause: "rule 100 (from 192.0.2.1) sent it to table 100",
        make: |bench| misled(bench, "pref 100 from 192.0.2.1"),
        remedies: vec![operator(
            "give 10.0.0.2 a route via fab0 in table 100, and translate the source 192.0.2.1 there to an address of fab0",
            Then::Peer,
        )],
        ..escape(
            "30 policy-address",
            "udp --bind 192.0.2.1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The route is for this type of service, and another for the same network leads where it belongs: that one is not to be replaced by itself.
#[test]
fn a_route_of_a_type_of_service_is_corrected() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "route add 10.0.0.0/30 tos 0x10 via 192.0.2.2 dev eth1",
        );
        bench.run("ip", "route add 10.0.0.0/30 dev fab0");
    }
    Mistake {
        cause: "route 10.0.0.0/30 tos 0x10 via 192.0.2.2 dev eth1 in table main",
        make,
        remedies: vec![
            operator(
                "give 10.0.0.0/30 a route via fab0 (`ip route replace 10.0.0.0/30 tos 0x10 dev fab0`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape(
            "30 policy-route-tos",
            "udp --tos 16 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A more specific route leads away from the backplane's own network.
#[test]
fn a_route_is_corrected() {
    Mistake {
        cause: "route 10.0.0.0/30 via 192.0.2.2 dev eth1 in table main",
        make: |bench| bench.run("ip", "route add 10.0.0.0/30 via 192.0.2.2 dev eth1"),
        remedies: vec![
            operator(
                "give 10.0.0.0/30 a route via fab0 (`ip route replace 10.0.0.0/30 dev fab0`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape("30 policy-route", "udp --to 10.0.0.2:7009 --count 10")
    }
    .is_fixed();
}

/// The right route is there as well, behind two wrong ones: the kernel refuses to replace one by it (EEXIST).
#[test]
fn a_route_before_the_right_one_is_deleted() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "route add 10.0.0.0/30 via 192.0.2.2 dev eth1 metric 7",
        );
        bench.run("ip", "route append 10.0.0.0/30 dev eth1 metric 7");
        bench.run("ip", "route append 10.0.0.0/30 dev fab0 metric 7");
    }
    Mistake {
        cause: "route 10.0.0.0/30 via 192.0.2.2 dev eth1 in table main",
        make,
        remedies: vec![
            operator(
                "give 10.0.0.0/30 no other route than the one via fab0 (`ip route del 10.0.0.0/30 via 192.0.2.2 dev eth1 metric 7; ip route del \
                 10.0.0.0/30 dev eth1 metric 7`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape("30 policy-route-behind", "udp --to 10.0.0.2:7009 --count 10")
    }
    .is_fixed_by_each();
}

/// A route by a next-hop object hides the backplane's own network, which begins with the same address, from what asks by fab0: the neighbour is
/// taken for one on the link nevertheless. Older kernels find the network (`fib_table_lookup` without `nexthop_get_nhc_lookup`).
#[test]
fn a_route_by_a_next_hop_object_is_corrected() {
    fn make(bench: &Bench) {
        bench.run("ip", "nexthop add id 7 via 192.0.2.2 dev eth1");
        bench.run("ip", "route add 10.0.0.0/30 nhid 7");
    }
    Mistake {
        cause: "route 10.0.0.0/30 via 192.0.2.2 dev eth1 in table main",
        make,
        remedies: vec![
            operator("give 10.0.0.", Then::Peer),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape("30 policy-next-hop", "udp --to 10.0.0.2:7009 --count 10")
    }
    .is_fixed_by_each();
}

/// The right route is there as well, behind the wrong one: nothing that asks by fab0 finds it, since the search ends at a next-hop object of
/// another interface (`fib_table_lookup`). What is bound to fab0 would take the destination for a neighbour, which it is not. Older kernels
/// find it, so that there are further remedies.
#[test]
fn a_route_by_a_next_hop_object_before_the_right_one_is_deleted() {
    const SENDS: &str = "udp --to 10.9.0.7:7009 --count 10";
    let needs = [Need::Program("ip")];
    scenario("30 policy-next-hop-behind", &needs, |bench| {
        bench.run("ip", "nexthop add id 7 via 192.0.2.2 dev eth1");
        bench.run("ip", "route add 10.9.0.0/16 nhid 7");
        bench.run("ip", "route append 10.9.0.0/16 via 10.0.0.2 dev fab0");
        peer_has(bench, "10.9.0.7/32");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        bench.send(SENDS);
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        let step = &finding.remedies[0];
        assert_eq!(
            on_card(finding, &step.text),
            "give 10.9.0.0/16 no other route than the one via fab0 (`ip route del 10.9.0.0/16 nhid 7`)"
        );
        step.commands.iter().for_each(|line| bench.shell(line));
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let arrivals = Arrivals::at(bench);
        bench.send(SENDS);
        arrivals.are(10, 0, step);
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "after {step:#?}\n{report}");
    });
}

/// The program binds its socket to the wrong device.
#[test]
fn a_socket_is_bound_to_the_device_where_it_belongs() {
    Mistake {
        cause: "the process bound the socket to eth1",
        remedies: vec![
            operator(
                "start the program by pinif run, which refuses to bind its sockets otherwise (`pinif run --interface fab0 -- COMMAND`)",
                Then::Peer,
            ),
            developer(
                "bind the socket to fab0 instead of eth1, or let the rule allow eth1",
                Then::Peer,
            ),
        ],
        ..escape(
            "30 policy-bound",
            "udp --bind-device eth1 --ignore-bind-error --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The same, with an address of that: the one of the two would not fit the other.
#[test]
fn a_socket_is_bound_to_device_and_address_where_it_belongs() {
    Mistake {
        cause: "the process bound the socket to eth1",
        remedies: vec![developer(
            "bind the socket to fab0 instead of eth1 and let it send from 10.0.0.1, fab0's address, or let the rule allow eth1",
            Then::Peer,
        )],
        ..escape(
            "30 policy-bound-address",
            "udp --bind-device eth1 --bind 192.0.2.1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

#[test]
fn a_program_that_names_the_interface_is_held() {
    Mistake {
        cause: "most likely the program named eth1 (IP_PKTINFO or IP_UNICAST_IF), or a route that is gone did: the kernel routes it via \
                fab0 now",
        make: |bench| bench.knows("eth1", "10.0.0.2"),
        remedies: vec![
            operator(
                "start the program by pinif run, which drops what would leave by another interface",
                Then::Nowhere,
            ),
            developer(
                "bind the socket to fab0 with SO_BINDTODEVICE, and let the program name no other",
                Then::Peer,
            ),
        ],
        ..escape(
            "30 policy-named",
            "udp --pktinfo eth1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The address chooses the interface of a group; the group's route is not asked.
#[test]
fn a_source_that_chooses_the_interface_of_a_group_is_named() {
    fn make(bench: &Bench) {
        bench.run("ip", "route add 239.0.0.0/8 dev fab0");
    }
    Mistake {
        cause: "most likely its source 192.0.2.1 is eth1's, which chooses the interface for a group or a broadcast address without a route",
        policy: Some(GROUPS),
        make,
        remedies: vec![developer(
            "let the program send from 10.0.0.1, fab0's address, or from none",
            Then::Peer,
        )],
        ..escape(
            "30 policy-group",
            "udp --bind 192.0.2.1 --to 239.1.1.1:7009 --count 10",
        )
    }
    .is_fixed();
}

pub(super) const GROUPS: &str = r#"
[zone.backplane]
interfaces = ["fab*"]

[[rule]]
name = "groups"
destination = ["239.0.0.0/8", "224.0.0.22/32"]
only_via = ["backplane"]
"#;

#[test]
fn what_is_forwarded_is_dropped_or_routed() {
    fn make(bench: &Bench) {
        bench.let_forward();
        bench.run(
            "ip",
            "route add 203.0.113.0/24 via 192.0.2.2 dev eth1 table 100",
        );
        bench.run("ip", "rule add pref 100 iif fab0 lookup 100");
    }
    Mistake {
        cause: "forwarded from fab0; rule 100 (iif fab0) sent it to table 100",
        policy: Some(
            "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"world\"\ndestination = [\"203.0.113.0/24\"]\nonly_via = \
             [\"backplane\"]\n",
        ),
        make,
        from: From::Peer,
        remedies: vec![
            operator(
                "drop it in the forward chain when it would leave via eth1 (`nft ",
                Then::Nowhere,
            ),
            operator("decide where 203.0.113.9 belongs", Then::Words),
        ],
        ..escape("30 policy-forwarded", "udp --to 203.0.113.9:7009 --count 10")
    }
    .is_fixed();
}

#[test]
fn what_must_be_pinned_is_bound_where_it_left() {
    Mistake {
        kind: "unpinned",
        cause: "route 10.0.0.0/24 dev fab0 src 10.0.0.1 in table main",
        policy: Some(CONTROL_PLANE_PINNED),
        // A second interface of the zone, which reaches nothing.
        needs: &[Need::Link(LinkKind::Bridge)],
        make: |bench| {
            bench.run("ip", "link add fab1 type bridge");
            bench.run("ip", "link set fab1 up");
        },
        remedies: vec![
            operator(
                "start the program by pinif run (`pinif run --interface fab0 -- COMMAND`)",
                Then::Peer,
            ),
            developer("bind the socket to fab0 with SO_BINDTODEVICE", Then::Peer),
        ],
        ..escape("30 unpinned", "udp --to 10.0.0.2:7009 --count 10")
    }
    .is_fixed();
}

/// A device of another name than the program was given.
#[test]
fn a_device_that_was_refused_is_named() {
    Mistake {
        kind: "unpinned",
        cause: "most likely SO_BINDTODEVICE to fab7 was refused (ENODEV)",
        policy: Some(CONTROL_PLANE_PINNED),
        remedies: vec![operator(
            "find out why SO_BINDTODEVICE to fab7 fails (ENODEV), and let the program stop when it does",
            Then::Words,
        )],
        ..escape(
            "30 refused",
            "udp --bind-device fab7 --ignore-bind-error --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// After four datagrams the program lets the device go, and a route leads outside.
#[test]
fn a_socket_stays_bound() {
    Mistake {
        cause: "socket was unbound from fab0; route 10.0.0.0/30 via 192.0.2.2 dev eth1 in table main",
        packets: Some(6),
        make: |bench| bench.run("ip", "route add 10.0.0.0/30 via 192.0.2.2 dev eth1"),
        remedies: vec![
            operator(
                "start the program by pinif run, which refuses to bind its sockets otherwise (`pinif run --interface fab0 -- COMMAND`)",
                Then::Peer,
            ),
            developer(
                "bind the socket to fab0 once, before it sends, and leave it bound",
                Then::Peer,
            ),
        ],
        ..escape(
            "30 unbound",
            "udp --bind-device fab0 --unbind-after 4 --ignore-bind-error --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// After four datagrams the program takes another device.
#[test]
fn a_socket_is_bound_once() {
    Mistake {
        cause: "socket was rebound from fab0 to eth1",
        packets: Some(6),
        make: |bench| bench.knows("eth1", "10.0.0.2"),
        remedies: vec![
            operator(
                "start the program by pinif run, which refuses to bind its sockets otherwise (`pinif run --interface fab0 -- COMMAND`)",
                Then::Peer,
            ),
            developer(
                "bind the socket to fab0 once, before it sends, and leave it bound",
                Then::Peer,
            ),
        ],
        ..escape(
            "30 rebound",
            "udp --bind-device fab0 --rebind eth1 --rebind-after 4 --ignore-bind-error --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}
