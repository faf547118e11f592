//! Readers of other machines: who is answered, what a new certificate does, and that those who say nothing keep nobody out.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
    process::Command,
};

use nix::sys::signal::Signal;

use super::{
    issued::{Authority, Folder, Issued, Secured, ask, connect, set_mode},
    secured::{NAME, OTHER, Secure, TOKEN, bearer, value},
    served::Served,
};
use crate::control::asked::Place;

fn refused(text: &str) -> [u64; 5] {
    ["plain", "handshake", "token", "crowded", "too-many"].map(|reason| {
        value(
            text,
            &format!("pinif_serve_refused_total{{reason=\"{reason}\"}}"),
        )
    })
}

#[test]
fn a_token_and_a_name_of_the_certificate_are_answered() {
    let secure = Secure::with_tokens();
    let named = format!("Host: {NAME}");
    for token in [TOKEN, OTHER] {
        assert_eq!(secure.status(&[&named, &bearer(token)]), 200);
    }
    let wrong = bearer(&TOKEN.replace('d', "e"));
    let mut stream = secure.connect(&secure.authority.client(None));
    let (status, text) = ask(&mut stream, &[&named, &wrong]).expect("an answer");
    assert_eq!(status, 401);
    let head = text.to_ascii_lowercase();
    assert!(head.contains("\r\nwww-authenticate: bearer realm=\"pinif\"\r\n"));
    assert!(head.contains("\r\nconnection: close\r\n"));
    assert!(!text.contains(TOKEN) && !text.contains("pinif_"), "{text}");
    assert_eq!(secure.status(&[&named]), 401);
    for (host, status) in [
        ("CARD7.example:9759", 200),
        ("7.cards.example", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:1", 200),
        ("proxy.example", 200),
        ("localhost", 421),
        ("127.0.0.2", 421),
        ("[::2]", 421),
        ("cards.example", 421),
        ("card7.example.attacker.example", 421),
        ("", 421),
    ] {
        let host = format!("Host: {host}");
        assert_eq!(secure.status(&[&host, &bearer(TOKEN)]), status, "{host}");
    }
    // Whoever does not encrypt learns why, and nothing else.
    let (status, text) = secure.served.get("/metrics");
    assert_eq!(status, 400);
    assert!(text.contains("ask for https://"), "{text}");
    let mut stream = secure.connect(&secure.authority.client(None));
    let (_, text) = ask(&mut stream, &[&named, &bearer(TOKEN)]).expect("an answer");
    assert_eq!(refused(&text), [1, 0, 2, 0, 0]);
    let ended = secure.served.stop();
    let said = ended.stderr.join("\n");
    assert!(!said.contains(TOKEN) && !said.contains(OTHER), "{said}");
}

#[test]
fn a_certificate_of_the_named_issuer_is_answered() {
    let authority = Authority::new("cards");
    let readers = Authority::new("readers");
    let folder = Folder::new();
    folder.put("readers.pem", readers.pem());
    let own = authority.issue(&[NAME]);
    let secure = Secure::start(authority, &own, folder, &[("--client-ca", "readers.pem")]);
    let named = format!("Host: {NAME}");
    let connect = |own: Option<&Issued>| secure.connect(&secure.authority.client(own));
    let reader = readers.issue(&["prometheus.example"]);
    let answered = || ask(&mut connect(Some(&reader)), &[&named]).expect("an answer");
    assert_eq!(answered().0, 200);
    let late = readers.issue_until(&["late.example"], 2001);
    let other = Authority::new("another").issue(&["other.example"]);
    for (own, why) in [
        (None, "CertificateRequired"),
        (Some(&late), "Expired"),
        (Some(&other), "UnknownCA"),
    ] {
        // With TLS 1.3 a client is done before it learns that its certificate is refused.
        let error = connect(own).read(&mut [0]).expect_err(why).to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    let (_, text) = answered();
    assert_eq!(refused(&text), [0, 3, 0, 0, 0]);
    secure.served.stop();
}

#[test]
fn a_certificate_that_has_expired_is_the_clients_to_refuse() {
    let authority = Authority::new("cards");
    let folder = Folder::new();
    folder.put("tokens", TOKEN);
    let own = authority.issue_until(&[NAME], 2001);
    let secure = Secure::start(authority, &own, folder, &[("--token-file", "tokens")]);
    let mut stream = secure.connect(&secure.authority.client(None));
    let error = ask(&mut stream, &[]).expect_err("it has expired");
    assert!(error.to_string().contains("expired"), "{error}");
    secure.served.stop();
}

#[test]
fn new_files_are_in_force_at_once_and_no_connection_is_dropped() {
    let mut secure = Secure::with_tokens();
    let named = format!("Host: {NAME}");
    let client = secure.authority.client(None);
    let shown = |stream: &Secured| {
        let chain = stream.conn.peer_certificates().expect("a certificate");
        chain[0].clone().into_owned()
    };
    let mut early = secure.connect(&client);
    let (status, _) = ask(&mut early, &[&named, &bearer(TOKEN)]).expect("an answer");
    assert_eq!(status, 200);
    let first = shown(&early);

    // The first token does not hold any more.
    secure.folder.put("tokens", OTHER);
    let in_force = "the files of certificates and tokens is in force";
    secure.served.pinif.wait_for_note(in_force);
    let (status, _) = ask(&mut early, &[&named, &bearer(OTHER)]).expect("the same connection");
    assert_eq!(status, 200);
    assert_eq!(secure.status(&[&named, &bearer(TOKEN)]), 401);

    let second = secure.authority.issue(&[NAME]);
    secure.folder.put_certificate(&second);
    secure.served.pinif.wait_for_note(in_force);
    let mut late = secure.connect(&client);
    let (status, _) = ask(&mut late, &[&named, &bearer(OTHER)]).expect("an answer");
    assert_eq!(status, 200);
    assert_eq!(shown(&late), second.der);
    assert_ne!(first, second.der);
    let (status, _) = ask(&mut early, &[&named, &bearer(OTHER)]).expect("the same connection");
    assert_eq!(status, 200);

    // What is wrong changes nothing, and is said.
    let path = secure.folder.put("cert.pem", "no certificate");
    let note = secure.served.pinif.wait_for_note("stays so");
    assert!(
        note.contains("cert.pem has no certificate in PEM"),
        "{note}"
    );
    let mut stream = secure.connect(&client);
    let (status, text) = ask(&mut stream, &[&named, &bearer(OTHER)]).expect("an answer");
    assert_eq!((status, shown(&stream)), (200, second.der.clone()));
    assert_eq!(value(&text, "pinif_serve_tls_reload_success"), 0);
    fs::write(&path, &second.pem).expect("it is ours");
    secure.served.pinif.wait_for_note(in_force);
    let (_, text) = ask(&mut stream, &[&named, &bearer(OTHER)]).expect("an answer");
    assert_eq!(value(&text, "pinif_serve_tls_reload_success"), 1);

    // Also where nothing has changed, when somebody asks for it.
    secure.served.pinif.signal(Signal::SIGHUP);
    secure.served.pinif.wait_for_note(in_force);
    let (status, _) = ask(&mut early, &[&named, &bearer(TOKEN)]).expect("the same connection");
    assert_eq!(status, 401, "each request is held to what is in force");
    secure.served.stop();
}

/// What leads there is a link to a folder, and this is swapped; then others can change what is above it for a while.
#[test]
fn a_folder_that_is_swapped_and_one_that_is_put_right_are_noticed() {
    let authority = Authority::new("cards");
    let folder = Folder::new();
    folder.put("tokens", TOKEN);
    let at = |name: &str| folder.path(name);
    let publish = |version: &str| {
        let own = authority.issue(&[NAME]);
        fs::create_dir_all(at(version)).expect("a folder");
        folder.put_certificate(&own);
        for name in ["cert.pem", "key.pem"] {
            fs::rename(at(name), at(version).join(name)).expect("it is ours");
        }
        let (_, last) = version.split_once('/').expect("a path");
        symlink(last, at("above/new")).expect("a link");
        fs::rename(at("above/new"), at("above/current")).expect("it is ours");
        own
    };
    let first = publish("above/v1");
    let files = ["above/current/cert.pem", "above/current/key.pem", "tokens"].map(&at);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.args(["serve", "--host", NAME]);
    for (option, file) in ["--tls-cert", "--tls-key", "--token-file"]
        .iter()
        .zip(&files)
    {
        command.arg(option).arg(file);
    }
    let mut served = Served::of(&Place::new(), command);
    let named = format!("Host: {NAME}");
    let shown = |served: &Served| {
        let client = authority.client(None);
        let mut stream = connect(&client, ("127.0.0.1", served.port()), NAME);
        let (status, text) = ask(&mut stream, &[&named, &bearer(TOKEN)]).expect("an answer");
        assert_eq!(status, 200);
        let chain = stream.conn.peer_certificates().expect("a certificate");
        let right = value(&text, "pinif_serve_tls_reload_success");
        (chain[0].clone().into_owned(), right)
    };
    assert_eq!(shown(&served), (first.der, 1));
    let in_force = "the files of certificates and tokens is in force";
    let second = publish("above/v2");
    served.pinif.wait_for_note(in_force);
    assert_eq!(shown(&served), (second.der.clone(), 1));

    set_mode(&at("above"), 0o777);
    served.pinif.signal(Signal::SIGHUP);
    let note = served.pinif.wait_for_note("stays so");
    assert!(note.contains("run `chmod go-w "), "{note}");
    assert_eq!(shown(&served), (second.der.clone(), 0));
    set_mode(&at("above"), 0o755);
    served.pinif.wait_for_note(in_force);
    assert_eq!(shown(&served), (second.der, 1));
    served.stop();
}

#[test]
fn those_who_say_nothing_keep_nobody_out() {
    let secure = Secure::with_tokens();
    let named = format!("Host: {NAME}");
    let open = |bytes: &[u8]| {
        let mut stream =
            TcpStream::connect(("127.0.0.1", secure.served.port())).expect("it listens");
        stream.write_all(bytes).expect("it is taken");
        stream
    };
    // As many as have no place, of two kinds: silent, and in the middle of a handshake.
    let crowd: Vec<_> = (0..100)
        .map(|number| {
            open(if number % 2 == 0 {
                b""
            } else {
                b"\x16\x03\x01\x02"
            })
        })
        .collect();
    let mut stream = secure.connect(&secure.authority.client(None));
    let metrics = |stream: &mut Secured| {
        let (status, text) = ask(stream, &[&named, &bearer(TOKEN)]).expect("an answer");
        assert_eq!(status, 200);
        refused(&text)
    };
    // Of 101 that are not known yet, 64 have a place.
    assert_eq!(metrics(&mut stream), [0, 0, 0, 37, 0]);
    // Whoever is known takes none of their places, and loses none to them.
    let more: Vec<_> = (0..65).map(|_| open(b"")).collect();
    secure.served.until("that all were taken in", |_| {
        (metrics(&mut stream)[3] == 101).then_some(())
    });
    drop((crowd, more));
    secure.served.stop();
}
