//! A control socket without an auditor behind it: it answers as that of the card, or as one that has very much of everything.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::top::card;

/// How many findings there are at most, in the programs' map.
const MANY: u64 = 65_536;

/// A socket that answers; gone when dropped.
pub struct Fed {
    ended: Arc<AtomicBool>,
    path: std::path::PathBuf,
}

/// What it answers of.
#[derive(Clone, Copy)]
pub enum Of {
    /// The card of the documentation's examples.
    Card,
    /// A host that has very much of everything.
    Crowd,
}

impl Fed {
    /// Begins to answer at a path.
    pub fn start(path: &Path, of: Of) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        let ended = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let is_ended = Arc::clone(&ended);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_ended.load(Ordering::Relaxed) {
                    return;
                }
                let stream = stream.expect("a connection");
                thread::spawn(move || answer(stream, of, started));
            }
        });
        Self {
            ended,
            path: path.to_owned(),
        }
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // It learns of it by one that calls.
        drop(UnixStream::connect(&self.path));
    }
}

/// Answers one request.
fn answer(mut stream: UnixStream, of: Of, started: Instant) {
    let mut lines = BufReader::new(stream.try_clone().expect("a descriptor")).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    for line in lines {
        match line {
            Ok(line) if !line.is_empty() => {}
            _ => break,
        }
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    // Counts are those of a whole second, so that rates are the same each time.
    let seconds = || 9 + started.elapsed().as_secs();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    if target.starts_with("/v1/events") {
        loop {
            let mut status = said(of, "/v1/status", seconds());
            status["type"] = json!("status");
            if writeln!(stream, "{status}").is_err() {
                return;
            }
            // An auditor says each second how it stands.
            thread::sleep(Duration::from_secs(1));
        }
    }
    let _ = write!(stream, "{}", said(of, target, seconds()));
}

fn said(of: Of, target: &str, seconds: u64) -> Value {
    let card = of_card(target, seconds.min(59));
    match of {
        Of::Card => card,
        Of::Crowd => crowded(card, target),
    }
}

/// As the control socket of the card's auditor has it.
fn of_card(target: &str, seconds: u64) -> Value {
    let value = |value: Result<Value, _>| value.expect("JSON");
    let fetched = card::fetched(seconds);
    let findings = card::findings(seconds);
    let path = target.split('?').next().unwrap_or_default();
    match path {
        "/v1/status" => {
            let mut status = value(serde_json::to_value(fetched.status));
            status["labels"] = json!({"chassis": "A", "slot": "3"});
            status
        }
        "/v1/matrix" => value(serde_json::to_value(fetched.matrix)),
        "/v1/policy" => value(serde_json::to_value(fetched.policy)),
        "/v1/foreseen" => {
            let mut latent = value(serde_json::to_value(&findings[1]));
            latent["latent"] = json!(true);
            latent["if"] = json!("fab0 down");
            json!({"foresees": true, "total": 1, "findings": [latent]})
        }
        "/v1/sockets" => {
            let sockets = card::sockets();
            json!({"time": fetched.status.time, "total": sockets.total, "next": null, "unlisted_raw": 0, "sockets": sockets.first})
        }
        "/v1/findings" => {
            let is_wanted = |name: &str| {
                !target.contains("severity=") || target.contains(&format!("severity={name}"))
            };
            let is_accepted = target.contains("state=accepted");
            let wanted = findings.into_iter();
            let wanted = wanted.filter(|line| is_wanted(line.severity.name()) && !is_accepted);
            let wanted: Vec<_> = wanted.collect();
            json!({"total": wanted.len(), "next": null, "findings": wanted})
        }
        _ => {
            let id = path.rsplit('/').next().unwrap_or_default();
            let one = findings.into_iter().find(|finding| finding.id == id);
            value(serde_json::to_value(one))
        }
    }
}

/// The same, with more of all than a page can show.
fn crowded(mut card: Value, target: &str) -> Value {
    let path = target.split('?').next().unwrap_or_default();
    let many = |of: &Value, number: u64, amend: &dyn Fn(&mut Value, u64)| {
        let each = |number| {
            let mut one = of.clone();
            amend(&mut one, number);
            one
        };
        Value::Array((0..number).map(each).collect())
    };
    match path {
        "/v1/status" => {
            card["findings"][0]["number"] = json!(MANY);
            card["interfaces"] = many(&card["interfaces"][0], 3000, &|one, number| {
                one["name"] = json!(format!("veth{number}"));
                one["netns"] = json!(format!("pod{}", number % 300));
            });
        }
        "/v1/matrix" => {
            card["matrix"] = many(&card["matrix"][1], 5000, &|one, number| {
                one["netns"] = json!("pod0");
                one["bound_device"] = json!(format!("bound{}", number / 50));
                one["egress_interface"] = json!(format!("veth{}", number % 50));
            });
        }
        "/v1/findings" => {
            let page = if target.contains("limit=1&") || target.ends_with("limit=1") {
                1
            } else {
                250
            };
            let lines = many(&card["findings"][0], page, &|one, number| {
                one["id"] = json!(format!("{number:012x}"));
            });
            if card["findings"][0].is_object() {
                card = json!({"total": MANY, "next": 250, "findings": lines});
            }
        }
        "/v1/foreseen" => {
            card["findings"] = many(&card["findings"][0], 250, &|one, number| {
                one["id"] = json!(format!("{number:012x}"));
                one["netns"] = json!("pod0");
            });
            card["total"] = json!(3000);
        }
        "/v1/sockets" => {
            let lines = many(&card["sockets"][0], 250, &|one, number| {
                one["socket_cookie"] = json!(number);
            });
            card = json!({"time": card["time"], "total": 16_384, "next": 250, "unlisted_raw": 3, "sockets": lines});
        }
        "/v1/policy" => {
            for list in ["zones", "rules"] {
                card[list] = many(&card[list][0], 500, &|one, number| {
                    one["name"] = json!(format!("{list}{number}"));
                });
            }
        }
        _ => {}
    }
    card
}
