//! What happens, line by line, to one reader: as fast as it reads, and without anybody waiting for it.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use futures::stream;

use super::{
    alive::Alive,
    answer::{Answer, with},
    ask::Collector,
    protocol::{EventLine, Status},
    readers::{Follows, Ticket},
    view::{Words, lines, lost, of_finding},
    written::{Form, Written},
};
use crate::{
    findings::query::Query,
    hub::{Delivery, Event, Follower, Snapshot},
    text::json,
};

/// A reader of events.
pub struct Stream {
    /// What happens, from before the first line on.
    pub follower: Follower,
    /// How it is written.
    pub form: Form,
    /// The findings that it is about.
    pub query: Query,
    /// The words of notices.
    pub words: Words,
    /// Lines that were written to others.
    pub shared: Arc<Written>,
    /// When it gets a line by which it knows that the auditor goes on, if it wants that.
    pub alive: Option<Alive>,
    /// Who is asked for the state.
    pub collector: Collector,
    /// The reader.
    pub follows: Follows,
}

impl Stream {
    /// The answer that goes on until the audit has ended, or the reader has left.
    pub fn answer(self) -> Answer {
        let content_type = match self.form {
            Form::Lines => "application/jsonl",
            Form::ServerSent => "text/event-stream",
        };
        let state = State {
            stream: self,
            ready: VecDeque::new(),
            begun: false,
        };
        let chunks = stream::unfold(state, |mut state| async move {
            let chunk = state.next().await?;
            Some((Ok::<_, Infallible>(chunk), state))
        });
        with(StatusCode::OK, content_type, Body::from_stream(chunks))
    }

    fn written(&self, line: &EventLine<'_>) -> Option<Bytes> {
        let text = json::line(line).ok()?;
        Some(match self.form {
            Form::Lines => text.into(),
            Form::ServerSent => format!("event: {}\ndata: {text}\n", line.name()).into(),
        })
    }

    fn ticket(&self) -> &Ticket {
        self.follows.ticket()
    }

    fn status(&self, snapshot: &Arc<Snapshot>) -> Option<Bytes> {
        let readers = self.ticket().readers();
        let write = || {
            let status = Status::of(snapshot, readers.clone());
            self.written(&EventLine::Status(Box::new(status)))
        };
        self.shared
            .status(snapshot, readers.clone(), self.form, write)
    }
}

struct State {
    stream: Stream,
    /// Lines that were made and not sent yet.
    ready: VecDeque<Bytes>,
    begun: bool,
}

impl State {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            self.begun = true;
            self.put_state().await;
        }
        while self.ready.is_empty() {
            let delivery = tokio::select! {
                biased;
                delivery = self.stream.follower.next() => delivery?,
                () = Alive::next(self.stream.alive.as_ref()) => {
                    self.put(&EventLine::Alive);
                    continue;
                }
            };
            self.take(&delivery).await;
        }
        self.ready.pop_front()
    }

    async fn take(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Event(Event::Finding(finding, _)) => {
                let stream = &self.stream;
                if stream.query.takes(finding) {
                    let write = || stream.written(&of_finding(finding));
                    let line = stream.shared.finding(finding, stream.form, write);
                    self.ready.extend(line);
                }
            }
            Delivery::Event(event) => {
                for line in lines(event, &self.stream.query, self.stream.words) {
                    self.put(&line);
                }
            }
            Delivery::Snapshot(snapshot) => self.ready.extend(self.stream.status(snapshot)),
            Delivery::Missed(events) => {
                self.put(&lost(*events));
                self.put_state().await;
            }
        }
    }

    /// Puts the state of now in; nothing where there is none, since the audit ends.
    async fn put_state(&mut self) {
        if let Ok(snapshot) = self.stream.collector.snapshot().await {
            self.ready.extend(self.stream.status(&snapshot));
        }
    }

    fn put(&mut self, line: &EventLine<'_>) {
        self.ready.extend(self.stream.written(line));
    }
}
