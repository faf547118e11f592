//! `pinif serve`: what a running auditor says, for readers, and its history.

use std::{ffi::OsStr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Error, Result, bail, ensure};
use clap::{
    Arg, Args, Command, ValueHint,
    builder::TypedValueParser,
    error::{Error as Wrong, ErrorKind},
};

use super::asking::Asked;
use crate::{
    history::Retention,
    serve::{
        self, Address, Collector, Endpoint, Files, InForce, Otlp, Plan, Program, Via, address,
        endpoint,
    },
    text::{size::size, span::span},
};

/// The arguments of `pinif serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    asked: Asked,

    /// Answer readers here: at an address and port, which is one of this machine alone without --tls-cert, or at a socket (unix:PATH)
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:9759")]
    listen: Address,

    /// Answer by TLS alone, with the certificates in this file (PEM): this machine's, and those between it and its root
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Answer whoever has one of the tokens in this file, one a line
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Answer whoever has a certificate that is issued by one of those in this file (PEM)
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,

    /// Answer requests for this name, too, beside those of the certificate; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,

    /// Call this program for what becomes of findings, with their facts in its environment (PINIF_KIND, PINIF_ID, …)
    #[arg(long, value_name = "FILE")]
    exec: Option<PathBuf>,

    /// End a call of it that takes longer
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "10s", requires = "exec")]
    exec_timeout: Duration,

    /// Keep what was found in this file, over restarts; `pinif history` and /v1/history show it
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Remove from it what nothing new was heard of for so long
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "90d", requires = "history")]
    history_age: Duration,

    /// Remove the oldest from it where it would become larger
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64M", requires = "history")]
    history_size: u64,

    /// Send what the history has, and the metrics, to this collector of OpenTelemetry (OTLP by HTTP): http://10.0.0.1:4318
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, value_parser = CollectorUrl, requires = "history")]
    otlp: Option<Endpoint>,

    /// The file of the token that the collector wants (Authorization: Bearer); it may be changed at any time
    #[arg(long, value_name = "FILE", requires = "otlp")]
    otlp_token: Option<PathBuf>,

    /// The file of the certificates by which a collector at https:// is trusted, instead of the system's (PEM)
    #[arg(long, value_name = "FILE", requires = "otlp")]
    otlp_ca: Option<PathBuf>,

    /// Send the metrics so often
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "30s", requires = "otlp")]
    otlp_metrics: Duration,

    /// Bind each connection, and where readers are answered, to this interface: nothing leaves by another, also where it is down or missing
    #[arg(long, value_name = "INTERFACE")]
    via: Option<Via>,
}

/// Runs `pinif serve`.
///
/// # Errors
///
/// Why it cannot begin.
pub fn run(args: ServeArgs) -> Result<ExitCode> {
    ensure!(
        args.history_size >= Retention::SMALLEST,
        "a history needs {} MiB at least (--history-size)",
        Retention::SMALLEST >> 20
    );
    let retention = Retention {
        age: args.history_age,
        size: args.history_size,
    };
    let secure = secure(&args)?;
    let exec = args.exec.as_deref();
    let exec = exec.map(|path| Program::new(path, args.exec_timeout));
    let otlp = args.otlp.map(|endpoint| Otlp {
        collector: Collector {
            endpoint,
            via: args.via.clone(),
            token: args.otlp_token,
            roots: args.otlp_ca,
        },
        every: args.otlp_metrics,
    });
    if let Some(otlp) = &otlp {
        check(otlp)?;
    }
    let asked = args.asked;
    serve::run(Plan {
        find: Box::new(move || asked.find()),
        listen: args.listen,
        secure,
        hosts: args.host,
        exec: exec.transpose().map_err(Error::msg)?,
        history: args.history.map(|path| (path, retention)),
        otlp,
        via: args.via,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a collector's URL. clap would show a wrong one beside the reason, with a password that is in it.
#[derive(Clone)]
struct CollectorUrl;

impl TypedValueParser for CollectorUrl {
    type Value = Endpoint;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Endpoint, Wrong> {
        endpoint(&value.to_string_lossy()).map_err(|what| {
            Wrong::raw(ErrorKind::ValueValidation, format!("{what}\n")).with_cmd(command)
        })
    }
}

/// What readers of other machines are held to; nothing where those of this machine alone are answered.
fn secure(args: &ServeArgs) -> Result<Option<InForce>> {
    let is_known = args.token_file.is_some() || args.client_ca.is_some();
    let (Some(certificate), Some(key)) = (args.tls_cert.clone(), args.tls_key.clone()) else {
        ensure!(
            args.tls_cert.is_none() && args.tls_key.is_none(),
            "a certificate and its key belong together: give both, --tls-cert and --tls-key"
        );
        ensure!(
            !is_known,
            "without TLS, a token is for all to read on its way, and there is no certificate: give --tls-cert and --tls-key"
        );
        if !args.listen.is_of_this_machine() {
            bail!(
                "{} leads off this machine, where what is sent must be encrypted and who asks must be known: give --tls-cert and --tls-key, and \
                 --token-file or --client-ca; or listen on a loopback address (127.0.0.1) or at unix:PATH",
                args.listen
            );
        }
        return Ok(None);
    };
    ensure!(
        matches!(args.listen, Address::Tcp(_)),
        "what is read at a socket does not leave this machine: give an address and port with --listen, or no --tls-cert"
    );
    ensure!(
        is_known,
        "who asks must be known: give --token-file or --client-ca beside --tls-cert"
    );
    let files = Files {
        certificate,
        key,
        tokens: args.token_file.clone(),
        client_ca: args.client_ca.clone(),
    };
    InForce::read(files).map(Some).map_err(Error::msg)
}

/// What must not be sent as it is wanted.
fn check(otlp: &Otlp) -> Result<()> {
    let Collector {
        endpoint,
        via,
        token,
        ..
    } = &otlp.collector;
    ensure!(
        !otlp.every.is_zero(),
        "metrics cannot be sent all the time; write --otlp-metrics 30s"
    );
    ensure!(
        !endpoint.has_user,
        "a URL with a password in it is seen by every user of this machine: put a token into a file (--otlp-token)"
    );
    if let Some(via) = via
        && endpoint.address().is_none()
    {
        bail!(
            "with --via, the collector needs an address, and not a name, such as --otlp http://10.0.0.1:4318: a name server would be asked by \
             whichever interface its route has, and not by {via}"
        );
    }
    ensure!(
        token.is_none() || endpoint.is_private(),
        "a token must not be sent in the clear off this machine; write --otlp https://… or leave out --otlp-token"
    );
    Ok(())
}
