//! As docs/metrics.md has it: Prometheus scrapes a port of this machine that leads to the socket, by the shipped rules, and sends what
//! fires to Alertmanager; and Grafana's dashboard asks Prometheus.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
};

use pinif_lab::{ServerProcess, free_address};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asked::{LEAK, Place, until};
use crate::{
    bench::{Need, leak, prometheus as programs, scenario},
    serve::{
        collector::{Answer, Collector},
        served::Served,
    },
};

/// How often Prometheus scrapes, in seconds. A snapshot is at most a second old, so that the second scrape after a packet has it.
const SCRAPE_EACH: f64 = 3.0;

/// A port that nobody has.
pub fn port() -> u16 {
    free_address().expect("a port").port()
}

pub fn get(port: u16, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

/// What looks at an auditor; ended when dropped.
struct Monitoring {
    /// The port that leads to the auditor.
    exported: u16,
    prometheus: u16,
    alertmanager: u16,
    _running: [ServerProcess; 2],
    _bridge: Option<ServerProcess>,
    _folder: TempDir,
}

impl Monitoring {
    /// Of an auditor, through a port that leads to its socket.
    fn start(place: &Place) -> Self {
        let exported = port();
        let bridge = ServerProcess::start(
            Command::new("socat")
                .arg(format!(
                    "TCP-LISTEN:{exported},bind=127.0.0.1,fork,reuseaddr"
                ))
                .arg(format!("UNIX-CONNECT:{}", place.path().display())),
        )
        .expect("socat is there");
        Self {
            _bridge: Some(bridge),
            ..Self::of(exported, "/v1/metrics")
        }
    }

    /// Of what answers at this port with metrics.
    fn of(exported: u16, path: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let (prometheus, alertmanager) = (port(), port());
        let rules =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/prometheus/pinif.rules.yml");
        let rules = rules.canonicalize().expect("the rules");
        let configuration = format!(
            "global: {{scrape_interval: {SCRAPE_EACH}s, evaluation_interval: 500ms}}\n\
             rule_files: [{}]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['localhost:{alertmanager}']}}]}}]}}\n\
             scrape_configs:\n  - job_name: pinif\n    metrics_path: {path}\n    \
             static_configs: [{{targets: ['localhost:{exported}']}}]\n",
            rules.display()
        );
        fs::write(at("prometheus.yml"), configuration).expect("a configuration");
        let receivers = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
        fs::write(at("alertmanager.yml"), receivers).expect("a configuration");
        let programs = programs().expect("it is there");
        let manager = ServerProcess::alertmanager(
            &programs,
            &at("alertmanager.yml"),
            &at("alerts"),
            alertmanager,
        );
        let server =
            ServerProcess::prometheus(&programs, &at("prometheus.yml"), &at("data"), prometheus);
        Self {
            exported,
            prometheus,
            alertmanager,
            _running: [manager, server].map(|started| started.expect("it starts")),
            _bridge: None,
            _folder: folder,
        }
    }

    /// What Prometheus answers to an expression; nothing where it has no answer. An error of the expression fails the test.
    fn query(&self, expression: &str) -> Option<Vec<Value>> {
        let mut target = "/api/v1/query?query=".to_owned();
        for byte in expression.bytes() {
            target += &format!("%{byte:02x}");
        }
        let answer = get(self.prometheus, &target)?;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let result = answer["data"]["result"].as_array()?.clone();
        (!result.is_empty()).then_some(result)
    }

    /// The alerts that Alertmanager has.
    fn alerts(&self) -> Option<Vec<Value>> {
        get(self.alertmanager, "/api/v2/alerts")?
            .as_array()
            .cloned()
    }
}

/// A moment in seconds since 1970.
fn seconds(text: &Value) -> f64 {
    let text = text.as_str().expect("a moment");
    let moment: jiff::Timestamp = text.parse().expect("a moment");
    moment.as_duration().as_secs_f64()
}

#[test]
fn one_packet_that_leaks_is_in_alertmanager_after_two_scrapes() {
    let needs = [Need::Prometheus, Need::Program("socat")];
    scenario("metrics prometheus", &needs, |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        let monitoring = Monitoring::start(&place);
        until("a scrape", || monitoring.query("pinif_ready"));
        let rules = until("the rules", || {
            let answer = get(monitoring.prometheus, "/api/v1/rules")?;
            let groups = answer["data"]["groups"].as_array()?.clone();
            let rules: Vec<_> = groups
                .iter()
                .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
                .collect();
            rules
                .iter()
                .all(|rule| rule["health"] == "ok")
                .then_some(rules)
        });
        assert_eq!(rules.len(), 19);
        assert_eq!(
            until("no alert", || monitoring.alerts()),
            Vec::<Value>::new()
        );

        let sent = bench.send(&format!("{LEAK} --count 1"));
        let finding = auditor.wait_for_finding("device-escape");
        let alerts = until("the alert", || {
            monitoring.alerts().filter(|alerts| !alerts.is_empty())
        });
        let [alert] = alerts.as_slice() else {
            panic!("{alerts:?}");
        };
        assert_eq!(
            alert["labels"],
            json!({
                "alertname": "PinifLeak",
                "instance": format!("localhost:{}", monitoring.exported),
                "job": "pinif",
                "kind": "device-escape",
                "severity": "critical",
            })
        );
        assert_eq!(
            alert["annotations"]["summary"],
            "Traffic leaves where it must not (device-escape): 1 open"
        );
        // Prometheus' own times of its scrapes.
        let (left, fired) = (
            seconds(&json!(finding.first_seen)),
            seconds(&alert["startsAt"]),
        );
        let scraped = until("the scrapes", || monitoring.query("pinif_ready[10m]"));
        let scraped = scraped[0]["values"].as_array().expect("samples");
        let scrapes = scraped
            .iter()
            .filter_map(|sample| sample[0].as_f64())
            .filter(|&at| left < at && at <= fired);
        let scrapes = scrapes.count();
        assert!(
            (1..=2).contains(&scrapes),
            "{scrapes} from {left} to {fired}: {scraped:?}"
        );

        let report = auditor.stop();
        // It fires after a minute.
        until("that it is down", || {
            monitoring.query(r#"ALERTS{alertname="PinifDown", alertstate="pending"}"#)
        });
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape.packets(1).by(&sent))
            .nothing_else();
    });
}

/// All values of this name in a JSON document.
fn all<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(field, value)| match value {
                Value::String(text) if field == name => vec![&**text],
                _ => all(value, name),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(|value| all(value, name)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn each_panel_of_the_dashboard_has_data() {
    scenario("metrics dashboard", &[Need::Prometheus], |bench| {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/grafana/pinif-dashboard.json");
        let text = fs::read_to_string(file).expect("the dashboard");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        // `pinif serve` has the auditor's metrics and its own, as of a collector that refuses the first finding.
        let (folder, collector) = (tempfile::tempdir().expect("a folder"), Collector::new());
        let url = collector.url();
        collector.answer([Answer::Refuse]);
        let history = folder.path().join("history.db");
        let options = ["--otlp-metrics", "1s", "--otlp", &url, "--history"];
        let options = options.into_iter().map(OsStr::new);
        let served = Served::start(&place, options.chain([history.as_os_str()]));
        let monitoring = Monitoring::of(served.port(), "/metrics");
        until("a scrape", || monitoring.query("pinif_ready"));
        let sent = bench.send(&format!("{LEAK} --count 1"));
        auditor.wait_for_finding("device-escape");
        let expressions = all(&dashboard, "expr");
        let panels = dashboard["panels"].as_array().expect("panels");
        assert!(expressions.len() >= panels.len(), "{expressions:?}");
        for expression in expressions {
            // As Grafana replaces them, for all instances.
            let expression = expression
                .replace("$__rate_interval", "1m")
                .replace("$instance", ".*");
            assert!(!expression.contains('$'), "{expression}");
            until(&expression, || monitoring.query(&expression));
        }
        // What variables are chosen from.
        let variables: BTreeSet<_> = all(&dashboard["templating"], "definition")
            .into_iter()
            .collect();
        assert_eq!(
            variables,
            BTreeSet::from(["label_values(pinif_ready, instance)"])
        );
        let ready = until("it is ready", || monitoring.query("pinif_ready"));
        assert_eq!(
            ready[0]["metric"]["instance"],
            format!("localhost:{}", monitoring.exported)
        );
        let refused = r#"pinif_export_rejected_total{signal="logs"} == 1"#;
        until("that it was refused", || monitoring.query(refused));
        served.stop();
        let report = auditor.stop();
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape.packets(1).by(&sent))
            .nothing_else();
    });
}
