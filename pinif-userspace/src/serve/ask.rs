//! The auditor is asked while a reader waits: one question at a time, and none for longer than what is shown may be old.

use std::{
    borrow::Cow,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use tokio::{sync::Mutex as Turn, time::timeout};

use super::heard::{Absence, FRESH, Heard};
use crate::{
    control::{Client, ClientError},
    findings::wall_time::WallTime,
};

/// Looks for the auditor.
pub type Find = Box<dyn Fn() -> Result<Client, ClientError> + Send + Sync>;

/// How long an answer may take that is made of all the host's routes.
const LONG: Duration = Duration::from_secs(10);

/// Who asks the auditor.
pub struct Asker {
    find: Find,
    turn: Turn<()>,
    /// Of questions whose answers take long: they hold no others up.
    long_turn: Turn<()>,
    /// Where the auditor is that is heard.
    heard: Mutex<Option<PathBuf>>,
    /// Where the one is that was heard last.
    last: Mutex<Option<PathBuf>>,
}

/// That there is no answer of the auditor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// Why.
    pub error: String,
    /// What to do.
    pub fix: Cow<'static, str>,
    /// When it was last heard; null where it was not yet.
    pub last_heard: Option<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// The auditor says no.
    Client(ClientError),
    /// It does not answer in time.
    Late,
}

impl Asker {
    /// One that looks so for the auditor.
    pub fn new(find: Find) -> Self {
        Self {
            find,
            turn: Turn::default(),
            long_turn: Turn::default(),
            heard: Mutex::default(),
            last: Mutex::default(),
        }
    }

    /// Looks for the auditor. Of several, it is the one that was heard last, where that one runs still: it may have hung for a time.
    ///
    /// # Errors
    ///
    /// That there is none, or that there are several.
    pub fn find(&self) -> Result<Client, ClientError> {
        let found = (self.find)();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (&found, &*last) {
            (Err(ClientError::Several(running)), Some(last)) if running.contains(last) => {
                Client::find(Some(last))
            }
            _ => found,
        }
    }

    /// One is heard, there; or none is any more. As long as it is, it is asked, whoever else begins to audit meanwhile.
    pub fn hears(&self, path: Option<PathBuf>) {
        if let Some(path) = &path {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(path.clone());
        }
        *self.heard() = path;
    }

    fn heard(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the auditor that is heard; where none is, the one that is found.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn ask<T, F>(&self, question: impl FnOnce(Client) -> F) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        self.ask_within(FRESH, question).await
    }

    /// The same, and gives up after so long.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn ask_within<T, F>(
        &self,
        patience: Duration,
        question: impl FnOnce(Client) -> F,
    ) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        self.in_turn(&self.turn, patience, question).await
    }

    /// The same of a question whose answer takes long.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn ask_at_length<T, F>(
        &self,
        question: impl FnOnce(Client) -> F,
    ) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        self.in_turn(&self.long_turn, LONG, question).await
    }

    async fn in_turn<T, F>(
        &self,
        turn: &Turn<()>,
        patience: Duration,
        question: impl FnOnce(Client) -> F,
    ) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let asked = async {
            // So many readers cost the auditor no more than one.
            let _turn = turn.lock().await;
            let heard = self.heard().clone();
            let client = match &heard {
                Some(path) => Client::find(Some(path)),
                None => self.find(),
            };
            let client = client.map_err(Unanswered::Client)?;
            question(client).await.map_err(Unanswered::Client)
        };
        timeout(patience, asked)
            .await
            .unwrap_or(Err(Unanswered::Late))
    }
}

impl Gone {
    /// What is said where the auditor did not answer for this reason.
    pub fn new(absence: Absence, heard: &Heard) -> Self {
        let time = |time: SystemTime| WallTime::from(time).to_string();
        let Absence { why, fix } = absence;
        Self {
            error: format!("no auditor answers: {why}"),
            fix,
            last_heard: heard.last().map(time),
        }
    }

    /// The same, of why nothing was heard of late.
    pub fn of(heard: &Heard) -> Self {
        let absence = heard.absence();
        let silent = || Absence::silent("it has said nothing of late");
        Self::new(absence.unwrap_or_else(silent), heard)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::control::protocol::Problem;

    #[tokio::test]
    async fn the_one_that_is_heard_is_asked_whoever_else_audits() {
        let several = || Err(ClientError::Several(vec!["/a".into(), "/b".into()]));
        let asker = Asker::new(Box::new(several));
        let asked = || asker.ask(async |client| Ok(client.path().to_owned()));
        let is_unknown = |asked| matches!(asked, Err(Unanswered::Client(ClientError::Several(_))));
        assert!(is_unknown(asked().await));
        asker.hears(Some("/a".into()));
        assert_eq!(asked().await.ok().as_deref(), Some(Path::new("/a")));
        // It hung, and runs still.
        asker.hears(None);
        assert_eq!(asked().await.ok().as_deref(), Some(Path::new("/a")));
        assert_eq!(
            asker.find().ok().as_ref().map(Client::path),
            Some(Path::new("/a"))
        );
        // It has ended.
        asker.hears(Some("/c".into()));
        asker.hears(None);
        assert!(is_unknown(asked().await));
    }

    #[test]
    fn each_reason_has_its_fix() {
        let path = || PathBuf::from("/a");
        for (error, fix) in [
            (ClientError::NoneRuns, "and start it"),
            (ClientError::NotThere(path()), "and start it"),
            (ClientError::Silent(path()), "it hangs, or is stopped"),
            (ClientError::Several(vec![path()]), "--socket PATH"),
            (ClientError::Denied(path()), "a user of the group"),
        ] {
            let gone = Gone::new(Absence::from(&error), &Heard::default());
            assert_eq!(gone.error, format!("no auditor answers: {error}"));
            assert!(gone.fix.contains(fix), "{}", gone.fix);
        }
    }

    #[test]
    fn an_auditor_that_refuses_says_what_helps() {
        let problem = Problem {
            error: "too many are answered already".to_owned(),
            fix: "ask again".to_owned(),
        };
        let error = ClientError::Refused {
            status: 503,
            problem,
        };
        let gone = Gone::new(Absence::from(&error), &Heard::default());
        assert_eq!(
            gone.error,
            "no auditor answers: too many are answered already"
        );
        assert_eq!(gone.fix, "ask again");
    }
}
