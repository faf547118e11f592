//! What readers are answered: what the auditor says now, with how old it is, and what is kept.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::{Method, Request, StatusCode},
    routing::get,
};
use serde::Serialize;
use tokio::{sync::Semaphore, task::spawn_blocking};
use tower_service::Service as _;

use super::{
    ask::{Gone, Unanswered},
    heard::{Absence, Heard},
    host_names::HostNames,
    page,
    sources::Sources,
};
use crate::{
    control::{
        Client, ClientError, FindingsFilter, LearnedFilter, SocketsFilter,
        answer::{Answer, Refused, json, not_allowed, problem, with, wrong},
        gate,
        question::{nothing_asked, read},
    },
    history::{History, StoreError},
    surfaces::metrics::Form,
    text::escape::visible,
};

/// The paths.
const STATUS: &str = "/v1/status";
const MATRIX: &str = "/v1/matrix";
const FINDINGS: &str = "/v1/findings";
const FINDING: &str = "/v1/findings/{id}";
const SOCKETS: &str = "/v1/sockets";
const POLICY: &str = "/v1/policy";
const FORESEEN: &str = "/v1/foreseen";
const LEARNED: &str = "/v1/learned";
const HISTORY: &str = "/v1/history";
const METRICS: &str = "/metrics";
/// How many ask the history at once: it is read from a disk.
const AT_ONCE: usize = 2;

/// What answers all requests.
#[derive(Clone)]
pub struct Web {
    router: Router,
    names: Arc<HostNames>,
}

/// What an auditor said, and how old it is.
#[derive(Clone, Debug, Serialize)]
struct Aged<T> {
    /// How old it is, in seconds: at most 2.
    age_s: f64,
    #[serde(flatten)]
    said: T,
}

impl Web {
    /// With these sources, for a machine of these names.
    pub fn new(sources: Sources, names: HostNames) -> Self {
        let router = Router::new()
            .route(STATUS, get(status))
            .route(MATRIX, get(matrix))
            .route(FINDINGS, get(findings))
            .route(FINDING, get(finding))
            .route(SOCKETS, get(sockets))
            .route(POLICY, get(policy))
            .route(FORESEEN, get(foreseen))
            .route(LEARNED, get(learned))
            .route(HISTORY, get(history))
            .route(METRICS, get(metrics))
            .fallback(unknown)
            .with_state((sources, Arc::new(Semaphore::new(AT_ONCE))))
            .merge(page::router());
        Self {
            router,
            names: Arc::new(names),
        }
    }

    /// Answers a request.
    pub async fn answer(&mut self, request: Request<Body>) -> Answer {
        let host = gate::host(request.uri(), request.headers());
        if !host.is_some_and(|host| self.names.have(&host)) {
            return problem(
                StatusCode::MISDIRECTED_REQUEST,
                "the request is for another host",
                self.names.fix(),
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_allowed();
        }
        let answered: Result<Answer, Infallible> = self.router.call(request).await;
        match answered {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

type Asked = State<(Sources, Arc<Semaphore>)>;
type Outcome = Result<Answer, Refused>;

async fn status(State((sources, _)): Asked, RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    match sources.heard.fresh() {
        Some((status, age)) => Ok(aged(status, age)),
        None => Err(gone(Gone::of(&sources.heard))),
    }
}

async fn matrix(State((sources, _)): Asked, RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    let asked = async |mut client: Client| client.matrix().await;
    passed_on(sources.asker.ask(asked).await, &sources.heard)
}

async fn policy(State((sources, _)): Asked, RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    let asked = async |mut client: Client| client.policy().await;
    passed_on(sources.asker.ask(asked).await, &sources.heard)
}

async fn foreseen(State((sources, _)): Asked, RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    let asked = async |mut client: Client| client.foreseen().await;
    passed_on(sources.asker.ask(asked).await, &sources.heard)
}

async fn findings(State((sources, _)): Asked, RawQuery(query): RawQuery) -> Outcome {
    let filter: FindingsFilter = read(query)?;
    let asked = async |mut client: Client| client.findings(&filter).await;
    passed_on(sources.asker.ask(asked).await, &sources.heard)
}

/// The auditor asks the kernel for them when they are asked for.
async fn sockets(State((sources, _)): Asked, RawQuery(query): RawQuery) -> Outcome {
    let filter: SocketsFilter = read(query)?;
    let asked = async |mut client: Client| client.sockets(&filter).await;
    passed_on(sources.asker.ask_at_length(asked).await, &sources.heard)
}

async fn finding(
    State((sources, _)): Asked,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    nothing_asked(query)?;
    let finding = sources
        .asker
        .ask(async |mut client| client.finding(&id).await)
        .await;
    match finding {
        Ok(Some(finding)) => Ok(aged(finding, Duration::ZERO)),
        Ok(None) => Err(problem(
            StatusCode::NOT_FOUND,
            &format!("there is no finding `{}`", visible(&id)),
            "take an id of /v1/findings",
        )
        .into()),
        Err(why) => Err(unanswered(why, &sources.heard)),
    }
}

async fn learned(State((sources, _)): Asked, RawQuery(query): RawQuery) -> Outcome {
    let filter: LearnedFilter = read(query)?;
    let asked = async |mut client: Client| client.learned_page(&filter).await;
    passed_on(sources.asker.ask_at_length(asked).await, &sources.heard)
}

async fn history(State((sources, room)): Asked, RawQuery(query): RawQuery) -> Outcome {
    let filter: FindingsFilter = read(query)?;
    let query = filter.query(std::time::SystemTime::now());
    let query = query.map_err(|error| wrong(&error))?;
    let Some(recorder) = &sources.recorder else {
        return Err(problem(
            StatusCode::NOT_FOUND,
            "no history is kept",
            "start `pinif serve` with --history FILE",
        )
        .into());
    };
    let recorder = Arc::clone(recorder);
    let _room = room.acquire().await;
    let read = spawn_blocking(move || {
        recorder.settle();
        History::open(recorder.path())?.page(&query)
    })
    .await;
    match read {
        Ok(Ok(page)) => Ok(json(&page)),
        // Nothing was heard yet.
        Ok(Err(StoreError::Missing(_))) => Ok(json(&crate::history::HistoryPage::default())),
        Ok(Err(error)) => Err(unreadable(&error.to_string())),
        Err(error) => Err(unreadable(&error.to_string())),
    }
}

async fn metrics(State((sources, _)): Asked, RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    let (of_auditor, own) = (sources.metrics_of_auditor().await, sources.own_metrics());
    Ok(with(
        StatusCode::OK,
        Form::Text.content_type(),
        Body::from(format!("{of_auditor}{own}")),
    ))
}

async fn unknown(request: Request<Body>) -> Answer {
    let path = request.uri().path();
    problem(
        StatusCode::NOT_FOUND,
        &format!("there is nothing at `{}`", visible(path)),
        &format!(
            "there are {}",
            [
                page::PATH,
                STATUS,
                MATRIX,
                FINDINGS,
                FINDING,
                SOCKETS,
                POLICY,
                FORESEEN,
                LEARNED,
                HISTORY,
                METRICS
            ]
            .join(", ")
        ),
    )
}

/// What the auditor answered while the reader waited, or that it did not.
fn passed_on<T: Serialize>(answer: Result<T, Unanswered>, heard: &Heard) -> Outcome {
    match answer {
        Ok(said) => Ok(aged(said, Duration::ZERO)),
        Err(why) => Err(unanswered(why, heard)),
    }
}

fn aged<T: Serialize>(said: T, age: Duration) -> Answer {
    json(&Aged {
        age_s: age.as_secs_f64(),
        said,
    })
}

/// That the auditor gave no answer; what it has against the question, where it said so.
fn unanswered(why: Unanswered, heard: &Heard) -> Refused {
    match why {
        Unanswered::Client(ClientError::Refused {
            status,
            problem: said,
        }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            problem(status, &said.error, &said.fix).into()
        }
        Unanswered::Client(error) => gone(Gone::new(Absence::from(&error), heard)),
        Unanswered::Late => gone(Gone::new(
            Absence::silent("it does not answer in time"),
            heard,
        )),
    }
}

fn gone(gone: Gone) -> Refused {
    let mut answer = json(&gone);
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.into()
}

fn unreadable(error: &str) -> Refused {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        error,
        "look at what `pinif serve` printed, or `journalctl -u pinif-serve`",
    )
    .into()
}
