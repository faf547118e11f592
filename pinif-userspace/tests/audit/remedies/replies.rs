//! Remedies of `reply-escape`: the answer goes where the request came in by.

use super::links::{Link, number, tunnelled, vlan};
use crate::bench::arrivals::Arrivals;
use crate::bench::carry::{COUNT, on_card, set};
use crate::bench::{Bench, Need, Report, note, scenario};
use pinif_lab::LinkKind;

/// A server that is asked, and answers by eth1.
struct Reply {
    names: &'static [&'static str],
    needs: &'static [Need],
    /// Makes the link that it is asked by, and what leads its answers outside.
    make: fn(&Bench),
    /// What the server's socket is of, and its packets.
    family: Family,
    /// The client's address, and the one that it asks.
    between: [&'static str; 2],
    /// Where it is asked.
    by: &'static str,
    /// How its remedies begin.
    texts: &'static [&'static str],
    /// Whether the first has commands.
    has_commands: bool,
}

/// A server's socket, and its packets.
#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
    /// A socket of IPv6 that is asked by IPv4.
    Mapped,
}

impl Family {
    /// Where the server listens.
    const fn any(self) -> &'static str {
        match self {
            Self::V4 => "0.0.0.0:5000",
            Self::V6 | Self::Mapped => "[::]:5000",
        }
    }

    /// Where it answers this client.
    fn client(self, address: &str) -> String {
        match self {
            Self::V4 => format!("{address}:7009"),
            Self::V6 => format!("[{address}]:7009"),
            Self::Mapped => format!("[::ffff:{address}]:7009"),
        }
    }

    /// Where it is asked at this address.
    fn asked(self, address: &str) -> String {
        match self {
            Self::V4 | Self::Mapped => format!("{address}:5000"),
            Self::V6 => format!("[{address}]:5000"),
        }
    }
}

impl Reply {
    /// The client asks under the audit, and the server answers ten times.
    fn audited(&self, bench: &Bench, options: &str) -> (Report, Arrivals) {
        let auditor = bench.audit(&["--replies"]);
        let [client, asked] = self.between;
        let (any, to) = (self.family.any(), self.family.client(client));
        let answers = format!("udp --bind {any} --to {to} --count {COUNT}");
        let answers = format!("--wait-stdin {answers} {options}");
        let mut server = bench.sender(&answers);
        server.wait_for("ready");
        let arrivals = Arrivals::at(bench);
        let asks = format!("udp --bind {client} --to {}", self.family.asked(asked));
        bench.far_sender(&bench.chassis.peer, &asks).finish();
        bench.wait_until_asked(5000);
        server.go();
        server.finish();
        (auditor.stop(), arrivals)
    }

    fn is_fixed(&self) {
        for (number, name) in self.names.iter().enumerate() {
            scenario(name, self.needs, |bench| self.fixed(bench, number));
        }
    }

    fn fixed(&self, bench: &Bench, number: usize) {
        (self.make)(bench);
        if self.by == "fab2" {
            introduce(bench);
        }
        let (report, _) = self.audited(bench, "");
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        let server = finding.process.as_ref().and_then(|process| process.pid);
        let escape = note("reply-escape").egress("eth1").packets(COUNT);
        let escape = escape.by_program("pinif-sender", server.expect("the server"));
        let expected = report.expect().finding(escape);
        if self.by == "fab0" {
            expected.nothing_else();
        } else {
            // What carries the link's packets, and what these links send by themselves, is of the links' own tests.
            expected.no_other_finding();
        }
        let by = format!("it was asked via {}; ", self.by);
        assert!(finding.cause.starts_with(&by), "{}", finding.cause);
        let steps = finding.remedies.iter();
        let texts = steps.map(|step| on_card(finding, &step.text));
        assert!(
            texts
                .zip(self.texts)
                .all(|(text, begin)| text.starts_with(*begin))
                && finding.remedies.len() == self.texts.len(),
            "{:#?}",
            finding.remedies
        );
        let step = &finding.remedies[number];
        let mut options = String::new();
        for option in &step.options {
            options = set(&options, option);
        }
        step.commands.iter().for_each(|line| bench.shell(line));
        if number == 0 && !self.has_commands {
            assert!(step.commands.is_empty(), "{step:#?}");
            return;
        }
        assert!(
            !(step.commands.is_empty() && step.options.is_empty()),
            "{step:#?}"
        );
        let (report, arrivals) = self.audited(bench, &options);
        arrivals.are(COUNT, 0, step);
        assert!(report.findings.is_empty(), "after {step:#?}\n{report}");
    }
}

#[test]
fn an_answer_leaves_where_it_was_asked() {
    Reply {
        names: &["30 reply-route", "30 reply-pktinfo"],
        needs: &[],
        family: Family::V4,
        make: |bench| bench.run("ip", "route add 10.0.0.0/30 via 192.0.2.2 dev eth1"),
        between: ["10.0.0.2", "10.0.0.1"],
        by: "fab0",
        texts: &[
            "give 10.0.0.2 a route via fab0 (`ip route replace 10.0.0.2 dev fab0`)",
            "answer with the request's IP_PKTINFO, whose ipi_ifindex is that of fab0",
        ],
        has_commands: true,
    }
    .is_fixed();
}

#[test]
fn an_answer_of_ipv6_leaves_where_it_was_asked() {
    Reply {
        names: &["30 v6-reply-route", "30 v6-reply-pktinfo"],
        needs: &[],
        family: Family::V6,
        make: |bench| bench.run("ip", "-6 route add fd00::2 via 2001:db8::2 dev eth1"),
        between: ["fd00::2", "fd00::1"],
        by: "fab0",
        texts: &[
            "give fd00::2 a route via fab0 (`ip -6 route replace fd00::2 dev fab0",
            "answer with the request's IPV6_PKTINFO, whose ipi6_ifindex is that of fab0",
        ],
        has_commands: true,
    }
    .is_fixed();
}

/// Either message says where the request came in, and names that for the answer.
#[test]
fn an_answer_of_a_socket_of_ipv6_to_ipv4_leaves_where_it_was_asked() {
    Reply {
        names: &["30 reply-mapped", "30 reply-mapped-pktinfo"],
        needs: &[],
        family: Family::Mapped,
        make: |bench| bench.run("ip", "route add 10.0.0.0/30 via 192.0.2.2 dev eth1"),
        between: ["10.0.0.2", "10.0.0.1"],
        by: "fab0",
        texts: &[
            "give 10.0.0.2 a route via fab0 (`ip route replace 10.0.0.2 dev fab0`)",
            "answer with the request's IP_PKTINFO or IPV6_PKTINFO, whose ipi_ifindex or ipi6_ifindex is that of fab0",
        ],
        has_commands: true,
    }
    .is_fixed();
}

const FAB2: [&str; 2] = [
    "give 10.2.0.2 a route via fab2 (`ip route replace 10.2.0.2 dev fab2`)",
    "answer with the request's IP_PKTINFO, whose ipi_ifindex is that of fab2",
];

/// The same of IPv6, by a link of this type.
pub(super) fn by_link_v6(link: &Link, names: &'static [&'static str]) {
    Reply {
        names,
        needs: link.needs,
        family: Family::V6,
        make: link.make,
        between: ["fd02::2", "fd02::1"],
        by: "fab2",
        texts: &[
            "give fd02::2 a route via fab2 (`ip -6 route replace fd02::2 dev fab2",
            "answer with the request's IPV6_PKTINFO, whose ipi6_ifindex is that of fab2",
        ],
        has_commands: true,
    }
    .is_fixed();
}

/// The peer asks 10.2.0.1 of `fab2`.
fn by_fab2(names: &'static [&'static str], needs: &'static [Need], make: fn(&Bench)) {
    Reply {
        names,
        needs,
        family: Family::V4,
        make,
        between: ["10.2.0.2", "10.2.0.1"],
        by: "fab2",
        texts: &FAB2,
        has_commands: true,
    }
    .is_fixed();
}

/// The peer asks 10.2.0.1 of a link of this type, and the first remedy is carried out.
pub(super) fn by_link(link: &Link, names: &'static [&'static str]) {
    by_fab2(names, link.needs, link.make);
}

/// The peer's link knows who has 10.2.0.1, where it asks for its neighbours.
fn introduce(bench: &Bench) {
    let peer = &bench.chassis.peer;
    let there = ["far2", "fab0"].map(|far| (far, peer.mac(far).ok()));
    let far = there
        .iter()
        .find_map(|(far, mac)| Some((far, mac.as_ref()?)));
    let (far, _) = far.filter(|(_, mac)| mac.len() == 6).unzip();
    if let Some((far, mac)) = far.zip(bench.card().mac("fab2").ok()) {
        let address = "10.2.0.1".parse().expect("an address");
        peer.add_neighbour(far, address, &mac).expect("a neighbour");
    }
}

#[test]
fn an_answer_leaves_by_the_vlan_where_it_was_asked() {
    by_fab2(
        &["30 reply-vlan", "30 reply-vlan-pktinfo"],
        &[Need::Link(LinkKind::Vlan)],
        |bench| {
            vlan(bench);
        },
    );
}

#[test]
fn an_answer_leaves_by_the_bond_where_it_was_asked() {
    by_fab2(
        &["30 reply-bond", "30 reply-bond-pktinfo"],
        &[Need::Link(LinkKind::Bond)],
        |bench| {
            bench.run("ip", "link add fab2 type bond mode active-backup");
            bench.run("ip", "link set fab0 down");
            bench.run("ip", "link set fab0 master fab2");
            number(bench, "fab0");
        },
    );
}

#[test]
fn an_answer_leaves_by_the_macvlan_where_it_was_asked() {
    by_fab2(
        &["30 reply-macvlan", "30 reply-macvlan-pktinfo"],
        &[Need::Link(LinkKind::MacVlan)],
        |bench| {
            bench.run(
                "ip",
                "link add link fab0 name fab2 type macvlan mode bridge",
            );
            number(bench, "fab0");
        },
    );
}

#[test]
fn an_answer_leaves_by_the_bridge_where_it_was_asked() {
    by_fab2(
        &["30 reply-bridge", "30 reply-bridge-pktinfo"],
        &[Need::Link(LinkKind::Bridge)],
        |bench| {
            bench.run("ip", "link add fab2 type bridge mcast_snooping 0");
            bench.run("ip", "link set fab0 master fab2");
            number(bench, "fab0");
        },
    );
}

#[test]
fn an_answer_leaves_by_the_tunnel_where_it_was_asked() {
    by_fab2(
        &["30 reply-vxlan", "30 reply-vxlan-pktinfo"],
        &[Need::Link(LinkKind::Vxlan)],
        |bench| {
            tunnelled(bench, LinkKind::Vxlan);
        },
    );
}

/// A server outside of any VRF, which what comes by one is given to: the VRF is what it was asked by, and not its slave.
#[test]
fn an_answer_leaves_by_the_vrf_where_it_was_asked() {
    Reply {
        names: &["30 reply-vrf", "30 reply-vrf-pktinfo"],
        needs: &[Need::Link(LinkKind::Vrf)],
        family: Family::V4,
        make: |bench| {
            bench.run("ip", "link add blue type vrf table 10");
            bench.run("ip", "link set blue up");
            bench.run("ip", "link set fab0 master blue");
            bench.knows("fab0", "10.0.0.2");
            bench
                .card()
                .set_sysctl("ipv4/udp_l3mdev_accept", "1")
                .expect("it is there");
        },
        between: ["10.0.0.2", "10.0.0.1"],
        by: "blue",
        texts: &[
            "give 10.0.0.2 a route via blue",
            "answer with the request's IP_PKTINFO, whose ipi_ifindex is that of blue",
        ],
        has_commands: false,
    }
    .is_fixed();
}

/// No router of fab0 is known, by which the client could be answered: an answer that names fab0 would reach nobody.
#[test]
fn a_client_that_nothing_leads_to_is_somebodys_to_decide() {
    Reply {
        names: &["30 reply-beyond"],
        needs: &[],
        family: Family::V4,
        make: |bench| {
            let client = "198.51.100.7/32".parse().expect("an address");
            bench.chassis.peer.add_address("lo", client).expect("added");
            for interface in ["all", "fab0"] {
                let filter = format!("ipv4/conf/{interface}/rp_filter");
                bench.card().set_sysctl(&filter, "0").expect("it is there");
            }
        },
        between: ["198.51.100.7", "10.0.0.1"],
        by: "fab0",
        texts: &[
            "decide where 198.51.100.7 belongs: no route leads there via fab0, so that a socket bound there would wait for a neighbour \
             that does not answer; give it a router there",
        ],
        has_commands: false,
    }
    .is_fixed();
}
