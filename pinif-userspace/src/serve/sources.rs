//! What all that `pinif serve` says is made of, and its metrics as they are now: the auditor's, and its own.

use std::sync::Arc;

use super::{
    ask::Asker,
    exec::Hook,
    heard::Heard,
    metrics::{self, Facts},
    otlp::Exports,
    recorder::Recorder,
    secure::InForce,
};
use crate::surfaces::metrics::{Form, text};

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
        let said = self.asker.ask(async |mut client| client.metrics().await);
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
