//! The sockets of the audited namespaces, and where each would leave: asked of the kernel when somebody asks, beside the audit.
//!
//! It takes a thread some milliseconds for a thousand sockets, and memory for each; so there is one listing at a time, it is given to
//! whoever asks within two seconds of it, and gone after them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use axum::http::StatusCode;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    answer::{Answer, Refused, json, problem, too_many, wrong},
    ask::{Collector, Unanswered},
    filter::{SocketsFilter, WantedSockets},
    protocol::SocketsPage,
};
use crate::{
    findings::{paging::Paging, wall_time::WallTime},
    host::netns::NetNs,
    survey::{Found, Survey},
    text::escape::visible,
};

/// How many sockets there may be: with more, the listing would take more memory than an auditor may have.
const MOST: usize = 16_384;
/// How old a listing may be that somebody is given who asks.
const RECENT: Duration = Duration::from_secs(2);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What lists the sockets.
#[derive(Clone, Debug)]
pub struct Sockets {
    /// Of whoever lists them now.
    one: Arc<Semaphore>,
    last: Arc<Mutex<Option<Arc<Listing>>>>,
}

/// All sockets, as they were at a moment.
#[derive(Debug)]
struct Listing {
    /// When it was finished.
    made: Instant,
    time: SystemTime,
    survey: Result<Survey, Unlisted>,
}

/// Why the sockets cannot be listed, and what to do.
#[derive(Debug)]
struct Unlisted {
    error: String,
    fix: &'static str,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            one: Arc::new(Semaphore::new(1)),
            last: Arc::default(),
        }
    }
}

impl Sockets {
    /// The sockets of the namespaces that are audited, a page of them, those at the greatest risk first.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn answer(
        &self,
        collector: &Collector,
        filter: &SocketsFilter,
    ) -> Result<Answer, Refused> {
        let wanted = filter.wanted().map_err(|error| wrong(&error))?;
        let listing = match timeout(PATIENCE, self.listing(collector)).await {
            Ok(listing) => listing?,
            Err(_) => {
                return Err(too_many("the sockets are still being listed", "ask again").into());
            }
        };
        match &listing.survey {
            Ok(survey) => Ok(json(&page(survey, listing.time, &wanted))),
            Err(Unlisted { error, fix }) => {
                Err(problem(StatusCode::SERVICE_UNAVAILABLE, &visible(error), fix).into())
            }
        }
    }

    /// The last listing, or one that is made now.
    async fn listing(&self, collector: &Collector) -> Result<Arc<Listing>, Unanswered> {
        loop {
            let one = Arc::clone(&self.one).acquire_owned().await;
            let one = one.map_err(|_| Unanswered::Ended)?;
            if let Some(recent) = self.recent() {
                return Ok(recent);
            }
            let namespaces = collector.namespaces().await?;
            tokio::spawn(self.clone().list(namespaces, one));
        }
    }

    /// Lists them, and gives the listing up when it is old. It goes on where nobody waits for it any more, and is the only one until it has ended.
    async fn list(self, namespaces: Vec<NetNs>, one: OwnedSemaphorePermit) {
        let listing = spawn_blocking(move || Arc::new(Listing::make(&namespaces)));
        if let Ok(listing) = listing.await {
            *self.last() = Some(listing);
        }
        drop(one);
        sleep(RECENT).await;
        self.recent();
    }

    /// The last listing, where it is not too old; one that is, is given up.
    fn recent(&self) -> Option<Arc<Listing>> {
        let mut last = self.last();
        last.take_if(|listing| listing.made.elapsed() >= RECENT);
        last.clone()
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<Listing>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listing {
    fn make(namespaces: &[NetNs]) -> Self {
        let time = SystemTime::now();
        let survey = survey_of(namespaces);
        Self {
            made: Instant::now(),
            time,
            survey,
        }
    }
}

fn survey_of(namespaces: &[NetNs]) -> Result<Survey, Unlisted> {
    let unknown = |error: anyhow::Error| Unlisted {
        error: format!("{error:#}"),
        fix: "`pinif doctor` shows what is missing",
    };
    let found = Found::list(namespaces).map_err(unknown)?;
    match found.number() {
        number if number > MOST => Err(Unlisted {
            error: format!("there are {number} sockets, and an auditor lists {MOST} at most"),
            fix: "`pinif sockets` lists them by itself",
        }),
        _ => found.survey().map_err(unknown),
    }
}

fn page<'s>(survey: &'s Survey, time: SystemTime, wanted: &WantedSockets) -> SocketsPage<'s> {
    let mut paging = Paging::new(wanted.from, wanted.limit);
    let sockets = survey.sockets.iter();
    let sockets = (0..).zip(sockets.filter(|socket| wanted.query.takes(socket)));
    let sockets = sockets.filter(|(place, _)| paging.takes(*place));
    let sockets = sockets.map(|(_, socket)| socket.into()).collect();
    SocketsPage {
        time: WallTime::from(time).to_string(),
        total: paging.total,
        next: paging.next,
        unlisted_raw: survey.unlisted_raw,
        sockets,
    }
}
