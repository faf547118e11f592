//! Addresses that are no single interface's: no packet from one of them is misrouted. Case 8 of docs/developers/scenarios.md.

use crate::bench::{Bench, Need, risk, scenario, together};
use pinif_lab::{Device, LinkKind};

together! {
    shared_addresses:
        an_address_of_the_loopback_is_the_hosts,
        an_ipv6_address_of_the_loopback_is_the_hosts,
        a_router_id_on_a_dummy_device_is_the_hosts,
        an_address_on_two_interfaces_is_neithers,
        an_ipv6_address_on_two_interfaces_is_neithers,
        an_anycast_address_is_the_hosts,
        an_address_of_a_local_route_is_the_hosts,
        an_address_that_one_interface_keeps_is_that_ones_again;
}

fn plug(bench: &Bench, link: &str, address: &str) {
    bench
        .card()
        .add_address(link, address.parse().expect("an address"))
        .expect("an address");
}

/// A socket that is bound to this address sends by either interface.
fn everywhere(bench: &Bench, local: &str) {
    let (inside, outside) = if local.contains(':') {
        ("[fd00::2]:9", "[2001:db8:f::9]:9")
    } else {
        ("10.0.0.2:9", "203.0.113.9:9")
    };
    let auditor = bench.audit(&[]);
    bench.send(&format!("udp --bind {local} --to {inside} --count 400"));
    bench.send(&format!("udp --bind {local} --to {outside} --count 600"));
    auditor
        .stop()
        .expect()
        .contained_unpinned("fab0", 400)
        .contained_unpinned("eth1", 600)
        .nothing_else();
}

fn an_address_of_the_loopback_is_the_hosts() {
    scenario("8 loopback", &[], |bench| {
        plug(bench, "lo", "10.255.0.1/32");
        everywhere(bench, "10.255.0.1");
    });
}

fn an_ipv6_address_of_the_loopback_is_the_hosts() {
    scenario("8 loopback-v6", &[], |bench| {
        plug(bench, "lo", "fd00:ff::1/128");
        everywhere(bench, "fd00:ff::1");
    });
}

fn a_router_id_on_a_dummy_device_is_the_hosts() {
    scenario("8 router-id", &[Need::Link(LinkKind::Dummy)], |bench| {
        bench
            .card()
            .add_device(Device::new(LinkKind::Dummy, "dummy0"))
            .expect("a dummy device");
        bench.card().set_up("dummy0").expect("a dummy device");
        plug(bench, "dummy0", "10.255.0.1/32");
        everywhere(bench, "10.255.0.1");
    });
}

fn an_address_on_two_interfaces_is_neithers() {
    scenario("8 vip", &[], |bench| {
        for link in ["fab0", "eth1"] {
            plug(bench, link, "10.255.0.1/32");
        }
        everywhere(bench, "10.255.0.1");
    });
}

fn an_ipv6_address_on_two_interfaces_is_neithers() {
    scenario("8 vip-v6", &[], |bench| {
        for link in ["fab0", "eth1"] {
            plug(bench, link, "fd00:ff::1/128");
        }
        everywhere(bench, "fd00:ff::1");
    });
}

/// Each host that serves an anycast address has it on its loopback, and on the interface that announces it.
fn an_anycast_address_is_the_hosts() {
    scenario("8 anycast", &[], |bench| {
        for link in ["lo", "fab0"] {
            plug(bench, link, "10.255.0.1/32");
        }
        everywhere(bench, "10.255.0.1");
    });
}

fn an_address_of_a_local_route_is_the_hosts() {
    scenario("8 anyip", &[Need::Program("ip")], |bench| {
        bench.run("ip", "route add local 10.255.0.0/16 dev lo");
        everywhere(bench, "10.255.7.7");
    });
}

fn an_address_that_one_interface_keeps_is_that_ones_again() {
    scenario("9 vip-left-on-one", &[], |bench| {
        for link in ["fab0", "eth1"] {
            plug(bench, link, "10.255.0.1/32");
        }
        bench
            .card()
            .delete_address("eth1", "10.255.0.1/32".parse().expect("an address"))
            .expect("it has it");
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind 10.255.0.1 --to 203.0.113.9:9 --count 1000");
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(1000)
            .by(&sent)
            .bound_address("10.255.0.1");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}
