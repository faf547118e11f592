//! Programs that read by TLS, as the documentation has it.

use std::process::{Command, Stdio};

use pinif_lab::ServerProcess;

use super::{
    issued::{Authority, Folder},
    secured::{NAME, Secure, TOKEN, bearer},
};
use crate::{
    bench::{Need, prometheus, scenario},
    control::{
        asked::until,
        docs::{commands, read},
        prometheus::{get, port},
    },
};

/// The command of docs/history.md, and what speaks an older TLS.
#[test]
fn curl_is_answered_as_documented_and_old_tls_is_not() {
    let needs = [Need::Program("curl"), Need::Program("openssl")];
    scenario("serve curl", &needs, |_| {
        let secure = Secure::with_tokens();
        let port = secure.served.port();
        let authority = secure.folder.put("ca.pem", secure.authority.pem());
        secure.folder.put("header", &bearer(TOKEN));
        let commands = commands(&read("history.md"));
        let mut commands = commands.iter().filter(|line| line.contains("https://"));
        let line = commands.next().expect("a command");
        assert_eq!(commands.next(), None);
        let curl = |line: &str| {
            let resolve =
                format!("curl --silent --fail --show-error --resolve {NAME}:{port}:127.0.0.1 ");
            let line = line
                .replace("curl ", &resolve)
                .replace(":9759/v1/status", &format!(":{port}/metrics"));
            let mut shell = Command::new("sh");
            shell
                .args(["-c", &line])
                .current_dir(secure.folder.path(""));
            let output = shell.output().expect("a shell");
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            (output.status.code(), text)
        };
        let (code, text) = curl(line);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("\npinif_serve_auditor_up 0\n"), "{text}");
        let (code, text) = curl(&line.replace("--header @header", ""));
        assert!(code == Some(22) && text.contains("401"), "{text}");
        let client = |version: &str| {
            let mut client = Command::new("openssl");
            client.args(["s_client", "-brief", version, "-verify_return_error"]);
            client.args(["-servername", NAME, "-verify_hostname", NAME]);
            client.arg("-connect").arg(format!("127.0.0.1:{port}"));
            client.arg("-CAfile").arg(&authority).stdin(Stdio::null());
            client.output().expect("openssl runs").status.success()
        };
        assert!(client("-tls1_3"));
        assert!(!client("-tls1_2"));
        secure.served.stop();
    });
}

/// The configuration of docs/metrics.md, by a real Prometheus.
#[test]
fn prometheus_scrapes_as_documented() {
    scenario("serve prometheus", &[Need::Prometheus], |_| {
        let programs = prometheus().expect("it is there");
        let page = read("metrics.md");
        let mut blocks = page.split("```");
        let configuration = blocks
            .find(|block| block.contains("scheme: https"))
            .and_then(|block| block.strip_prefix("yaml\n"))
            .expect("a configuration");
        let authority = Authority::new("cards");
        let own = authority.issue(&["localhost"]);
        let folder = Folder::new();
        folder.put("tokens", TOKEN);
        folder.put("ca.pem", authority.pem());
        let secure = Secure::start(authority, &own, folder, &[("--token-file", "tokens")]);
        let at = |name: &str| secure.folder.path(name).display().to_string();
        let replaced = [
            ("/etc/prometheus/pinif.token", at("tokens")),
            ("/etc/prometheus/pinif-ca.pem", at("ca.pem")),
            (
                "card7.example:9759",
                format!("localhost:{}", secure.served.port()),
            ),
        ];
        let mut text =
            format!("global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n{configuration}");
        for (from, to) in replaced {
            assert!(text.contains(from), "{from}: {text}");
            text = text.replace(from, &to);
        }
        let file = secure.folder.put("prometheus.yml", &text);
        let web = port();
        let data = secure.folder.path("data");
        let server = ServerProcess::prometheus(&programs, &file, &data, web);
        let _running = server.expect("it starts");
        let value = until("a scrape", || {
            let answer = get(web, "/api/v1/query?query=pinif_serve_auditor_up")?;
            let value = answer["data"]["result"][0]["value"][1].as_str()?;
            Some(value.to_owned())
        });
        assert_eq!(value, "0");
        secure.served.stop();
    });
}
