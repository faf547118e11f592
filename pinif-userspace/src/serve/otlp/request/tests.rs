use std::{fs, os::unix::fs::PermissionsExt as _};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{super::endpoint::endpoint, *};

/// A collector that speaks TLS with a certificate of its own, and takes one message.
struct Server {
    listener: TcpListener,
    config: ServerConfig,
    /// Its certificate, as a file has it.
    pem: String,
}

impl Server {
    async fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let of = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = of.self_signed(&key).expect("a certificate");
        let config =
            ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
            config: config
                .with_single_cert(vec![certificate.der().clone()], key)
                .expect("a certificate"),
            pem: certificate.pem(),
        }
    }

    /// The message that it was sent, with its head; an empty one where no connection came about.
    async fn take(self) -> String {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(self.config))
            .accept(stream)
            .await
        else {
            return String::new();
        };
        let mut all = Vec::new();
        while !all.ends_with(b"message") {
            stream.read_buf(&mut all).await.expect("a message");
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("it is read");
        String::from_utf8(all).expect("a text")
    }
}

struct Setup {
    folder: tempfile::TempDir,
    server: Server,
    collector: Collector,
}

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::new().await;
        let port = server.listener.local_addr().expect("an address").port();
        let (token, roots) = (folder.path().join("token"), folder.path().join("ca.pem"));
        fs::write(&token, "secret\n").expect("it is ours");
        let own = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&token, own).expect("it is ours");
        fs::write(&roots, &server.pem).expect("it is ours");
        Self {
            collector: Collector {
                endpoint: endpoint(&format!("https://127.0.0.1:{port}/otlp/")).expect("a URL"),
                via: None,
                token: Some(token),
                roots: Some(roots),
            },
            folder,
            server,
        }
    }
}

async fn send(collector: &Collector) -> Reply {
    collector.send(Signal::Logs, b"message".to_vec()).await
}

fn why(reply: Reply) -> String {
    match reply {
        Reply::Later {
            after: None,
            reason,
        } => reason.to_string(),
        other => panic!("it is sent again: {other:?}"),
    }
}

#[tokio::test]
async fn a_collector_that_is_trusted_is_sent_the_token_by_tls() {
    let Setup {
        server,
        collector,
        folder,
    } = Setup::new().await;
    let port = collector.endpoint.port;
    let (reply, message) = tokio::join!(send(&collector), server.take());
    let taken = Reply::Taken {
        rejected: 0,
        message: String::new(),
    };
    assert_eq!(reply, taken);
    let lines: Vec<_> = message.lines().map(str::to_ascii_lowercase).collect();
    for line in [
        "post /otlp/v1/logs http/1.1",
        &format!("host: 127.0.0.1:{port}"),
        "content-type: application/x-protobuf",
        "authorization: bearer secret",
    ] {
        assert!(lines.iter().any(|is| is == line), "{line}: {message}");
    }
    drop(folder);
}

#[tokio::test]
async fn one_that_is_not_trusted_is_sent_nothing() {
    let Setup {
        server,
        collector,
        folder,
    } = Setup::new().await;
    let other = Server::new().await;
    fs::write(folder.path().join("ca.pem"), other.pem).expect("it is ours");
    let (reply, message) = tokio::join!(send(&collector), server.take());
    let why = why(reply);
    assert!(why.starts_with("it cannot be spoken to by TLS: "), "{why}");
    assert_eq!(message, "");
}

#[tokio::test]
async fn a_file_that_is_missing_or_wrong_is_named() {
    let Setup {
        collector,
        folder,
        server,
    } = Setup::new().await;
    let at = |name| folder.path().join(name);
    // It is connected to before certificates are read, and is sent nothing.
    let connected = tokio::spawn(async move { while server.listener.accept().await.is_ok() {} });
    fs::write(at("ca.pem"), "no certificate").expect("it is ours");
    let text = why(send(&collector).await);
    assert!(
        text.contains("ca.pem of --otlp-ca") && text.contains("no certificate in it"),
        "{text}"
    );
    fs::write(at("token"), "two\nlines").expect("it is ours");
    let text = why(send(&collector).await);
    assert!(
        text.contains("token of --otlp-token") && !text.contains("lines"),
        "{text}"
    );
    fs::remove_file(at("token")).expect("it is there");
    let text = why(send(&collector).await);
    assert!(
        text.starts_with("--otlp-token: cannot read ") && text.contains("no such file"),
        "{text}"
    );
    connected.abort();
}

#[tokio::test]
async fn a_token_is_a_file_that_does_not_block_of_a_tokens_size_that_nobody_else_reads() {
    let Setup {
        collector,
        folder,
        server,
    } = Setup::new().await;
    let token = folder.path().join("token");
    let allow = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&token, mode).expect("it is ours");
    };
    allow(0o644);
    let text = why(send(&collector).await);
    assert!(
        text.starts_with("--otlp-token: others can read the token ")
            && text.contains("whose mode is 0644; run `chmod "),
        "{text}"
    );
    fs::write(&token, "a".repeat(LONGEST_TOKEN + 1)).expect("it is ours");
    allow(0o600);
    let text = why(send(&collector).await);
    assert!(text.contains("longer than a token can be"), "{text}");
    fs::write(&token, "a".repeat((1 << 20) + 1)).expect("it is ours");
    let text = why(send(&collector).await);
    assert!(text.contains("it is larger than 1 MiB"), "{text}");
    fs::remove_file(&token).expect("it is there");
    nix::unistd::mkfifo(&token, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let text = why(send(&collector).await);
    assert!(text.contains("name a regular file"), "{text}");
    drop(server);
}

#[tokio::test]
async fn a_ca_is_a_file_that_does_not_block() {
    let Setup {
        mut collector,
        folder,
        server,
    } = Setup::new().await;
    let accepted = tokio::spawn(async move { while server.listener.accept().await.is_ok() {} });
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    collector.roots = Some(pipe);
    let text = why(send(&collector).await);
    assert!(
        text.starts_with("--otlp-ca: ") && text.contains("name a regular file"),
        "{text}"
    );
    accepted.abort();
}
