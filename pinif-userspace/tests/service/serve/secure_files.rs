//! What `pinif serve` refuses to begin with: what is missing beside another option, and files that others can read or change.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    process::Command,
};

use ipnet::IpNet;
use pinif_lab::Namespace;

use super::{
    issued::{Authority, Folder, ask, connect, set_mode},
    unprivileged::{GROUP, NOBODY},
};
use crate::bench::{Pinif, scenario};

const TOKEN: &str = "dGhlIGZpcnN0IG9mIHRoZSB0b2tlbnM=";

/// The error of a `pinif serve` that does not begin, with names of the folder's files for what begins with `@`.
fn error(folder: &Folder, arguments: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.arg("serve");
    for argument in arguments.split_whitespace() {
        match argument.strip_prefix('@') {
            Some(name) => command.arg(folder.path(name)),
            None => command.arg(argument),
        };
    }
    let output = command.output().expect("pinif runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        !error.contains(TOKEN) && !error.contains("PRIVATE"),
        "{error}"
    );
    error
}

fn folder() -> Folder {
    let folder = Folder::new();
    let authority = Authority::new("cards");
    folder.put_certificate(&authority.issue(&["card7.example"]));
    folder.put("ca.pem", authority.pem());
    folder.put("tokens", TOKEN);
    folder
}

#[test]
fn off_this_machine_it_listens_with_tls_and_who_asks_is_known() {
    let folder = folder();
    for address in ["0.0.0.0:9759", "[::]:9759", "192.0.2.1:80"] {
        let error = error(&folder, &format!("--listen {address}"));
        assert!(error.contains("leads off this machine"), "{error}");
        assert!(
            error.contains("give --tls-cert and --tls-key, and --token-file"),
            "{error}"
        );
    }
    for (arguments, expected) in [
        ("--tls-cert @cert.pem", "give both"),
        ("--tls-key @key.pem --token-file @tokens", "give both"),
        (
            "--token-file @tokens",
            "without TLS, a token is for all to read",
        ),
        (
            "--tls-cert @cert.pem --tls-key @key.pem",
            "who asks must be known",
        ),
        (
            "--listen unix:/tmp/x --tls-cert @cert.pem --tls-key @key.pem --token-file @tokens",
            "does not leave this machine",
        ),
    ] {
        let error = error(&folder, arguments);
        assert!(error.contains(expected), "{arguments}: {error}");
    }
}

#[test]
fn an_address_that_is_anothers_is_said() {
    let folder = folder();
    let with = "--tls-cert @cert.pem --tls-key @key.pem --token-file @tokens";
    let error = error(&folder, &format!("--listen 192.0.2.7:9759 {with}"));
    assert!(error.contains("no interface has this address"), "{error}");
}

#[test]
fn what_others_can_read_or_change_is_refused_with_the_fix() {
    let folder = folder();
    let with = "--listen 127.0.0.1:0 --tls-cert @cert.pem --tls-key @key.pem --token-file @tokens";
    for (name, mode, expected) in [
        ("key.pem", 0o644, "others can read the private key "),
        ("tokens", 0o604, "others can read the file of tokens "),
        ("key.pem", 0o620, "others can change the private key"),
        ("cert.pem", 0o666, "others can change the certificate"),
    ] {
        set_mode(&folder.path(name), mode);
        let error = error(&folder, with);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("run `chmod "), "{error}");
        set_mode(&folder.path(name), 0o600);
    }
    for (name, text, expected) in [
        (
            "tokens",
            "short",
            "tokens: the token of line 1 has less than 20",
        ),
        ("tokens", "# none", "tokens: there is no token in it"),
        ("key.pem", "nothing", "key.pem has no private key in PEM"),
        (
            "key.pem",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "key.pem is encrypted",
        ),
        (
            "key.pem",
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n-----END EC PRIVATE KEY-----\n",
            "key.pem is encrypted",
        ),
        ("cert.pem", "nothing", "cert.pem has no certificate in PEM"),
    ] {
        let before = fs::read_to_string(folder.path(name)).expect("it is ours");
        folder.put(name, text);
        let error = error(&folder, with);
        assert!(error.contains(expected), "{error}");
        folder.put(name, &before);
    }
    let other = Authority::new("cards").issue(&["card7.example"]);
    folder.put("key.pem", &other.key.serialize_pem());
    let error = error(&folder, with);
    assert!(
        error.contains("the certificate ") && error.contains("with the private key "),
        "{error}"
    );
}

/// At an address of the machine's that is no loopback address, from another.
#[test]
fn readers_of_other_machines_are_answered() {
    scenario("serve remote", &[], |_| {
        let namespace = Namespace::new("serve").expect("a namespace");
        let address: IpNet = "192.0.2.7/32".parse().expect("an address");
        namespace.add_address("lo", address).expect("it is ours");
        let folder = folder();
        let authority = Authority::new("cards");
        folder.put_certificate(&authority.issue(&["192.0.2.7"]));
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.args(["serve", "--listen", "192.0.2.7:9759", "--socket"]);
        command
            .arg(folder.path("no.sock"))
            .arg("--tls-cert")
            .arg(folder.path("cert.pem"));
        command.arg("--tls-key").arg(folder.path("key.pem"));
        command.arg("--token-file").arg(folder.path("tokens"));
        let mut pinif = namespace
            .run(|| Pinif::start(command))
            .expect("it is there");
        pinif.wait_for_note("answering at https://192.0.2.7:9759");
        let answered = namespace.run(|| {
            let mut stream = connect(&authority.client(None), "192.0.2.7:9759", "192.0.2.7");
            let known = format!("Authorization: Bearer {TOKEN}");
            ask(&mut stream, &["Host: 192.0.2.7:9759", &known])
        });
        let (status, _) = answered.expect("it is there").expect("an answer");
        assert_eq!(status, 200);
    });
}

/// A service that is not root, in a group that root lets read them: by `SupplementaryGroups=`, or as systemd passes a credential.
#[test]
fn a_service_reads_roots_secrets_by_its_group() {
    scenario("serve group", &[], |_| {
        let folder = folder();
        set_mode(&folder.path(""), 0o755);
        let binary = folder.path("pinif");
        fs::copy(env!("CARGO_BIN_EXE_pinif"), &binary).expect("it is there");
        for name in ["key.pem", "tokens"] {
            chown(folder.path(name), Some(0), Some(GROUP)).expect("it is ours");
            set_mode(&folder.path(name), 0o440);
        }
        set_mode(&folder.path("cert.pem"), 0o644);
        let serve = || {
            let mut command = Command::new(&binary);
            command.args(["serve", "--listen", "127.0.0.1:0", "--socket"]);
            command.arg(folder.path("no.sock"));
            for (option, name) in [
                ("--tls-cert", "cert.pem"),
                ("--tls-key", "key.pem"),
                ("--token-file", "tokens"),
            ] {
                command.arg(option).arg(folder.path(name));
            }
            command.uid(NOBODY).gid(GROUP);
            command
        };
        let mut pinif = Pinif::start(serve());
        pinif.wait_for_note("answering at https://127.0.0.1:");
        drop(pinif);
        // Its own are for itself alone.
        chown(folder.path("tokens"), Some(NOBODY), Some(GROUP)).expect("it is ours");
        let output = serve().output().expect("pinif runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains("others can read the file of tokens"),
            "{error}"
        );
        assert!(error.contains("run `chmod go-r "), "{error}");
    });
}
