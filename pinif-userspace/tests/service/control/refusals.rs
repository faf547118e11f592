//! What is asked wrongly is answered by what is wrong and what to do, and the auditor goes on.

use std::io::{Read as _, Write as _};

use serde_json::Value;

use super::asked::{Place, answer};
use crate::bench::scenario;

#[test]
fn each_refusal_says_what_to_do() {
    scenario("control refusals", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        for (target, status, error, fix) in [
            ("/", 404, "there is nothing at `/`", "/v1/status"),
            ("/v1/stat\u{7f}us", 400, "", ""),
            (
                "/v1/%1b%5b31m",
                404,
                "there is nothing at `/v1/%1b%5b31m`",
                "/v1/findings",
            ),
            (
                "/v1/status?all=1",
                400,
                "`?all=1` has no meaning here",
                "leave it out",
            ),
            (
                "/v1/findings?kinds=x",
                400,
                "unknown field `kinds`",
                "the options of `pinif findings`",
            ),
            (
                "/v1/findings?kind=x",
                400,
                "there is no kind `x`; there are device-escape",
                "",
            ),
            (
                "/v1/findings?limit=-1",
                400,
                "`limit` is `-1`; give a number from 1 to 250",
                "",
            ),
            (
                "/v1/findings?since=soon",
                400,
                "`soon` is no time; write how long ago",
                "",
            ),
            ("/v1/findings?netns=%5b", 400, "`netns`: ", ""),
            (
                "/v1/events?snapshots=1",
                400,
                "`snapshots` is `1`; give `true` or `false`",
                "",
            ),
            (
                "/v1/findings/0123456789ab",
                404,
                "there is no finding `0123456789ab`",
                "/v1/findings",
            ),
            ("/v1/findings/%0a", 404, "there is no finding `\\n`", ""),
        ] {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n");
            let (got, text) = place.say(request.as_bytes());
            assert_eq!(got, status, "{target}: {text}");
            if error.is_empty() {
                continue;
            }
            let (_, body) = text.split_once("\r\n\r\n").expect("a body");
            let problem: Value = serde_json::from_str(body).expect("JSON");
            let has = |field: &str, words: &str| {
                problem[field]
                    .as_str()
                    .is_some_and(|text| text.contains(words))
            };
            assert!(
                has("error", error) && has("fix", fix),
                "{target}: {problem}"
            );
        }
        for (request, status) in [
            (
                "POST /v1/status HTTP/1.1\r\nHost: pinif\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                405,
            ),
            (
                "DELETE /v1/findings/0123456789ab HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n",
                405,
            ),
            (
                "GET /v1/status HTTP/1.1\r\nHost: attacker.example\r\nConnection: close\r\n\r\n",
                421,
            ),
            (
                "GET http://attacker.example/v1/status HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n",
                421,
            ),
            ("GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n", 421),
            ("GET /v1/status HTTP/1.0\r\nHost: pinif\r\n\r\n", 200),
            ("nonsense\r\n\r\n", 400),
        ] {
            assert_eq!(place.say(request.as_bytes()).0, status, "{request}");
        }
        let head =
            place.say(b"HEAD /v1/status HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n");
        assert_eq!(head.0, 200);
        assert!(head.1.ends_with("\r\n\r\n"), "{}", head.1);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn what_is_too_large_is_refused_and_what_is_slow_is_given_up() {
    scenario("control floods", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        // It begins and never ends.
        let mut slow = place.connect();
        slow.write_all(b"GET /v1/status HTTP/1.1\r\nHost: pin")
            .expect("it is taken");

        let long = "a".repeat(100_000);
        let request = |text: &str| format!("GET /v1/status{text}\r\nHost: pinif\r\n\r\n");
        for (bytes, statuses) in [
            (request(&format!("?{long} HTTP/1.1")), [414, 431]),
            (request(&format!(" HTTP/1.1\r\nX: {long}")), [431, 431]),
            (
                request(&format!(" HTTP/1.1{}", "\r\nX: y".repeat(40))),
                [431, 431],
            ),
        ] {
            let (status, text) = place.say(bytes.as_bytes());
            assert!(statuses.contains(&status), "{status}: {text}");
        }

        // Several requests at once are answered one after the other.
        let twice = "GET /v1/nothing HTTP/1.1\r\nHost: pinif\r\n\r\n\
                     GET /v1/status HTTP/1.1\r\nHost: pinif\r\nConnection: close\r\n\r\n";
        let (first, text) = place.say(twice.as_bytes());
        assert_eq!(first, 404);
        assert!(text.contains("HTTP/1.1 200 OK"), "{text}");

        let (status, _) = answer(&mut slow);
        assert!([0, 408].contains(&status), "{status}");
        assert_eq!(slow.read(&mut [0]).expect("the end"), 0);
        auditor.stop().expect().nothing_else();
    });
}
