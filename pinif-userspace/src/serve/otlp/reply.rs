//! What a collector's answer means for what was sent
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>).

use std::{
    fmt::{self, Display, Formatter},
    time::{Duration, SystemTime},
};

use axum::http::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use httpdate::parse_http_date;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceResponse, metrics::v1::ExportMetricsServiceResponse,
};
use prost::Message as _;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was taken, but for so many of its parts, which are not to be sent again.
    Taken {
        /// How many were refused.
        rejected: u64,
        /// Why, or what the collector warns of; empty where it says nothing.
        message: String,
    },
    /// It is wrong, and is not to be sent again.
    Rejected(Reason),
    /// It was not taken now.
    Later {
        /// How long the collector wants to be left alone, where it says so.
        after: Option<Duration>,
        /// Why.
        reason: Reason,
    },
}

/// Why something was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// Why, as pinif has it: the same as long as it is the same trouble.
    pub why: String,
    /// What the collector says of it, as it came; empty where it says nothing.
    pub message: String,
}

impl<E: std::error::Error> From<E> for Reason {
    fn from(error: E) -> Self {
        Self {
            why: error.to_string(),
            message: String::new(),
        }
    }
}

impl Display for Reason {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self { why, message } = self;
        match &**message {
            "" => write!(to, "{why}"),
            message => write!(to, "{why}: {message}"),
        }
    }
}

/// What a collector says of an error, of which only the text is of use
/// (<https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto>).
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

/// How many characters of that are shown.
const LONGEST: usize = 300;

/// What a collector says of an error: the protocol's message; of those that answer with a text, its first line.
fn message(headers: &HeaderMap, body: &[u8]) -> String {
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
    let said = if kind.starts_with(b"application/x-protobuf") {
        Status::decode(body).unwrap_or_default().message
    } else if kind.starts_with(b"text/plain") {
        let text = String::from_utf8_lossy(body);
        text.lines().next().unwrap_or_default().to_owned()
    } else {
        String::new()
    };
    said.trim().chars().take(LONGEST).collect()
}

/// What a collector is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Records.
    Logs,
    /// Metrics.
    Metrics,
}

impl Signal {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// Its path below the endpoint.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// What a collector says of what it has taken: how many parts it has refused, and why.
    fn partly(self, body: &[u8]) -> Option<(i64, String)> {
        match self {
            Self::Logs => {
                let said = ExportLogsServiceResponse::decode(body)
                    .ok()?
                    .partial_success?;
                Some((said.rejected_log_records, said.error_message))
            }
            Self::Metrics => {
                let said = ExportMetricsServiceResponse::decode(body)
                    .ok()?
                    .partial_success?;
                Some((said.rejected_data_points, said.error_message))
            }
        }
    }
}

/// What an answer means.
pub fn reply(
    signal: Signal,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Reply {
    if status.is_success() {
        let (rejected, message) = signal.partly(body).unwrap_or_default();
        return Reply::Taken {
            rejected: rejected.max(0).unsigned_abs(),
            message,
        };
    }
    let why = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("it answers {status}: it wants another token (--otlp-token)")
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            format!(
                "it answers {status}: it takes no {} at this URL (--otlp)",
                signal.name()
            )
        }
        status => format!("it answers {status}"),
    };
    let message = message(headers, body);
    let reason = Reason { why, message };
    match status {
        // It is about what was sent, and would be answered so again.
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Reply::Rejected(reason),
        // It is about where it was sent, or when: the findings stay behind until somebody has put that right.
        _ => Reply::Later {
            after: headers
                .get(RETRY_AFTER)
                .and_then(|value| after(value.to_str().ok()?, now)),
            reason,
        },
    }
}

/// How long to wait: seconds, or until a date (RFC 9110 section 10.2.3).
fn after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = parse_http_date(value).ok()?.duration_since(now);
    Some(wait.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;

    use super::*;

    fn of(status: u16, retry: Option<&str>, body: &[u8]) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(retry) = retry {
            headers.insert(RETRY_AFTER, retry.parse().expect("a header"));
        }
        let status = StatusCode::from_u16(status).expect("a status");
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        reply(Signal::Logs, status, &headers, body, now)
    }

    fn taken(rejected: u64, message: &str) -> Reply {
        Reply::Taken {
            rejected,
            message: message.to_owned(),
        }
    }

    #[test]
    fn what_is_taken_may_be_refused_in_part() {
        assert_eq!(of(200, None, b""), taken(0, ""));
        assert_eq!(of(202, None, b"<html>"), taken(0, ""));
        for (rejected, counted) in [(3, 3), (0, 0), (-1, 0)] {
            let partly = ExportLogsServiceResponse {
                partial_success: Some(ExportLogsPartialSuccess {
                    rejected_log_records: rejected,
                    error_message: "too old".to_owned(),
                }),
            };
            assert_eq!(
                of(200, None, &partly.encode_to_vec()),
                taken(counted, "too old")
            );
        }
    }

    #[test]
    fn what_is_wrong_is_not_sent_again_and_all_else_is() {
        for status in [400, 413, 422] {
            assert!(
                matches!(of(status, Some("1"), b""), Reply::Rejected(_)),
                "{status}"
            );
        }
        for status in [301, 401, 403, 404, 429, 500, 502, 503, 504] {
            assert!(
                matches!(of(status, None, b""), Reply::Later { after: None, .. }),
                "{status}"
            );
        }
        let Reply::Later { reason, .. } = of(401, None, b"") else {
            panic!("it is sent again");
        };
        assert!(reason.why.contains("--otlp-token"), "{reason}");
    }

    #[test]
    fn what_a_collector_says_of_an_error_is_kept() {
        let of = |status: u16, kind: &str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().expect("a header"));
            let status = StatusCode::from_u16(status).expect("a status");
            match reply(Signal::Logs, status, &headers, body, UNIX_EPOCH) {
                Reply::Rejected(reason) | Reply::Later { reason, .. } => reason.to_string(),
                Reply::Taken { .. } => panic!("it is an error"),
            }
        };
        // `code` and `details` beside it, by hand: what others write has them.
        let mut status = vec![0x08, 3, 0x12, 7];
        status.extend(b"too old");
        status.extend([0x1a, 2, 0x0a, 0]);
        let (proto, text) = ("application/x-protobuf", "text/plain; charset=utf-8");
        for (code, kind, body, said) in [
            (400, proto, &*status, "it answers 400 Bad Request: too old"),
            (
                503,
                proto,
                &*status,
                "it answers 503 Service Unavailable: too old",
            ),
            (400, proto, b"garbage", "it answers 400 Bad Request"),
            (400, proto, b"", "it answers 400 Bad Request"),
            (
                400,
                text,
                b"too old\nand more",
                "it answers 400 Bad Request: too old",
            ),
            (400, "text/html", b"<html>", "it answers 400 Bad Request"),
        ] {
            assert_eq!(of(code, kind, body), said, "{kind}");
        }
        let long = of(400, text, &b"x".repeat(LONGEST + 9));
        let begun = "it answers 400 Bad Request: ";
        assert_eq!(long.len(), begun.len() + LONGEST);
    }

    #[test]
    fn when_to_come_again_is_in_seconds_or_a_date() {
        for (said, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            // A minute after the example of RFC 9110; and long ago.
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let Reply::Later { after, .. } = of(503, Some(said), b"") else {
                panic!("it is sent again");
            };
            assert_eq!(after, seconds.map(Duration::from_secs), "{said}");
        }
    }
}
