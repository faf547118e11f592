//! What is read of the operator's files: how connections are encrypted, by which names this machine is called, and whom it answers.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier},
    version::TLS13,
};

use super::{
    files::{Files, read, read_secret},
    tokens::Tokens,
};
use crate::{
    serve::address::bracketed,
    text::{escape::visible_path, shell},
};

/// All of it, of one moment.
#[derive(Debug)]
pub struct Material {
    /// How connections are encrypted.
    pub config: Arc<ServerConfig>,
    /// Who may ask; whoever has a certificate, where there are none.
    pub tokens: Option<Tokens>,
    certificate: CertificateDer<'static>,
}

impl Material {
    /// What is in the files now.
    ///
    /// # Errors
    ///
    /// What is wrong with them, and nothing of what is secret in them.
    pub fn read(files: &Files) -> Result<Self, String> {
        let chain = certificates(&files.certificate, "certificate")?;
        let key = read_secret(&files.key, "private key")?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| no_key(&files.key, &key))?;
        let tokens = match &files.tokens {
            None => None,
            Some(path) => Some(tokens(path)?),
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(issuers(path)?), provider)
                    .build()
                    .map_err(|error| format!("{}: {error}", visible_path(path)))?,
            ),
        };
        let certificate = chain.first().cloned().unwrap_or_else(|| Vec::new().into());
        let wrong = |error: &dyn std::fmt::Display| {
            let (certificate, key) = (visible_path(&files.certificate), visible_path(&files.key));
            format!("the certificate {certificate} with the private key {key}: {error}")
        };
        ParsedCertificate::try_from(&certificate).map_err(|error| wrong(&error))?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| wrong(&error))?;
        // Each connection is held to what is in force: none goes on where an earlier one was.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            tokens,
            certificate,
        })
    }

    /// Whether the certificate is for a host of this name, or with this address, which may be in brackets (RFC 6125, RFC 3986).
    pub fn is_for(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(bracketed(host).unwrap_or(host)) else {
            return false;
        };
        let certificate = ParsedCertificate::try_from(&self.certificate);
        certificate.is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
    }
}

/// Why a file has no key. One that is encrypted says so in a line of its own (RFC 7468, section 11; RFC 1421, section 4.6.1.1).
fn no_key(path: &Path, text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let marks = [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "Proc-Type: 4,ENCRYPTED",
    ];
    if text.lines().any(|line| marks.contains(&line.trim())) {
        let file = shell::path(path);
        return format!(
            "the private key {} is encrypted, and nobody is there to give its password; store it without one: `openssl pkey -in {file} -out NEW`",
            visible_path(path)
        );
    }
    format!("{} has no private key in PEM", visible_path(path))
}

fn certificates(path: &Path, of: &'static str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path, of)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("{} has no certificate in PEM", visible_path(path))),
        Err(error) => Err(format!(
            "{} cannot be read as PEM: {error}",
            visible_path(path)
        )),
    }
}

/// Who issues the certificates of readers.
fn issuers(path: &Path) -> Result<RootCertStore, String> {
    let mut issuers = RootCertStore::empty();
    for certificate in certificates(path, "certificate of a CA")? {
        let added = issuers.add(certificate);
        added
            .map_err(|error| format!("the certificate of a CA {}: {error}", visible_path(path)))?;
    }
    Ok(issuers)
}

fn tokens(path: &Path) -> Result<Tokens, String> {
    let bytes = read_secret(path, "file of tokens")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned());
    text.and_then(Tokens::parse)
        .map_err(|error| format!("the file of tokens {}: {error}", visible_path(path)))
}
