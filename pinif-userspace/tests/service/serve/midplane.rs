//! A chassis for docs/chassis.md: a bridge that its cards and its supervisor are plugged into, and what runs on the supervisor, by the files
//! of `contrib/chassis`.

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use pinif_lab::{Device, LinkKind, Namespace, ServerProcess};
use serde_json::Value;
use tempfile::TempDir;

use super::{collector::Collector, otlp::collect};
use crate::{
    bench::{prometheus, rotel, victoria_metrics},
    control::{asked::until, prometheus::get},
};

/// The midplane, as the files have it; the last number of a card's address is its slot.
pub const NET: &str = "10.90.0";
const SUPERVISOR: u8 = 100;
/// Where Prometheus and Alertmanager answer, in the supervisor's namespace.
const PROMETHEUS: u16 = 9090;
const ALERTMANAGER: u16 = 9093;
/// And a fleet's database.
const FLEET: u16 = 8428;

/// The files of the chassis in the repository.
pub fn contrib(name: &str) -> PathBuf {
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib");
    contrib.join(name).canonicalize().expect(name)
}

/// A supervisor, and a bridge with a port for each slot.
pub struct Midplane {
    supervisor: Namespace,
    pub bridge: Namespace,
    pub folder: TempDir,
    /// What the collector passes on.
    pub records: Collector,
}

impl Midplane {
    pub fn new(cards: u8) -> Self {
        let of = |label| Namespace::new(label).expect("a namespace");
        let (supervisor, bridge) = (of("chassis-supervisor"), of("chassis-midplane"));
        bridge
            .add_device(Device::new(LinkKind::Bridge, "midplane"))
            .expect("a bridge");
        bridge.set_up("midplane").expect("it is up");
        let folder = tempfile::tempdir().expect("a folder");
        let behind = supervisor.run(|| TcpListener::bind(("127.0.0.1", 0)));
        let behind = behind.expect("the namespace").expect("a port");
        let midplane = Self {
            supervisor,
            bridge,
            folder,
            records: Collector::of(behind),
        };
        midplane.connect(&midplane.supervisor, SUPERVISOR);
        let mut certificates = Command::new("sh");
        certificates
            .arg(contrib("chassis/certificates.sh"))
            .args([NET, "1", &cards.to_string()])
            .current_dir(midplane.folder.path());
        let output = certificates.output().expect("a shell");
        assert!(output.status.success(), "{output:?}");
        midplane
    }

    /// Gives a namespace `mid0`, with this number on the midplane.
    pub fn connect(&self, namespace: &Namespace, number: u8) {
        let port = port(number);
        // Both ends get an address of their own.
        let pair = namespace.veth("mid0", &self.bridge, &port, 2 * number);
        pair.expect("a pair");
        let address = format!("{NET}.{number}/24").parse().expect("an address");
        namespace.add_address("mid0", address).expect("an address");
        namespace.set_arp("mid0", true).expect("it is there");
        self.bridge.enslave(&port, "midplane").expect("a port");
        self.bridge.set_up(&port).expect("it is up");
        namespace.set_up("mid0").expect("it is up");
    }

    /// Prometheus, Alertmanager, rotel, and what passes the metrics on to a fleet's database, which is here too.
    pub fn supervise(&self) -> [ServerProcess; 5] {
        for name in [
            "prometheus.yml",
            "chassis.rules.yml",
            "alertmanager.yml",
            "cards.yml",
        ] {
            let from = contrib("chassis").join(name);
            fs::copy(from, self.at(name)).expect(name);
        }
        fs::copy(
            contrib("prometheus/pinif.rules.yml"),
            self.at("pinif.rules.yml"),
        )
        .expect("rules");
        let program = rotel().expect("it is there");
        let started = self.supervisor.run(|| {
            let address = format!("{NET}.{SUPERVISOR}:4318").parse();
            let collector = collect(&program, address.expect("an address"), &self.records);
            let programs = prometheus().expect("it is there");
            let (configuration, alerts) = (self.at("alertmanager.yml"), self.at("alerts"));
            let manager =
                ServerProcess::alertmanager(&programs, &configuration, &alerts, ALERTMANAGER);
            let (configuration, data) = (self.at("prometheus.yml"), self.at("data"));
            let server = ServerProcess::prometheus(&programs, &configuration, &data, PROMETHEUS);
            let [manager, server] = [manager, server].map(|started| started.expect("it starts"));
            let (fleet, agent) = (self.fleet(), self.agent());
            [collector, manager, server, fleet, agent]
        });
        started.expect("the namespace")
    }

    /// The database of a fleet.
    fn fleet(&self) -> ServerProcess {
        let programs = victoria_metrics().expect("it is there");
        let address = SocketAddr::from(([127, 0, 0, 1], FLEET));
        ServerProcess::victoria_metrics(&programs, &self.at("fleet"), address).expect("it starts")
    }

    /// What sends it what Prometheus, by the same configuration, reads.
    fn agent(&self) -> ServerProcess {
        let mut command = Command::new(victoria_metrics().expect("it is there").join("vmagent"));
        command
            .arg(format!(
                "-promscrape.config={}",
                self.at("prometheus.yml").display()
            ))
            .arg("-promscrape.config.strictParse=false")
            .arg(format!(
                "-remoteWrite.url=http://127.0.0.1:{FLEET}/api/v1/write"
            ))
            .arg(format!(
                "-remoteWrite.tmpDataPath={}",
                self.at("agent").display()
            ))
            .arg("-httpListenAddr=127.0.0.1:8429");
        ServerProcess::start(&mut command).expect("it starts")
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is answered at a port of the supervisor.
    fn get(&self, port: u16, path: &str) -> Option<Value> {
        let answer = self.supervisor.run(|| get(port, path));
        answer.expect("the namespace")
    }

    /// The slots of the chassis where this holds, by what answers at this port as Prometheus does.
    fn slots(&self, port: u16, expression: &str) -> Option<BTreeSet<u8>> {
        let answer = self.get(port, &format!("/api/v1/query?query={expression}"))?;
        let slots = answer["data"]["result"].as_array()?.iter();
        let slots = slots.map(|result| result["metric"]["slot"].as_str()?.parse().ok());
        slots.collect()
    }

    /// Waits until this holds in these slots, and no others, at the supervisor and at the fleet.
    pub fn wait_for_slots(&self, expression: &str, slots: impl IntoIterator<Item = u8>) {
        let slots = Some(slots.into_iter().collect());
        for port in [PROMETHEUS, FLEET] {
            until(&format!("{expression} in {slots:?} at {port}"), || {
                (self.slots(port, expression) == slots).then_some(())
            });
        }
    }

    /// The labels of the alerts that Alertmanager has.
    fn alerts(&self) -> Option<Vec<Value>> {
        let alerts = self.get(ALERTMANAGER, "/api/v2/alerts")?;
        let alerts = alerts.as_array()?.iter();
        // These come after a minute, beside those that come after ten seconds.
        let late = ["PinifNotReady", "PinifDown"];
        let labels = alerts.map(|alert| alert["labels"].clone());
        Some(
            labels
                .filter(|labels| !late.iter().any(|late| labels["alertname"] == *late))
                .collect(),
        )
    }

    /// Waits until the alerts are these, and no others. Says each change.
    pub fn wait_for_alerts(&self, wanted: &[Value]) {
        let texts = |alerts: &[Value]| alerts.iter().map(Value::to_string).collect::<BTreeSet<_>>();
        let wanted = texts(wanted);
        let began = Instant::now();
        let mut last = None;
        until(&format!("{wanted:#?}"), || {
            let alerts = Some(texts(&self.alerts()?));
            if last != alerts {
                eprintln!("after {:.1?} the alerts are {alerts:#?}", began.elapsed());
            }
            last = alerts;
            (last.as_ref() == Some(&wanted)).then_some(())
        });
    }
}

/// The bridge's port of a number.
pub fn port(number: u8) -> String {
    format!("slot{number}")
}
