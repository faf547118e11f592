//! A browser that is driven: headless Chromium, by the DevTools protocol over two pipes.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bench::browser;

/// A browser with one page; ended when dropped.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    /// What it says: answers, and what happens.
    said: Receiver<Value>,
    asked: u64,
    session: Option<String>,
    /// What the page's scripts did wrong, and what the browser refused them.
    pub wrong: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it, with an empty page.
    pub fn start() -> Self {
        let place = browser().expect("it is there");
        let place = place.canonicalize().expect("a folder");
        let profile = tempfile::tempdir().expect("a folder");
        // It reads commands from descriptor 3, and answers on 4.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
        ]);
        command
            .arg(place.join("chromium/chromium-headless-shell"))
            // The tests are root's, and look at no page but their own.
            .args(["--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"])
            .args(["--hide-scrollbars", "--force-color-profile=srgb"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("LD_LIBRARY_PATH", place.join("lib"))
            .env("FONTCONFIG_FILE", place.join("fonts.conf"))
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        let answers = child.stdout.take().expect("a pipe");
        let (say, said) = channel();
        thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("JSON");
                if say.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            commands: child.stdin.take().expect("a pipe"),
            child,
            said,
            asked: 0,
            session: None,
            wrong: Vec::new(),
            _profile: profile,
        };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", target);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.ask(domain, json!({}));
        }
        browser
    }

    /// Has it do something, and waits for the outcome.
    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let bytes = format!("{message}\0");
        self.commands.write_all(bytes.as_bytes()).expect("it reads");
        let patience = pinif_lab::patience(Duration::from_secs(60));
        loop {
            let said = self.said.recv_timeout(patience);
            let mut said = said.unwrap_or_else(|error| panic!("{method}: {error}"));
            if said["id"] == self.asked {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].take();
            }
            self.event(said);
        }
    }

    /// Keeps what is wrong. That a server has no answer is no fault of a page.
    fn event(&mut self, said: Value) {
        let is_wrong = match said["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Page.javascriptDialogOpening") => true,
            Some("Log.entryAdded") => said["params"]["entry"]["source"] != "network",
            _ => false,
        };
        if is_wrong {
            self.wrong.push(said);
        }
    }

    /// Opens an address.
    pub fn open(&mut self, url: &str) {
        self.ask("Page.navigate", json!({"url": url}));
    }

    /// What a script in the page comes to, which may be promised.
    pub fn run(&mut self, script: &str) -> Value {
        let parameters = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let mut outcome = self.ask("Runtime.evaluate", parameters);
        assert!(outcome["exceptionDetails"].is_null(), "{script}: {outcome}");
        outcome["result"]["value"].take()
    }

    /// Waits until a script in the page comes to what is true, and returns that: it is run again whenever the page changes.
    pub fn wait(&mut self, script: &str) -> Value {
        self.run(&format!(
            "new Promise((found) => {{
                const observer = new MutationObserver(() => look());
                const look = () => {{
                    const is = ({script});
                    if (is) {{
                        observer.disconnect();
                        found(is);
                    }}
                }};
                observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
                look();
            }})"
        ))
    }

    /// Presses a key, such as `Tab`, once.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            _ => panic!("{key} has no code here"),
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.ask(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}),
            );
        }
    }

    /// Gives the page so much room, and the colours of a scheme: `light` or `dark`.
    pub fn shown(&mut self, width: u32, height: u32, scheme: &str) {
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
