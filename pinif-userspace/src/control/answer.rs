//! Answers as HTTP: JSON, and errors that say what to do.

use axum::{
    body::Body,
    http::{
        HeaderValue, Response, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    },
    response::IntoResponse,
};
use serde::Serialize;

use super::{
    ask::Unanswered,
    protocol::{ENDED, Problem},
};
use crate::text::{escape::visible, json};

/// An answer.
pub type Answer = Response<Body>;

/// A value as JSON.
pub fn json(value: &impl Serialize) -> Answer {
    match json::line(value) {
        Ok(text) => with(StatusCode::OK, "application/json", Body::from(text)),
        Err(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the answer cannot be written: {error}"),
            "report it: this is a fault of pinif's",
        ),
    }
}

/// An answer of this type.
pub fn with(status: StatusCode, content_type: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// That there is no answer.
pub fn problem(status: StatusCode, error: &str, fix: &str) -> Answer {
    let problem = Problem {
        error: error.to_owned(),
        fix: fix.to_owned(),
    };
    let text = json::line(&problem).unwrap_or_default();
    with(status, "application/json", Body::from(text))
}

/// That the method is another than those that there are.
pub fn not_allowed() -> Answer {
    let mut answer = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "nothing can be changed here",
        "ask with GET; change the policy by its file, and options by starting the auditor with them",
    );
    let methods = HeaderValue::from_static("GET, HEAD");
    answer.headers_mut().insert(ALLOW, methods);
    answer
}

/// That there are too many already.
pub fn too_many(what: &str, fix: &str) -> Answer {
    let mut answer = problem(StatusCode::SERVICE_UNAVAILABLE, what, fix);
    let second = HeaderValue::from_static("1");
    answer.headers_mut().insert(RETRY_AFTER, second);
    answer
}

/// That the request is wrong, and how.
pub fn wrong(error: &str) -> Refused {
    problem(
        StatusCode::BAD_REQUEST,
        &visible(error),
        "/v1/openapi.json has the parameters of each path: of findings and sockets, the options of `pinif findings` and `pinif sockets`, and `from`",
    )
    .into()
}

/// An answer that says why there is none.
pub struct Refused(Box<Answer>);

impl IntoResponse for Refused {
    fn into_response(self) -> Answer {
        *self.0
    }
}

impl From<Answer> for Refused {
    fn from(answer: Answer) -> Self {
        Self(Box::new(answer))
    }
}

impl From<Unanswered> for Refused {
    fn from(unanswered: Unanswered) -> Self {
        Self::from(match unanswered {
            Unanswered::Ended => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                ENDED,
                "wait until it has, then start it again",
            ),
            Unanswered::Late => too_many(
                "the auditor does not answer: it is about to start, or it hangs",
                "ask again; where that goes on, look at what it printed, or `systemctl status pinif`",
            ),
        })
    }
}
