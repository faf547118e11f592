//! `pinif explain` and the pages in `docs/kinds`: what they show is really run, and found.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use pinif_ebpf::verdict::Kind;
use pinif_lab::patience;
use pinif_userspace::commands::explain::page;

use crate::bench::{Need, scenario};
use crate::shell;

/// The shell lines of a page.
fn lines(kind: Kind) -> String {
    let page = page(kind);
    let (_, rest) = page
        .split_once("\n```sh\n")
        .expect("a page has lines to run");
    let (lines, rest) = rest.split_once("\n```\n").expect("they end");
    assert!(!rest.contains("```"), "{} has one block", kind.name());
    lines.to_owned()
}

#[test]
fn every_page_has_its_parts() {
    for kind in Kind::ALL {
        let (page, name) = (page(kind), kind.name());
        let severity = kind.row().severity.name();
        let mut paragraphs = page.split("\n\n");
        assert_eq!(paragraphs.next(), Some(&*format!("# {name}")));
        let first = paragraphs.next().expect("it goes on").to_lowercase();
        assert!(first.starts_with(severity), "{name}: {first}");
        let headings: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("## "))
            .collect();
        assert_eq!(
            headings,
            [
                "## What it means",
                "## How it comes about in the kernel",
                "## See it",
                "## Fix it"
            ],
            "{name}"
        );
        let (_, fix) = page.split_once("## Fix it").expect("it is there");
        let rows = fix
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                "in",
                "---",
                "C",
                "Rust",
                "Go",
                "Python",
                "systemd unit",
                "nginx",
                "curl",
                "ssh"
            ],
            "{name}"
        );
        assert_eq!(lines(kind).lines().count(), 5, "{name}");
    }
}

/// Runs a page's lines as it says.
fn run(kind: Kind) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    // What people wait for is too short for a processor that is emulated.
    let time = patience(Duration::from_secs(3)).as_secs();
    let lines = lines(kind).replace("--duration 3s", &format!("--duration {time}s"));
    shell::run(&lines, folder.path())
}

/// That a page's lines show the kind, and nothing else.
fn shows(kind: Kind) {
    let mut needs = vec![
        Need::Program("unshare"),
        Need::Program("bash"),
        Need::Program("python3"),
        Need::Program("ip"),
    ];
    if kind == Kind::CopyEscape {
        needs.push(Need::Program("tc"));
    }
    scenario(&format!("kinds {}", kind.name()), &needs, |_| {
        let output = run(kind);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        let headlines: Vec<_> = said
            .lines()
            .filter(|line| !line.starts_with(' ') && !line.is_empty())
            .collect();
        let [headline] = headlines[..] else {
            panic!("{said}")
        };
        let start = format!("{} {} ", kind.row().severity.name(), kind.name());
        assert!(headline.starts_with(&start), "{said}");
        let seen = match kind {
            Kind::Unaudited | Kind::ArpFlux => "seen      found at ",
            _ => "Z, 1 packet, ",
        };
        assert!(said.contains(seen), "{said}");
        assert!(
            said.contains(&format!("more      pinif explain {}\n", kind.name())),
            "{said}"
        );
    });
}

#[test]
fn the_lines_of_device_escape_show_it() {
    shows(Kind::DeviceEscape);
}

#[test]
fn the_lines_of_address_escape_show_it() {
    shows(Kind::AddressEscape);
}

#[test]
fn the_lines_of_copy_escape_show_it() {
    shows(Kind::CopyEscape);
}

#[test]
fn the_lines_of_policy_escape_show_it() {
    shows(Kind::PolicyEscape);
}

#[test]
fn the_lines_of_reply_escape_show_it() {
    shows(Kind::ReplyEscape);
}

#[test]
fn the_lines_of_unpinned_show_it() {
    shows(Kind::Unpinned);
}

#[test]
fn the_lines_of_crossed_bind_show_it() {
    shows(Kind::CrossedBind);
}

#[test]
fn the_lines_of_ingress_escape_show_it() {
    shows(Kind::IngressEscape);
}

#[test]
fn the_lines_of_unaudited_show_it() {
    shows(Kind::Unaudited);
}

#[test]
fn the_lines_of_arp_flux_show_it() {
    shows(Kind::ArpFlux);
}

/// What pinif says, and how it ends.
fn explain(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pinif"))
        .arg("explain")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pinif");
    // One that needs no input may have ended.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes());
    let output = child.wait_with_output().expect("a child");
    let said = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.code(),
        String::from_utf8(said).expect("UTF-8"),
    )
}

#[test]
fn a_kind_is_explained_by_its_page() {
    for kind in Kind::ALL {
        let (status, said) = explain(&[kind.name()], "");
        let name = kind.name();
        let next = format!(
            "\nNext: `pinif findings --kind {name}` lists those that a running auditor has.\n"
        );
        assert!(status == Some(0) && said.ends_with(&next), "{said}");
        // Its prose is filled anew, and its code is as it was.
        let (shown, page) = (said.as_str(), page(kind));
        let code = |text: &'_ str| {
            let (_, rest) = text.split_once("```sh\n").expect("code");
            rest.split_once("\n## Fix it").expect("a fix").0.to_owned()
        };
        assert_eq!(code(shown), code(page));
    }
    let (status, said) = explain(&["device-escap"], "");
    assert_eq!(
        (status, &*said),
        (
            Some(1),
            "pinif: there is no kind `device-escap`; `device-escape` is the nearest\n"
        )
    );
    let (status, said) = explain(&["zz\u{1b}"], "");
    assert_eq!(status, Some(1));
    assert!(
        said.starts_with(
            "pinif: there is no kind `zz\\x1b`; there are device-escape, address-escape"
        ),
        "{said}"
    );
}

/// Two lines of one finding, and lines of other types.
const AUDIT: &str = r#"{"type":"ready","interfaces":["eth1"],"netns":["card"],"kernel":"6.18","attach":"tcx","version":"0.1.0"}
{"type":"finding","id":"a549f0330649","time":"2026-03-01T12:00:00.125042Z","kind":"device-escape","severity":"leak","rule":null,"netns":"card","bound_device":"bp7","bound_address":null,"egress_interface":"wan7","protocol":"udp","source":"10.1.0.1:40000","destination":"10.1.0.2:5000","packets":1,"bytes":66,"socket_cookie":1,"process":{"pid":7,"comm":"telemetryd","exe":null,"uid":0,"cgroup":null},"cause":"IP_PKTINFO override","explanation":"first","remedy":"bind it","origin":"socket"}
{"type":"finding","id":"a549f0330649","time":"2026-03-01T12:00:00.125042Z","kind":"device-escape","severity":"leak","rule":null,"netns":"card","bound_device":"bp7","bound_address":null,"egress_interface":"wan7","protocol":"udp","source":"10.1.0.1:40000","destination":"10.1.0.2:5000","packets":1000,"bytes":66000,"socket_cookie":1,"process":{"pid":7,"comm":"telemetryd","exe":null,"uid":0,"cgroup":null},"cause":"IP_PKTINFO override","explanation":"last","remedy":"bind it","origin":"socket"}
{"type":"summary","duration_s":1.0,"packets":1000,"bytes":66000,"matrix":[],"findings":1,"uncounted":{}}
"#;

const NEXT: &str = "\nNext: once it is fixed, `pinif audit` shows whether it comes again.\n";

const EXPLAINED: &str = "\
leak device-escape a549f0330649: telemetryd (pid 7), bound to bp7, UDP via wan7
  what      last
  cause     IP_PKTINFO override
  fix       bind it
  process   telemetryd, pid 7, uid 0
  socket    UDP 10.1.0.1:40000 → 10.1.0.2:5000, cookie 1
  path      left via wan7, bound to bp7, namespace card
  seen      2026-03-01T12:00:00.125042Z, 1,000 packets, 66,000 bytes
";

#[test]
fn a_finding_is_explained_with_its_own_values() {
    let (status, said) = explain(&["a549f0330649", "--from", "-"], AUDIT);
    assert_eq!(status, Some(0));
    assert!(
        said.starts_with(&format!("{EXPLAINED}\n# device-escape\n")),
        "{said}"
    );
    assert!(
        said.ends_with(&format!(
            "\nssh           `pinif run --interface bp7 -- ssh 10.1.0.2`, and no zone (`%wan7`) in the address\n{NEXT}"
        )),
        "{said}"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let file: PathBuf = folder.path().join("audit.jsonl");
    fs::write(&file, AUDIT).expect("a file");
    let path = file.to_str().expect("UTF-8");
    let short = format!("{EXPLAINED}  more      pinif explain device-escape\n");
    assert_eq!(explain(&["--from", path], ""), (Some(0), short));
    let (_, said) = explain(&["device-escape", "--from", path], "");
    assert!(
        said.starts_with("# device-escape\n") && said.contains("--interface bp7 -- ssh"),
        "{said}"
    );
    let (_, said) = explain(&["unpinned", "--from", path], "");
    assert!(
        said.starts_with("# unpinned\n") && said.ends_with(NEXT),
        "{said}"
    );
    let (status, said) = explain(&["--from", "-"], "");
    let begins = said.starts_with("no finding\n\nNext: ");
    assert!(status == Some(0) && begins, "{said}");
}

#[test]
fn what_cannot_be_explained_is_reported() {
    let refused = |arguments: &[&str], input| {
        let (status, said) = explain(arguments, input);
        assert_eq!((status, said.lines().count()), (Some(1), 1), "{said}");
        said
    };
    assert_eq!(
        refused(&["a549f0330649", "--socket", "/dev/null/none"], ""),
        "pinif: a549f0330649 is the id of a finding, which its auditor is asked for; where it does not run any more, name \
         what `pinif audit --format json` printed with --from FILE: the auditor at /dev/null/none has gone: Not a directory \
         (os error 20)\n"
    );
    assert_eq!(
        refused(&["000000000000", "--from", "-"], AUDIT),
        "pinif: there is no finding 000000000000 in -; there are a549f0330649\n"
    );
    assert!(
        refused(&["--from", "/no/such/file"], "")
            .starts_with("pinif: /no/such/file cannot be read: No such file")
    );
    let said = refused(&["--from", "-"], "{\"type\":\"ready\"}\nleak \u{1b}[2J\n");
    assert!(
        said.starts_with(
            "pinif: line 2 of - is none of `pinif audit --format json`: it is no JSON; "
        ),
        "{said}"
    );
    assert!(!said.contains('\u{1b}'), "{said}");
    assert_eq!(
        refused(&["a549f0"], ""),
        "pinif: `a549f0` is no kind, and no id of a finding, which has 12 hexadecimal digits; `pinif findings` lists them\n"
    );
}
