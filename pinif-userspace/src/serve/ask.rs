//! The auditor is asked while a reader waits: one question at a time, and none for longer than what is shown may be old.

use std::time::SystemTime;

use serde::Serialize;
use tokio::{sync::Mutex, time::timeout};

use super::heard::{FRESH, Heard};
use crate::{
    control::{Client, ClientError},
    findings::wall_time::WallTime,
};

/// Looks for the auditor.
pub type Find = Box<dyn Fn() -> Result<Client, ClientError> + Send + Sync>;

/// Who asks the auditor.
pub struct Asker {
    find: Find,
    turn: Mutex<()>,
}

/// That there is no answer of the auditor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// Why.
    pub error: String,
    /// What to do.
    pub fix: String,
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
            turn: Mutex::default(),
        }
    }

    /// Looks for the auditor.
    ///
    /// # Errors
    ///
    /// That there is none, or that there are several.
    pub fn find(&self) -> Result<Client, ClientError> {
        (self.find)()
    }

    /// Asks it.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn ask<T, F>(&self, question: impl FnOnce(Client) -> F) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let asked = async {
            // So many readers cost the auditor no more than one.
            let _turn = self.turn.lock().await;
            let client = self.find().map_err(Unanswered::Client)?;
            question(client).await.map_err(Unanswered::Client)
        };
        timeout(FRESH, asked).await.unwrap_or(Err(Unanswered::Late))
    }
}

impl Gone {
    /// What is said where the auditor did not answer for this reason.
    pub fn new(why: &str, heard: &Heard) -> Self {
        let time = |time: SystemTime| WallTime::from(time).to_string();
        Self {
            error: format!("no auditor answers: {why}"),
            fix: "look at `systemctl status pinif`, and start it".to_owned(),
            last_heard: heard.last().map(time),
        }
    }

    /// The same, of why nothing was heard of late.
    pub fn of(heard: &Heard) -> Self {
        let why = heard.absence();
        Self::new(
            why.as_deref().unwrap_or("it has said nothing of late"),
            heard,
        )
    }
}
