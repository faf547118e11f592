//! Which findings a request asks for: what stands behind the `?`.

use std::{fmt::Display, time::SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{
    findings::query::{OfProcess, Query, kinds, moment, severities, states},
    survey,
    text::glob::glob,
};

/// How many findings a page has, unless the request says.
pub const PAGE: u32 = 100;
/// How many it has at most.
pub const MOST: u32 = 250;
/// How many entries a page of what was learned has at most: some 2 MiB of JSON.
pub const LEARNED_PAGE: u32 = 5_000;

/// Which findings: those of which all holds that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingsFilter {
    /// Kinds, with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Severities, with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// States, with commas between them: `open`, `quiet`, `accepted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Last seen at this time or later: a time (RFC 3339), or how long ago, such as `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The network namespace: a name, or a pattern of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// The process: its number, its name, the path of its executable, or a pattern of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Where the page begins: `next` of the page before.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "from"
    )]
    pub from: Option<u64>,
    /// How many findings the page has at most: 100, where it is not given; never more than 250.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limit"
    )]
    #[schemars(range(min = 1, max = 250))]
    pub limit: Option<u32>,
}

/// Which sockets: those of which all holds that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SocketsFilter {
    /// How they stand, with commas between: `misrouted`, `default-route`, `unpinned`, `crossed`, `stuck`, `pinned`, `internal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
    /// The process: its number, its name, or a pattern of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The interface that they are bound to, or would leave via: a name, or a pattern of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The network namespace: a name, or a pattern of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// Where the page begins: `next` of the page before.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "from"
    )]
    pub from: Option<u64>,
    /// How many sockets the page has at most: 100, where it is not given; never more than 250.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limit"
    )]
    #[schemars(range(min = 1, max = 250))]
    pub limit: Option<u32>,
}

/// Whose sockets that were closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedFilter {
    /// The network namespace, by its name.
    pub netns: String,
}

/// Which part of what was learned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnedFilter {
    /// Where the page begins: `next` of the page before.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "from"
    )]
    pub from: Option<u64>,
    /// How many entries the page has at most: 5000, where it is not given; never more.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "learned_limit"
    )]
    #[schemars(range(min = 1, max = 5000))]
    pub limit: Option<u32>,
}

/// What a [`SocketsFilter`] asks for.
#[derive(Clone, Debug)]
pub struct WantedSockets {
    /// Which sockets.
    pub query: survey::Query,
    /// Where the page begins.
    pub from: u64,
    /// How many it has at most.
    pub limit: usize,
}

impl SocketsFilter {
    /// What it asks for.
    ///
    /// # Errors
    ///
    /// Which value is wrong, and what would be right.
    pub fn wanted(&self) -> Result<WantedSockets, String> {
        let query = survey::Query {
            processes: Vec::from_iter(value("process", &self.process, OfProcess::read)?),
            interfaces: Vec::from_iter(value("interface", &self.interface, glob)?),
            risks: value("risk", &self.risk, survey::risks)?.unwrap_or_default(),
            states: Vec::new(),
            netns: value("netns", &self.netns, glob)?,
        };
        Ok(WantedSockets {
            query,
            from: self.from.unwrap_or_default(),
            limit: self.limit.unwrap_or(PAGE).min(MOST) as usize,
        })
    }
}

/// Which events: all that are not about a finding, and those of the findings that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsFilter {
    /// Kinds, with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Severities, with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// States, with commas between them: `open`, `quiet`, `accepted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The network namespace: a name, or a pattern of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// The process: its number, its name, the path of its executable, or a pattern of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Whether there is a `status` each second.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "snapshots"
    )]
    pub snapshots: Option<bool>,
    /// Whether there is an `alive` each five seconds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "alive"
    )]
    pub alive: Option<bool>,
}

impl FindingsFilter {
    /// What it asks for now.
    ///
    /// # Errors
    ///
    /// Which value is wrong, and what would be right.
    pub fn query(&self, now: SystemTime) -> Result<Query, String> {
        let limit = self.limit.unwrap_or(PAGE).min(MOST);
        let moment = |text: &str| moment(text, now);
        Ok(Query {
            since: value("since", &self.since, moment)?,
            from: self.from.unwrap_or_default(),
            limit: limit as usize,
            ..self.events().query()?
        })
    }

    /// The same of events.
    pub fn events(&self) -> EventsFilter {
        EventsFilter {
            kind: self.kind.clone(),
            severity: self.severity.clone(),
            state: self.state.clone(),
            netns: self.netns.clone(),
            process: self.process.clone(),
            snapshots: None,
            alive: None,
        }
    }
}

impl EventsFilter {
    /// Which findings it asks for.
    ///
    /// # Errors
    ///
    /// Which value is wrong, and what would be right.
    pub fn query(&self) -> Result<Query, String> {
        Ok(Query {
            kinds: value("kind", &self.kind, kinds)?.unwrap_or_default(),
            severities: value("severity", &self.severity, severities)?.unwrap_or_default(),
            states: value("state", &self.state, states)?.unwrap_or_default(),
            netns: value("netns", &self.netns, glob)?,
            process: value("process", &self.process, OfProcess::read)?,
            ..Query::default()
        })
    }
}

/// A value that may be given.
fn value<T>(
    name: &str,
    text: &Option<String>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let read = text.as_deref().map(read).transpose();
    read.map_err(|error| format!("`{name}`: {error}"))
}

fn from<'de, D: Deserializer<'de>>(text: D) -> Result<Option<u64>, D::Error> {
    number(text, "from", "the `next` of the page before, such as 100")
}

fn limit<'de, D: Deserializer<'de>>(text: D) -> Result<Option<u32>, D::Error> {
    limit_to(text, MOST)
}

fn learned_limit<'de, D: Deserializer<'de>>(text: D) -> Result<Option<u32>, D::Error> {
    limit_to(text, LEARNED_PAGE)
}

fn limit_to<'de, D: Deserializer<'de>>(text: D, most: u32) -> Result<Option<u32>, D::Error> {
    let right = format!("a number from 1 to {most}");
    let limit = number(text, "limit", &right)?;
    if limit == Some(0) {
        return Err(D::Error::custom(format!("`limit` is 0; give {right}")));
    }
    Ok(limit)
}

fn alive<'de, D: Deserializer<'de>>(text: D) -> Result<Option<bool>, D::Error> {
    number(text, "alive", "`true` or `false`")
}

fn snapshots<'de, D: Deserializer<'de>>(text: D) -> Result<Option<bool>, D::Error> {
    number(text, "snapshots", "`true` or `false`")
}

fn number<'de, D: Deserializer<'de>, N: std::str::FromStr>(
    text: D,
    name: &str,
    what: &str,
) -> Result<Option<N>, D::Error> {
    let text = String::deserialize(text)?;
    let number = text.parse().map(Some);
    number.map_err(|_| D::Error::custom(wrong(name, &text, what)))
}

fn wrong(name: &str, text: impl Display, what: &str) -> String {
    format!("`{name}` is `{text}`; give {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FindingsFilter, String> {
        serde_urlencoded::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_filter_is_written_and_read() {
        let filter = FindingsFilter {
            kind: Some("device-escape,unpinned".to_owned()),
            process: Some("a&b=%".to_owned()),
            limit: Some(7),
            ..FindingsFilter::default()
        };
        let text = serde_urlencoded::to_string(&filter).expect("text");
        assert_eq!(
            text,
            "kind=device-escape%2Cunpinned&process=a%26b%3D%25&limit=7"
        );
        assert_eq!(read(&text), Ok(filter));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let error = |text: &str| {
            let filter = read(text);
            filter
                .and_then(|filter| filter.query(SystemTime::now()).map(drop))
                .expect_err(text)
        };
        assert_eq!(
            error("limit=many"),
            "`limit` is `many`; give a number from 1 to 250"
        );
        assert_eq!(
            error("limit=0"),
            "`limit` is 0; give a number from 1 to 250"
        );
        assert_eq!(
            error("kinds=unpinned"),
            "unknown field `kinds`, expected one of `kind`, `severity`, `state`, `since`, `netns`, `process`, `from`, `limit`"
        );
        assert_eq!(
            error("severity=leek"),
            "`severity`: there is no severity `leek`; there are leak, risk, note"
        );
        assert!(error("netns=%5B").starts_with("`netns`: "));
        assert_eq!(
            error("kind=unpinned&kind=unpinned"),
            "duplicate field `kind`"
        );
    }

    #[test]
    fn a_page_has_its_limit() {
        let limit = |text: &str| {
            read(text)
                .and_then(|filter| filter.query(SystemTime::now()))
                .map(|query| query.limit)
        };
        assert_eq!(limit(""), Ok(100));
        assert_eq!(limit("limit=1"), Ok(1));
        assert_eq!(limit("limit=4000000000"), Ok(250));
    }
}
