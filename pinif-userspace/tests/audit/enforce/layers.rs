//! Interfaces on top of each other, and such as have just come: what is contained passes all of them, and what is dropped on
//! one reaches none below.

use pinif_lab::{Device, LinkKind};

use super::{ENFORCE, Outside};
use crate::bench::{Bench, Need, leak, scenario};

/// Sets a device of the card up, and gives it a neighbour.
fn settle_in(bench: &Bench, name: &str) {
    let card = bench.card();
    card.set_up(name).expect("up");
    let neighbour = "10.0.7.2".parse().expect("an address");
    card.add_neighbour(name, neighbour, &[0x02, 0, 0, 0, 0, 0x77])
        .expect("a neighbour");
}

fn vlan(bench: &Bench, name: &str, over: &str, id: u16) {
    let device = Device::new(LinkKind::Vlan, name).over(over).id(id);
    bench.card().add_device(device).expect("a VLAN");
    settle_in(bench, name);
}

#[test]
fn what_is_dropped_on_a_vlan_never_reaches_its_trunk() {
    let need = [Need::Link(LinkKind::Vlan)];
    scenario("enforce vlan", &need, |bench| {
        vlan(bench, "outer", "eth1", 42);
        vlan(bench, "inner", "outer", 7);
        vlan(bench, "sibling", "outer", 8);
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let to = "--to 10.0.7.2:9";
        let escaped = bench.send(&format!(
            "udp --bind-device inner --pktinfo sibling {to} --count 2000"
        ));
        bench.send(&format!("udp --bind-device inner {to} --count 1000"));
        let report = auditor.stop();
        let escape = leak("device-escape").bound("inner").egress("sibling");
        report
            .expect()
            .finding(escape.dropped().packets(2000).by(&escaped))
            .contained("inner", "inner", 1000)
            .contained("inner", "outer", 1000)
            .contained("inner", "eth1", 1000)
            .total(1000)
            .nothing_else();
        // It knows no such VLAN.
        outside.got_nothing();
    });
}

/// The same on what this machine's kernel is likelier to have.
#[test]
fn what_is_dropped_on_a_macvlan_never_reaches_its_link() {
    let need = [Need::Link(LinkKind::MacVlan)];
    scenario("enforce macvlan", &need, |bench| {
        let card = bench.card();
        for name in ["mv0", "mv1"] {
            let device = Device::new(LinkKind::MacVlan, name).over("eth1");
            card.add_device(device).expect("a macvlan");
            settle_in(bench, name);
        }
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        let to = "--to 10.0.7.2:9";
        let escaped = bench.send(&format!(
            "udp --bind-device mv0 --pktinfo mv1 {to} --count 2000"
        ));
        bench.send(&format!("udp --bind-device mv0 {to} --count 1000"));
        let report = auditor.stop();
        let escape = leak("device-escape").bound("mv0").egress("mv1");
        report
            .expect()
            .finding(escape.dropped().packets(2000).by(&escaped))
            .contained("mv0", "mv0", 1000)
            .contained("mv0", "eth1", 1000)
            .total(1000)
            .nothing_else();
        outside.got_nothing();
    });
}

/// Userspace learns of a new device some milliseconds later: until then, the kernel's own lists decide.
fn comes_and_sends(name: &str, kind: LinkKind) {
    const CHANGES: u16 = 50;
    scenario(name, &[Need::Link(kind)], |bench| {
        let policy = "[zone.backplane]\ninterfaces = [\"new*\"]\ncontained = true\n\
             [[rule]]\nname = \"control-plane\"\ndestination = [\"10.0.0.0/8\"]\nonly_via = [\"backplane\"]\n";
        let auditor = bench.audit_with(policy, ENFORCE);
        let mut all = 0;
        for change in 0..CHANGES {
            let name = format!("new{change}");
            let device = Device::new(kind, &name).over("fab0");
            let device = match kind {
                LinkKind::Vlan => device.id(100 + change),
                _ => device,
            };
            bench.card().add_device(device).expect("a device");
            settle_in(bench, &name);
            let sent = bench.send(&format!(
                "udp --bind-device {name} --to 10.0.7.2:9 --count 20"
            ));
            assert_eq!(sent.sent, 20);
            // What it took: nothing is sent by one that the kernel has not activated yet (`linkwatch_do_dev`).
            all += bench.card().sent(&name).expect("counters").packets;
            bench.card().delete_link(&name).expect("the device");
        }
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 0, "{report}");
        assert_eq!(report.sent_by("fab0").packets, all, "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
    });
}

#[test]
fn what_a_new_vlan_sends_is_not_dropped() {
    comes_and_sends("enforce window-vlan", LinkKind::Vlan);
}

#[test]
fn what_a_new_macvlan_sends_is_not_dropped() {
    comes_and_sends("enforce window-macvlan", LinkKind::MacVlan);
}
