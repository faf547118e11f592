//! Zones of links that are on an interface of a zone.

use pinif_lab::{Device, LinkKind};

use crate::bench::{Bench, CONTROL_PLANE_PINNED, Need, leak, scenario, together};

together! {
    zones:
        a_macvlan_is_in_the_zone_of_its_link,
        an_ipvlan_is_in_the_zone_of_its_link,
        a_vlan_is_in_the_zone_of_its_link,
        a_macvlan_with_a_zone_of_its_own_is_in_no_other;
}

/// A link on fab0 that no zone names.
fn in_the_zone(name: &str, device: Device<'_>, link: &'static str, kind: LinkKind) {
    scenario(name, &[Need::Link(kind)], |bench| {
        on_the_backplane(bench, device, link);
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &["--enforce"]);
        let sent = bench.send(&format!(
            "udp --bind-device {link} --to 10.44.0.2:9 --count 1000"
        ));
        assert_eq!(sent.sent, 1000, "{sent:?}");
        auditor
            .stop()
            .expect()
            .contained(link, link, 1000)
            .contained(link, "fab0", 1000)
            .total(1000)
            .nothing_else();
    });
}

fn on_the_backplane(bench: &Bench, device: Device<'_>, link: &str) {
    let card = bench.card();
    card.add_device(device).expect("a device");
    card.set_up(link).expect("a device");
    card.add_address(link, "10.44.0.1/24".parse().expect("an address"))
        .expect("an address");
    let mac = bench.chassis.peer.mac("fab0").expect("a MAC address");
    card.add_neighbour(link, "10.44.0.2".parse().expect("an address"), &mac)
        .expect("a neighbour");
}

fn a_macvlan_is_in_the_zone_of_its_link() {
    let device = Device::new(LinkKind::MacVlan, "vrrp1").over("fab0");
    in_the_zone("24 zone-macvlan", device, "vrrp1", LinkKind::MacVlan);
}

fn an_ipvlan_is_in_the_zone_of_its_link() {
    let device = Device::new(LinkKind::IpVlan, "ipv1").over("fab0");
    in_the_zone("24 zone-ipvlan", device, "ipv1", LinkKind::IpVlan);
}

fn a_vlan_is_in_the_zone_of_its_link() {
    let device = Device::new(LinkKind::Vlan, "tag5").over("fab0").id(5);
    in_the_zone("24 zone-vlan", device, "tag5", LinkKind::Vlan);
}

/// Here the front's: the policy says so.
fn a_macvlan_with_a_zone_of_its_own_is_in_no_other() {
    let needs = [Need::Link(LinkKind::MacVlan)];
    scenario("24 zone-own", &needs, |bench| {
        let device = Device::new(LinkKind::MacVlan, "eth7").over("fab0");
        on_the_backplane(bench, device, "eth7");
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench.send("udp --bind-device eth7 --to 10.44.0.2:9 --count 1000");
        let escape = leak("policy-escape")
            .rule("control-plane")
            .bound("eth7")
            .egress("eth7")
            .packets(1000)
            .by(&sent);
        auditor
            .stop()
            .expect()
            .finding(escape)
            .contained("eth7", "fab0", 1000)
            .total(1000)
            .nothing_else();
    });
}
