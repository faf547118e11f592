//! What is found from now on, over restarts of the auditor.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};

use super::print::Printer;
use crate::{
    commands::form::Form,
    control::{Client, ClientError, Events, EventsFilter, FindingsFilter, protocol::EventLine},
    findings::{alert_state::AlertState, line::FindingLine},
    text::streams,
};

/// How often another auditor is looked for.
const AGAIN: Duration = Duration::from_secs(1);
/// How long nothing may come before the auditor is asked whether it still answers: it says each five seconds that it goes on.
const SILENCE: Duration = Duration::from_secs(8);
/// People are shown one again when its count is so many times what was shown last.
const GROWN: u64 = 10;

/// Shows what there is, and what comes, until it is interrupted or nobody reads on.
pub async fn follow(
    client: &mut Client,
    filter: &FindingsFilter,
    limit: Option<u64>,
    printer: &mut Printer,
) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut following = Following {
        filter,
        known: HashMap::new(),
        rest: limit.unwrap_or(u64::MAX),
        printer,
    };
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        () = streams::closed() => Ok(()),
        outcome = following.run(client) => outcome,
    }
}

struct Following<'a> {
    filter: &'a FindingsFilter,
    /// What was shown of each finding, by its id.
    known: HashMap<String, Known>,
    /// How many more are shown.
    rest: u64,
    printer: &'a mut Printer,
}

/// What was shown of a finding.
struct Known {
    revision: u64,
    packets: u64,
    state: AlertState,
}

impl Following<'_> {
    async fn run(&mut self, client: &mut Client) -> Result<()> {
        // There must be one at first.
        let mut events = client.events(&self.wanted()).await?;
        loop {
            let outcome = self.one_run(client, &mut events).await;
            streams::note(match outcome {
                Ok(Ended::Enough) => return Ok(()),
                Ok(Ended::Audit) | Err(Failure::Client(ClientError::Lost { .. })) => {
                    "the auditor has ended; waiting for the next one"
                }
                Err(Failure::Client(ClientError::Silent(_))) => {
                    "the auditor does not answer; waiting for it, or the next one"
                }
                Err(Failure::Client(error)) => return Err(error.into()),
                Err(Failure::Output(error)) => return Err(error),
            });
            events = loop {
                sleep(AGAIN).await;
                match client.events(&self.wanted()).await {
                    Ok(events) => break events,
                    Err(
                        ClientError::NotThere(_)
                        | ClientError::Lost { .. }
                        | ClientError::Silent(_)
                        | ClientError::Denied(_),
                    ) => {}
                    // It begins, or has too many readers.
                    Err(ClientError::Refused { status: 503, .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            };
            streams::note("an auditor answers again");
        }
    }

    /// The events: those of the findings that are shown, and signs of life.
    fn wanted(&self) -> EventsFilter {
        EventsFilter {
            alive: Some(true),
            ..self.filter.events()
        }
    }

    /// Follows one auditor to its end.
    async fn one_run(
        &mut self,
        client: &mut Client,
        events: &mut Events,
    ) -> Result<Ended, Failure> {
        // What comes in the meantime waits in the events.
        self.list(client).await?;
        while self.rest > 0 {
            match next(client, events).await? {
                None => return Ok(Ended::Audit),
                Some(EventLine::Finding(finding)) => self.take(&finding)?,
                // What is missing is in the list.
                Some(EventLine::Lost(_)) => self.list(client).await?,
                Some(_) => {}
            }
        }
        Ok(Ended::Enough)
    }

    async fn list(&mut self, client: &mut Client) -> Result<(), Failure> {
        let mut filter = self.filter.clone();
        loop {
            let page = client.findings(&filter).await?;
            for finding in &page.findings {
                self.take(finding)?;
            }
            filter.from = page.next;
            if filter.from.is_none() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, finding: &FindingLine) -> Result<(), Failure> {
        if self.rest == 0 {
            return Ok(());
        }
        let now = Known {
            revision: finding.revision,
            packets: finding.packets,
            state: finding.state,
        };
        let is_new = match self.known.entry(finding.id.clone()) {
            Entry::Vacant(place) => {
                place.insert(now);
                true
            }
            Entry::Occupied(mut place) => {
                let known = place.get_mut();
                let is_old = now.revision < known.revision
                    || now.revision == known.revision && now.packets <= known.packets;
                let is_small = self.printer.form() == Form::Human
                    && now.state == known.state
                    && now.packets < known.packets.saturating_mul(GROWN);
                if is_old || is_small {
                    return Ok(());
                }
                *known = now;
                false
            }
        };
        self.rest -= 1;
        self.printer.event(finding, is_new).map_err(Failure::Output)
    }
}

/// The next line. Where none comes for a while, the auditor is asked for a sign of life: one that is stopped closes nothing.
async fn next(
    client: &mut Client,
    events: &mut Events,
) -> Result<Option<EventLine<'static>>, ClientError> {
    loop {
        if let Ok(line) = timeout(SILENCE, events.next()).await {
            return line;
        }
        // That it refuses is an answer, and the events end where it has gone.
        if let Err(error @ ClientError::Silent(_)) = client.status().await {
            return Err(error);
        }
    }
}

/// Why nothing more comes.
enum Ended {
    /// The audit has ended.
    Audit,
    /// As many are shown as were wanted.
    Enough,
}

enum Failure {
    Client(ClientError),
    Output(anyhow::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
