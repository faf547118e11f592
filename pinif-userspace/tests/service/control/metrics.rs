//! The metrics of a real auditor: what they count, and that what reads them is content.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::Path, process::Command};

use super::asked::{LEAK, Place, until};
use crate::bench::{Values, goes_on, leak, plug::rename, scenario, values};
use crate::serve::{secured::Secure, served::Served};

fn scrape(place: &Place) -> Values {
    values(&place.ask(async |client| client.metrics().await))
}

/// Scrapes until the values are what they should be: the state of a second ago may be given.
fn scrape_until(place: &Place, what: &str, are: impl Fn(&Values) -> bool) -> Values {
    until(what, || Some(scrape(place)).filter(&are))
}

/// The answer in bare HTTP to a reader that accepts this: its type and its text.
fn accepting(place: &Place, accepted: &str) -> (String, String) {
    let request =
        format!("GET /v1/metrics HTTP/1.1\r\nHost: pinif\r\n{accepted}Connection: close\r\n\r\n");
    let (status, answer) = place.say(request.as_bytes());
    assert_eq!(status, 200, "{answer}");
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head and a text");
    let of_type = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "));
    (of_type.expect("a type").to_owned(), text.to_owned())
}

/// Without those that are zero, and without times.
fn not_zero(values: &Values) -> Vec<(&str, f64)> {
    let all = values.iter().map(|(name, value)| (&**name, *value));
    all.filter(|(name, value)| *value != 0.0 && !name.contains("timestamp"))
        .filter(|(name, _)| !name.starts_with("pinif_map") && !name.starts_with("pinif_build"))
        .collect()
}

#[test]
fn each_packet_and_each_finding_is_counted_from_zero() {
    scenario("metrics", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        let card = bench.card().name();
        let before = scrape(&place);
        let opened = r#"pinif_findings_opened_total{kind="device-escape",severity="leak",rule=""}"#;
        let open = r#"pinif_findings{kind="device-escape",severity="leak",state="open"}"#;
        assert_eq!((before[opened], before[open]), (0.0, 0.0));
        assert_eq!(before["pinif_ready"], 1.0);
        assert_eq!(before[r#"pinif_uncounted_total{reason="cells-full"}"#], 0.0);
        let interfaces = format!(r#"pinif_interfaces{{netns="{card}",state="audited"}}"#);
        let audited = auditor.ready().interfaces.len();
        assert_eq!(
            before[&interfaces],
            f64::from(u32::try_from(audited).expect("a few"))
        );

        let sent = bench.send(&format!("{LEAK} --count 7"));
        auditor.wait_for_finding("device-escape");
        let left =
            format!(r#"pinif_packets_total{{netns="{card}",zone="",verdict="device-escape"}}"#);
        // Some were not sent yet a second ago.
        let entries = r#"pinif_map_entries{map="findings"}"#;
        let after = scrape_until(&place, "all packets and the finding", |page| {
            let has_all = page.get(&left).is_some_and(|packets| *packets >= 7.0);
            has_all && page[open] > 0.0 && page[entries] > 0.0
        });
        assert_eq!((after[opened], after[open]), (1.0, 1.0));
        assert_eq!(after[&left], 7.0);
        let passed = format!(
            r#"pinif_interface_packets_total{{netns="{card}",bound_device="fab0",egress_interface="eth1",verdict="device-escape"}}"#
        );
        assert_eq!(after[&passed], 7.0);
        let found: Vec<_> = not_zero(&after)
            .into_iter()
            .filter(|(name, _)| name.contains("escape"))
            .map(|(name, value)| (name.split('{').next().unwrap_or_default(), value))
            .collect();
        let bytes = after[&left.replace("packets", "bytes")];
        assert!(bytes >= 7.0 * 42.0, "{bytes}");
        assert_eq!(
            found,
            [
                ("pinif_bytes_total", bytes),
                ("pinif_findings_opened_total", 1.0),
                ("pinif_findings", 1.0),
                ("pinif_interface_packets_total", 7.0),
                ("pinif_packets_total", 7.0),
            ]
        );
        let cells = after[r#"pinif_map_entries{map="cells"}"#];
        assert!(cells >= 1.0, "{cells}");
        assert_eq!(after[entries], 1.0);
        assert_eq!(after[r#"pinif_map_capacity{map="findings"}"#], 16_384.0);

        auditor
            .stop()
            .expect()
            .finding(
                leak("device-escape")
                    .bound("fab0")
                    .egress("eth1")
                    .packets(7)
                    .by(&sent),
            )
            .nothing_else();
    });
}

#[test]
fn nothing_goes_down_when_an_interface_is_renamed() {
    scenario("metrics renamed", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        bench.send(&format!("{LEAK} --count 7"));
        auditor.wait_for_finding("device-escape");
        let total = |values: &Values, interface: &str| -> f64 {
            let named = format!(r#"egress_interface="{interface}""#);
            let of = values.iter().filter(|(name, _)| name.contains(&named));
            let escaped = of.filter(|(name, _)| name.contains("device-escape"));
            escaped.map(|(_, value)| value).sum()
        };
        let once = |interface: &str, packets: f64| {
            let what = format!("{packets} packets by {interface}");
            scrape_until(&place, &what, |values| total(values, interface) >= packets)
        };
        let before = once("eth1", 7.0);
        rename(bench.card(), "eth1", "wan0");
        auditor.wait_for_note("eth1 is called wan0 from now on");
        bench.send("udp --bind-device fab0 --pktinfo wan0 --to 10.0.0.2:9 --count 5");
        let after = once("wan0", 5.0);
        rename(bench.card(), "wan0", "eth1");
        auditor.wait_for_note("wan0 is called eth1 from now on");
        bench.send(&format!("{LEAK} --count 1"));
        let last = once("eth1", 8.0);
        let both = |values: &Values| (total(values, "eth1"), total(values, "wan0"));
        assert_eq!(
            [&before, &after, &last].map(both),
            [(7.0, 0.0), (7.0, 5.0), (8.0, 5.0)]
        );
        goes_on(&before, &after);
        goes_on(&after, &last);
        auditor.stop();
    });
}

#[test]
fn each_reader_gets_the_format_that_it_asks_for() {
    scenario("metrics formats", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let open_metrics = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2\r\n";
        let (of_type, text) = accepting(&place, open_metrics);
        assert_eq!(
            of_type,
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        let (of_type, text) = accepting(&place, "");
        assert_eq!(of_type, "text/plain; version=0.0.4; charset=utf-8");
        assert!(
            text.contains("# TYPE pinif_packets_total counter\n"),
            "{text}"
        );
        auditor.stop();
    });
}

#[test]
fn the_textfile_says_too_that_there_is_no_auditor() {
    scenario("metrics textfile", &[], |bench| {
        let place = Place::new();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pinif.prom");
        let write = || {
            let mut pinif = Command::new(env!("CARGO_BIN_EXE_pinif"));
            pinif.arg("metrics").arg("--socket").arg(place.path());
            let output = pinif
                .arg("--output")
                .arg(&file)
                .output()
                .expect("pinif runs");
            assert!(output.stdout.is_empty());
            let text = fs::read_to_string(&file).expect("it was written");
            (output.status.code(), values(&text))
        };
        let (status, none) = write();
        assert_eq!((status, none["pinif_ready"]), (Some(1), 0.0));
        assert_eq!(none.len(), 2, "{none:?}");
        let auditor = place.audit(bench, &[]);
        let (status, there) = write();
        assert_eq!((status, there["pinif_ready"]), (Some(0), 1.0));
        auditor.stop();
        let (status, gone) = write();
        assert_eq!((status, gone), (Some(1), none));
        let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
        assert_eq!(left.len(), 1);
    });
}

/// What a rule or the documentation names, a reader gets.
#[test]
fn rules_and_documentation_name_metrics_that_there_are() {
    scenario("metrics named", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        // What `pinif serve` passes on, with its own behind it.
        let folder = tempfile::tempdir().expect("a folder");
        let history = folder.path().join("history.db");
        // Nobody listens there.
        let options = [
            "--otlp",
            "http://127.0.0.1:9",
            "--exec",
            "/bin/true",
            "--history",
        ];
        let options = options.into_iter().map(OsStr::new);
        let served = Served::start(&place, options.chain([history.as_os_str()]));
        let text = served.until("an auditor's metrics", |served| {
            let (_, text) = served.get("/metrics");
            let is_whole = text.contains("# TYPE pinif_packets_total")
                && text.contains("\npinif_serve_age_seconds");
            is_whole.then_some(text)
        });
        served.stop();
        // What there is besides for readers of other hosts.
        let secure = Secure::with_tokens();
        let text = text + &secure.metrics();
        secure.served.stop();
        auditor.stop();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let there: BTreeSet<_> = types.filter_map(|line| line.split(' ').next()).collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let named = |file: &str| -> BTreeSet<String> {
            let text = fs::read_to_string(root.join(file)).expect(file);
            let is_name = |character: char| character.is_ascii_lowercase() || character == '_';
            text.split(|character| !is_name(character))
                .filter(|word| word.starts_with("pinif_"))
                .map(str::to_owned)
                .collect()
        };
        for file in [
            "contrib/grafana/pinif-dashboard.json",
            "contrib/prometheus/pinif.rules.yml",
            "contrib/prometheus/pinif.rules.test.yml",
        ] {
            for name in named(file) {
                assert!(there.contains(&*name), "{file}: {name}");
            }
        }
        let documented = named("docs/metrics.md");
        let there: BTreeSet<_> = there.into_iter().map(str::to_owned).collect();
        assert_eq!(documented, there);
    });
}
