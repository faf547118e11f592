//! `--via`: what is sent leaves by the interface that is named, or not at all.

use std::{net::TcpListener, process::Command};

use pinif_lab::{Counters, Namespace, Route};

use super::collector::{Collector, newest};
use crate::{
    bench::{Pinif, scenario},
    control::asked::{LEAK, Place, until},
};

/// Where the collector is; the card's route to it leads elsewhere.
const COLLECTOR: &str = "10.77.0.2";
const PORT: u16 = 4318;

/// A card with two ways out: by `mgmt0` to where the collector is, and by `data0`, where its routes lead.
struct Card {
    card: Namespace,
    supervisor: Namespace,
    _elsewhere: Namespace,
}

impl Card {
    fn new() -> Self {
        let of = |label| Namespace::new(label).expect("a namespace");
        let (card, supervisor, elsewhere) = (of("via-card"), of("via-supervisor"), of("via-else"));
        let links = [
            ("mgmt0", &supervisor, "10.77.0", 0x10),
            ("data0", &elsewhere, "10.78.0", 0x20),
        ];
        for (name, far, net, mac) in links {
            card.veth(name, far, "far0", mac).expect("a pair");
            let address = |host: u8| format!("{net}.{host}/24").parse().expect("an address");
            card.add_address(name, address(1)).expect("an address");
            far.add_address("far0", address(2)).expect("an address");
            card.set_up(name).expect("it is up");
            far.set_up("far0").expect("it is up");
            // By `mgmt0` neighbours are asked for; by the other, nothing leaves for that.
            if name == "mgmt0" {
                card.set_arp(name, true).expect("it is there");
                far.set_arp("far0", true).expect("it is there");
            } else {
                let collector = COLLECTOR.parse().expect("an address");
                let there = far.mac("far0").expect("it is there");
                card.add_neighbour(name, collector, &there)
                    .expect("a neighbour");
            }
        }
        // A policy that leads to the collector by the other way: what is bound to no interface goes there.
        let route = Route::new("10.77.0.0/24".parse().expect("a net"), "data0").table(100);
        card.add_route(route).expect("a route");
        run(&card, "ip rule add to 10.77.0.0/24 lookup 100 priority 100");
        Self {
            card,
            supervisor,
            _elsewhere: elsewhere,
        }
    }

    fn collector(&self) -> Collector {
        let listener = self.supervisor.run(|| TcpListener::bind((COLLECTOR, PORT)));
        Collector::of(listener.expect("a namespace").expect("an address"))
    }

    /// What left by the other interface, by the driver's account.
    fn elsewhere(&self) -> Counters {
        self.card.sent("data0").expect("it is there")
    }

    /// A `pinif serve` on the card.
    fn serve(&self, place: &Place, arguments: &[&str]) -> Pinif {
        let folder = place.path().parent().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:9759",
            "--otlp-metrics",
            "1s",
        ]);
        command.args(["--otlp", &format!("http://{COLLECTOR}:{PORT}")]);
        command.arg("--history").arg(folder.join("history.db"));
        command.arg("--socket").arg(place.path()).args(arguments);
        self.card
            .run(|| Pinif::start(command))
            .expect("the namespace")
    }

    /// Waits until so many attempts more have failed.
    fn wait_for_failures(&self, more: u64) {
        let failures = || {
            let curl = self.card.run(|| {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "http://127.0.0.1:9759/metrics"])
                    .output()
            });
            let text = curl.expect("the namespace").expect("curl runs").stdout;
            let text = String::from_utf8_lossy(&text).into_owned();
            let mut lines = text.lines();
            lines.find_map(|line| {
                line.strip_prefix("pinif_export_failures_total ")?
                    .parse::<u64>()
                    .ok()
            })
        };
        let mut begin = None;
        until("an attempt that fails", || {
            let now = failures()?;
            (now >= *begin.get_or_insert(now) + more).then_some(())
        });
    }
}

fn run(namespace: &Namespace, line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words);
    let output = namespace
        .run(|| command.output())
        .expect("the namespace")
        .expect(line);
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nothing_leaves_by_another_interface_and_all_arrives_once_it_is_up() {
    scenario("otlp via", &[], |bench| {
        let place = Place::new();
        let card = Card::new();
        let collector = card.collector();
        let mut auditor = place.audit(bench, &[]);

        // Without it, the policy's route is taken.
        let mut served = card.serve(&place, &[]);
        served.wait_for_note(" is heard");
        until("a packet by the other", || {
            (card.elsewhere() != Counters::default()).then_some(())
        });
        served.kill();
        let before = card.elsewhere();

        // It is down from the beginning; then it is gone; then it is up.
        card.card.set_down("mgmt0").expect("it is down");
        let mut served = card.serve(&place, &["--via", "mgmt0"]);
        served.wait_for_note(" is heard");
        let listens = run(&card.card, "ss --no-header --listening --numeric --tcp");
        assert!(listens.contains("127.0.0.1%lo:9759"), "{listens}");
        bench.send(&format!("{LEAK} --count 7"));
        let found = auditor.wait_for_finding("device-escape");
        card.wait_for_failures(1);
        run(&card.card, "ip link set mgmt0 name mgmt1");
        served.wait_for_note("there is no interface mgmt0 (--via)");
        assert_eq!(card.elsewhere(), before);
        assert!(collector.sent().is_empty());
        run(&card.card, "ip link set mgmt1 name mgmt0");
        card.card.set_up("mgmt0").expect("it is up");
        let uid = found.uid.expect("a uid");
        collector.wait_for("the finding", |sent| newest(sent).remove(&uid));
        collector.wait_for_metric("pinif_serve_auditor_up", &[], 1);
        let report = auditor.stop();
        collector.wait_for("its last counts", |sent| {
            let packets = newest(sent).get(&uid)?.number("pinif.packets");
            (packets == report.findings[0].packets).then_some(())
        });
        served.kill();
        assert_eq!((report.findings.len(), report.findings[0].packets), (1, 7));
        assert_eq!(card.elsewhere(), before);
    });
}
