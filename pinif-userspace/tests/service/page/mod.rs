//! The page of `pinif serve`, in a browser.

mod browser;
mod fed;

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use self::{
    browser::Browser,
    fed::{Fed, Of},
};
use crate::{
    bench::{Bench, Need, SENDER, Sender, browser as programs, scenario},
    control::asked::{LEAK, Place},
    serve::served::Served,
};

/// A process that is called so: markup, a direction of writing that turns, and an escape sequence.
const HOSTILE: &str = "<img src=x>\u{202e}\u{1b}";
/// How it is shown.
const SHOWN: &str = r"<img src=x>\u{202e}\x1b";
/// How many elements the page has at most.
const NODES: u64 = 2000;
/// The views, and what is in each once it is drawn.
const VIEWS: [(&str, &str); 4] = [
    ("#/", "#foreseen :is(p, table)"),
    ("#/findings", "#findings-list a"),
    ("#/sockets", "#sockets-list p"),
    ("#/policy", "#policy-facts dl"),
];

/// Shows a view, and waits until it is drawn.
fn view(browser: &mut Browser, hash: &str, has: &str) {
    browser.run(&format!("location.hash = {}", json!(hash)));
    browser.wait(&format!(
        "[...document.querySelectorAll({})].some((one) => one.getClientRects().length > 0)",
        json!(has)
    ));
}

/// Presses Tab until a link to this hash has the focus, and then Enter.
fn follow(browser: &mut Browser, hash: &str) {
    for _ in 0..60 {
        browser.press("Tab");
        if browser.run("document.activeElement.getAttribute('href')") == hash {
            return browser.press("Enter");
        }
    }
    panic!("no Tab comes to {hash}");
}

/// What keeps people from using what is shown: axe's findings that are serious or worse.
fn barriers(browser: &mut Browser) -> Value {
    browser.run(
        // One that looked at nothing would find nothing.
        "axe.run().then(({ violations, passes }) => passes.length < 10 ? 'it looks at nothing' : violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, nodes }) => [id, ...nodes.slice(0, 3).map(({ html, any }) => [html, any.map(({ message }) => message)])]))",
    )
}

/// How wide the content is, and the page.
fn widths(browser: &mut Browser) -> (u64, u64) {
    let widths = browser.run("[document.documentElement.scrollWidth, innerWidth]");
    let width = |at: usize| widths[at].as_u64().expect("a width");
    (width(0), width(1))
}

fn send_as(bench: &Bench, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::os::unix::fs::symlink(*SENDER, &path).expect("a link");
    let cgroup = Some(bench.cgroup_path());
    let arguments = format!("{LEAK} --count 3");
    Sender::start_as(&path, bench.card(), cgroup, &arguments).finish();
}

#[test]
fn a_leak_is_shown_is_opened_by_keys_and_outlives_the_auditor() {
    scenario("page", &[Need::Browser], |bench| {
        let place = Place::new();
        let mut served = Served::start(&place, [""; 0]);
        let mut browser = Browser::start();
        browser.shown(1280, 900, "light");
        browser.open(&format!("http://127.0.0.1:{}/", served.port()));
        browser.wait("document.getElementById('state')?.textContent === 'reconnecting'");
        let mut auditor = place.audit(bench, &["--label", "slot=7"]);
        served.wait_until_heard();
        send_as(bench, HOSTILE);
        let leak = auditor.wait_for_finding("device-escape");
        browser.wait("document.getElementById('state').textContent === 'live'");
        browser.wait("document.querySelector('#matrix .is-leak')?.textContent.includes('3leak')");
        browser.wait("document.querySelector('#card .ribbon.leak')");
        assert_eq!(
            browser.wait("document.querySelector('#facts dd').textContent"),
            "slot=7"
        );
        // Somebody who hears the page learns of the next one.
        bench.send("udp --bind 10.0.0.1:7001 --to 203.0.113.9:9");
        browser.wait("document.getElementById('announcement').textContent.startsWith('New: 1 ')");

        let hash = format!("#/findings/{}", leak.id);
        follow(&mut browser, &hash);
        browser.wait("document.querySelector('#finding:not([hidden]) .evidence')");
        let title = browser.run("document.activeElement.id");
        assert_eq!(title, "finding-title", "the focus follows");
        let text = browser.run("document.getElementById('finding').innerText");
        let text = text.as_str().expect("a text");
        for part in [
            SHOWN,
            "left via eth1",
            "bound to fab0",
            "IP_PKTINFO",
            "3 packets",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
        assert_eq!(browser.run("document.images.length"), 0);

        let axe = programs().expect("it is there").join("axe.min.js");
        browser.run(&fs::read_to_string(axe).expect("a script"));
        for scheme in ["light", "dark"] {
            browser.shown(375, 800, scheme);
            for (hash, has) in VIEWS.into_iter().chain([(&*hash, "#finding .evidence")]) {
                view(&mut browser, hash, has);
                let (content, page) = widths(&mut browser);
                assert!(content <= page, "{hash} is {content} wide, of {page}");
                assert_eq!(barriers(&mut browser), json!([]), "{hash}, {scheme}");
            }
        }

        drop(auditor.stop());
        browser.wait("document.getElementById('state').textContent === 'reconnecting'");
        let kept = browser.run("document.getElementById('finding').innerText");
        assert!(kept.as_str().is_some_and(|text| text.contains(SHOWN)));
        let auditor = place.audit(bench, &[]);
        browser.wait("document.getElementById('state').textContent === 'live'");
        assert_eq!(browser.wrong, Vec::<Value>::new());
        served.stop();
        drop(auditor.stop());
    });
}

/// With more than a page can show, and as the documentation has it.
#[test]
fn what_is_shown_is_bounded_and_drawn_as_documented() {
    scenario("page crowd", &[Need::Browser], |_| {
        let mut browser = Browser::start();
        for of in [Of::Crowd, Of::Card] {
            let place = Place::new();
            let _fed = Fed::start(place.path(), of);
            let mut served = Served::start(&place, [""; 0]);
            served.wait_until_heard();
            browser.shown(1280, 800, "light");
            browser.open(&format!("http://127.0.0.1:{}/", served.port()));
            browser.wait("document.getElementById('state')?.textContent === 'live'");
            for (hash, has) in VIEWS {
                view(&mut browser, hash, has);
                let nodes = browser.run("document.querySelectorAll('*').length");
                assert!(nodes.as_u64() <= Some(NODES), "{hash} has {nodes} elements");
                let (content, page) = widths(&mut browser);
                assert!(content <= page, "{hash} is {content} wide, of {page}");
            }
            match of {
                Of::Crowd => {
                    view(&mut browser, "#/findings", "#findings-list a");
                    browser.wait("document.getElementById('shown').textContent === '1 to 100 of 131,072 findings, the gravest first'");
                    browser.run("document.getElementById('next').click()");
                    browser.wait(
                        "document.getElementById('shown').textContent.startsWith('101 to 200 of')",
                    );
                }
                Of::Card => pictures(&mut browser),
            }
            served.stop();
        }
        assert_eq!(browser.wrong, Vec::<Value>::new());
    });
}

/// The pictures of docs/page.md, written where the documentation is updated: another browser's letters look otherwise.
fn pictures(browser: &mut Browser) {
    if std::env::var_os("PINIF_UPDATE_DOCS").is_none() {
        return;
    }
    let rate = "document.querySelector('#matrix .rate')";
    let finding = "document.querySelector('#finding .evidence')?.innerText.includes('/s')";
    for (name, hash, width, height, scheme, has) in [
        ("overview", "#/", 1100, 640, "light", rate),
        ("overview-dark", "#/", 375, 900, "dark", rate),
        (
            "finding",
            "#/findings/7d1a5c0ffee1",
            1000,
            640,
            "light",
            finding,
        ),
    ] {
        browser.shown(width, height, scheme);
        browser.run(&format!("location.hash = {}", json!(hash)));
        browser.wait(has);
        let image = browser.ask("Page.captureScreenshot", json!({"format": "png"}));
        let image = STANDARD.decode(image["data"].as_str().expect("an image"));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/page/{name}.png"));
        fs::write(file, image.expect("base64")).expect("the folder is there");
    }
}
