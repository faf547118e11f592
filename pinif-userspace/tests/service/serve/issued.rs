//! Certificates, who issues them, and a client that asks by TLS.

use std::{
    fs::{self, Permissions},
    io::{self, Read, Write as _},
    net::{TcpStream, ToSocketAddrs},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};

/// Who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its key.
pub struct Issued {
    pub der: CertificateDer<'static>,
    pub pem: String,
    pub key: KeyPair,
}

impl Authority {
    /// One of this name: each is known by its own.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name = called(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// As a file has it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names, which holds for long.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 4000)
    }

    /// A certificate for these names, which holds until this year.
    pub fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let subject = called(names[0]);
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = subject;
        params.not_before = date_time_ymd(1999, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// What a client of somebody takes that trusts this.
    pub fn client(&self, own: Option<&Issued>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::try_from(own.key.serialize_der()).expect("a key");
                builder
                    .with_client_auth_cert(vec![own.der.clone()], key)
                    .expect("a certificate with its key")
            }
        })
    }
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// A folder of the operator's files.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file in the place of the one that is there, in one step.
    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        let new = self.path("new");
        fs::write(&new, text).expect("it is ours");
        set_mode(&new, 0o600);
        fs::rename(&new, self.path(name)).expect("it is ours");
        self.path(name)
    }

    /// A certificate with its key.
    pub fn put_certificate(&self, issued: &Issued) {
        self.put("key.pem", &issued.key.serialize_pem());
        self.put("cert.pem", &issued.pem);
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

/// A connection by TLS.
pub type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A connection to an address and port, where a machine of this name is to be.
pub fn connect(config: &Arc<ClientConfig>, to: impl ToSocketAddrs, name: &str) -> Secured {
    let stream = TcpStream::connect(to).expect("it listens");
    let limit = pinif_lab::patience(Duration::from_secs(60));
    stream.set_read_timeout(Some(limit)).expect("a socket");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connection = ClientConnection::new(Arc::clone(config), name).expect("a client");
    StreamOwned::new(connection, stream)
}

/// The status and all of an answer to a request with these headers, on a connection that stays.
///
/// # Errors
///
/// Why there is none.
pub fn ask(stream: &mut Secured, headers: &[&str]) -> io::Result<(u16, String)> {
    let headers: String = headers
        .iter()
        .map(|header| format!("{header}\r\n"))
        .collect();
    write!(stream, "GET /metrics HTTP/1.1\r\n{headers}\r\n")?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body)?;
    let text = text + &String::from_utf8_lossy(&body);
    Ok((status.unwrap_or_default(), text))
}
