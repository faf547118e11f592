//! What all that `pinif serve` says is made of, and its metrics as they are now: the auditor's, and its own.

use std::{sync::Arc, time::Duration};

use super::{
    ask::Asker,
    exec::Hook,
    heard::Heard,
    metrics::{self, Facts},
    otlp::Exports,
    recorder::Recorder,
    secure::InForce,
};
use crate::{
    control::Client,
    surfaces::metrics::{Form, text},
};

/// How long whoever reads metrics waits for the auditor: less than the shortest scrape timeout that is in use (1 s), with time left
/// for TLS and the network. A scrape that times out says that `pinif serve` is gone, and not the auditor.
const PATIENCE: Duration = Duration::from_millis(750);

/// What is said is made of these.
#[derive(Clone)]
pub struct Sources {
    /// Who asks the auditor.
    pub asker: Arc<Asker>,
    /// What it said last.
    pub heard: Arc<Heard>,
    /// Who keeps the history, where one is kept.
    pub recorder: Option<Arc<Recorder>>,
    /// What readers of other machines are held to, where they are answered.
    pub secure: Option<Arc<InForce>>,
    /// What calls the operator's program, where there is one.
    pub hook: Option<Arc<Hook>>,
    /// How it stands with what is exported, where something is.
    pub exports: Option<Arc<Exports>>,
}

impl Sources {
    /// The auditor's metrics, in the text format 0.0.4. Whoever reads only metrics learns from them too that there is none.
    pub async fn metrics_of_auditor(&self) -> String {
        // One that hangs is not asked again for each scrape: it says by itself that it goes on.
        if self.heard.hangs() {
            return text(None, Form::Text);
        }
        let asked = async |mut client: Client| client.metrics().await;
        let said = self.asker.ask_within(PATIENCE, asked);
        said.await.unwrap_or_else(|_| text(None, Form::Text))
    }

    /// Those of `pinif serve`, in the format that may stand behind them.
    pub fn own_metrics(&self) -> String {
        let history = self.recorder.as_ref().map(|recorder| {
            let size = std::fs::metadata(recorder.path());
            (recorder.standing(), size.map_or(0, |file| file.len()))
        });
        metrics::text(Facts {
            age: self.heard.age(),
            heard: self.heard.last(),
            history,
            secure: self.secure.as_ref().map(|secure| secure.standing()),
            hook: self.hook.as_ref().map(|hook| hook.standing()),
            exports: self.exports.as_ref().map(|exports| exports.standing()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, time::Instant};

    use super::{
        super::heard::{Absence, FRESH},
        *,
    };

    /// An auditor that is stopped: the kernel takes its connections, and it reads none.
    #[tokio::test]
    async fn an_auditor_that_hangs_holds_no_scrape_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        listener.set_nonblocking(true).expect("it is a socket");
        let sources = Sources {
            asker: Arc::new(Asker::new(Box::new(move || Client::find(Some(&path))))),
            heard: Arc::default(),
            recorder: None,
            secure: None,
            hook: None,
            exports: None,
        };
        let none = text(None, Form::Text);
        let started = Instant::now();
        assert_eq!(sources.metrics_of_auditor().await, none);
        assert!(started.elapsed() < FRESH, "{:?}", started.elapsed());
        assert!(listener.accept().is_ok(), "it was not asked");
        // Once it is known to hang, it is not even asked.
        sources
            .heard
            .gone(Absence::silent("the auditor says nothing"));
        assert_eq!(sources.metrics_of_auditor().await, none);
        assert!(listener.accept().is_err(), "it was asked again");
        // After one that has ended, another may have begun.
        sources.heard.gone(Absence::ended());
        assert_eq!(sources.metrics_of_auditor().await, none);
        assert!(listener.accept().is_ok(), "it was not asked");
    }
}
