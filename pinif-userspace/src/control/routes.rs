//! Which path answers what.

use std::{
    convert::Infallible,
    sync::{Arc, Weak},
    time::SystemTime,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, Request, StatusCode, header::ACCEPT},
    routing::get,
};
use tokio::runtime::Handle;
use tower_service::Service as _;

use super::{
    alive::Alive,
    answer::{Answer, Refused, json, problem, too_many, with, wrong},
    ask::Collector,
    closed,
    filter::{ClosedFilter, EventsFilter, FindingsFilter, LearnedFilter, MOST, SocketsFilter},
    gate, learned, openapi,
    protocol::{FindingsPage, ForeseenNow, MatrixNow, PolicyNow, Status, path},
    question::{nothing_asked, read},
    readers::{Full, Ticket},
    sockets::Sockets,
    stream::Stream,
    view::{Metrics, Words},
    written::{Form, Written},
};
use crate::{findings::query::Query, hub::Hub, text::escape::visible};

/// What answers are made of.
#[derive(Clone)]
pub struct Sources {
    /// Who is asked.
    pub collector: Collector,
    /// Where events are published. It goes with the audit.
    pub hub: Weak<Hub>,
    /// The words of notices.
    pub words: Words,
    /// The collector's runtime, where those are served who follow; without one, they are served as all others.
    pub beside: Option<Handle>,
    /// The text of metrics.
    pub metrics: Metrics,
    /// What lists the sockets.
    pub sockets: Sockets,
}

/// What answers all requests.
#[derive(Clone)]
pub struct Routes(Router);

impl Routes {
    /// With these sources.
    pub fn new(sources: Sources) -> Self {
        let router = Router::new()
            .route(path::STATUS, get(status))
            .route(path::MATRIX, get(matrix))
            .route(path::FINDINGS, get(findings))
            .route(path::FINDING, get(finding))
            .route(path::EVENTS, get(events))
            .route(path::SOCKETS, get(sockets))
            .route(path::CLOSED, get(closed_sockets))
            .route(path::LEARNED, get(learned))
            .route(path::FORESEEN, get(foreseen))
            .route(path::POLICY, get(policy))
            .route(path::METRICS, get(metrics))
            .route(path::OPENAPI, get(description))
            .fallback(unknown)
            .layer(Extension(Arc::<Written>::default()))
            .layer(Extension(Alive::now()))
            .with_state(sources);
        Self(router)
    }

    /// Answers a request on a connection.
    pub async fn answer(&mut self, mut request: Request<Body>, ticket: Arc<Ticket>) -> Answer {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        if let Some(refusal) = gate::refusal(method, uri, headers, ticket.uid()) {
            return refusal;
        }
        request.extensions_mut().insert(ticket);
        let answered: Result<Answer, Infallible> = self.0.call(request).await;
        match answered {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

type Outcome = Result<Answer, Refused>;

async fn status(
    State(sources): State<Sources>,
    Extension(ticket): Extension<Arc<Ticket>>,
    RawQuery(query): RawQuery,
) -> Outcome {
    nothing_asked(query)?;
    let snapshot = sources.collector.snapshot().await?;
    Ok(json(&Status::of(&snapshot, ticket.readers())))
}

async fn matrix(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    let snapshot = sources.collector.snapshot().await?;
    Ok(json(&MatrixNow::from(&*snapshot)))
}

async fn policy(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    let snapshot = sources.collector.snapshot().await?;
    Ok(json(&PolicyNow::from(&*snapshot)))
}

async fn metrics(
    State(sources): State<Sources>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Outcome {
    nothing_asked(query)?;
    // Whoever reads only metrics learns from them too that there is no answer.
    let snapshot = sources.collector.snapshot().await.ok();
    let accepted = headers.get_all(ACCEPT).iter();
    let accepted: Vec<_> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let (content_type, text) = (sources.metrics)(snapshot.as_ref(), &accepted.join(","));
    Ok(with(StatusCode::OK, content_type, Body::from(text)))
}

async fn description(RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    Ok(json(&openapi::description()))
}

async fn findings(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Outcome {
    let filter: FindingsFilter = read(query)?;
    let query = filter.query(SystemTime::now());
    let query = query.map_err(|error| wrong(&error))?;
    let page = sources.collector.findings(query).await?;
    Ok(json(&FindingsPage::from(&page)))
}

async fn finding(
    State(sources): State<Sources>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    nothing_asked(query)?;
    let query = Query {
        id: Some(id.clone()),
        limit: 1,
        ..Query::default()
    };
    let page = sources.collector.findings(query).await?;
    match page.findings.first() {
        Some(finding) => Ok(json(&finding.line())),
        None => Err(problem(
            StatusCode::NOT_FOUND,
            &format!("there is no finding `{}`", visible(&id)),
            "take an id of /v1/findings",
        )
        .into()),
    }
}

async fn sockets(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Outcome {
    let filter: SocketsFilter = read(query)?;
    sources.sockets.answer(&sources.collector, &filter).await
}

async fn closed_sockets(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Outcome {
    let filter: ClosedFilter = read(query)?;
    closed::answer(&sources.collector, &filter).await
}

async fn learned(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Outcome {
    let filter: LearnedFilter = read(query)?;
    learned::answer(&sources.collector, &filter).await
}

async fn foreseen(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Outcome {
    nothing_asked(query)?;
    let holding = sources.collector.foreseen(MOST as usize).await?;
    Ok(json(&ForeseenNow::from(holding.as_ref())))
}

async fn events(
    State(sources): State<Sources>,
    Extension(ticket): Extension<Arc<Ticket>>,
    Extension(shared): Extension<Arc<Written>>,
    Extension(alive): Extension<Alive>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Outcome {
    let filter: EventsFilter = read(query)?;
    let query = filter.query().map_err(|error| wrong(&error))?;
    let follows = ticket.follow().map_err(|full| match full {
        Full::All => too_many(
            "too many follow the events already",
            "end one of those that `pinif status` lists",
        ),
        Full::Own => too_many(
            "too many of this user follow the events already",
            "end one of this user's that `pinif status` lists",
        ),
    })?;
    let hub = sources.hub.upgrade().ok_or(super::ask::Unanswered::Ended)?;
    let stream = Stream {
        follower: hub.follow(filter.snapshots.unwrap_or_default()),
        form: form(&headers),
        query,
        words: sources.words,
        shared,
        alive: filter.alive.unwrap_or_default().then_some(alive),
        collector: sources.collector,
        follows,
    };
    Ok(stream.answer())
}

async fn unknown(request: Request<Body>) -> Answer {
    let path = request.uri().path();
    problem(
        StatusCode::NOT_FOUND,
        &format!("there is nothing at `{}`", visible(path)),
        &format!("there are {}", path::ALL.join(", ")),
    )
}

/// As the reader wants it: server-sent events where it asks for them.
fn form(headers: &HeaderMap) -> Form {
    let mut accepted = headers.get_all(ACCEPT).iter();
    let is_asked = accepted.any(|value| {
        let value = value.to_str().unwrap_or_default();
        value.to_ascii_lowercase().contains("text/event-stream")
    });
    if is_asked {
        Form::ServerSent
    } else {
        Form::Lines
    }
}
