//! Which findings somebody asks for.

use std::time::SystemTime;

use globset::GlobMatcher;
use pinif_ebpf::verdict::{Kind, Severity};

use super::{
    alert_state::AlertState,
    finding::Finding,
    line::FindingLine,
    names::{SEVERITIES, kind_named, severity_named},
    process::Process,
    wall_time::WallTime,
};
use crate::text::{escape::visible, glob::glob, span::span};

/// Which findings are asked for: those of which all holds that is given; where several values of one are given, any of them.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// This finding alone.
    pub id: Option<String>,
    /// Of one of these kinds; of any where empty.
    pub kinds: Vec<Kind>,
    /// Of one of these severities; of any where empty.
    pub severities: Vec<Severity>,
    /// In one of these states; in any where empty.
    pub states: Vec<AlertState>,
    /// Last seen at this time or later.
    pub since: Option<WallTime>,
    /// In a network namespace of such a name.
    pub netns: Option<GlobMatcher>,
    /// Of this process.
    pub process: Option<OfProcess>,
    /// From this place on, in the order of their first sightings.
    pub from: u64,
    /// At most so many.
    pub limit: usize,
}

/// A process, as somebody names it.
#[derive(Clone, Debug)]
pub enum OfProcess {
    /// By its number.
    Number(u32),
    /// By its name, or another that is asked for: the path of its executable.
    Name(GlobMatcher),
}

impl Query {
    /// Whether a finding is asked for, wherever it stands.
    pub fn takes(&self, finding: &Finding) -> bool {
        (self.id.as_ref()).is_none_or(|id| finding.id.is_written(id))
            && one_of(&self.kinds, &finding.kind)
            && one_of(&self.severities, &finding.severity)
            && one_of(&self.states, &finding.state)
            && self.since.is_none_or(|since| finding.last_seen >= since)
            && (self.netns.as_ref()).is_none_or(|netns| netns.is_match(finding.netns()))
            && (self.process.as_ref()).is_none_or(|process| process.is_of(finding))
    }

    /// The same of a finding as it was written. Of a time that cannot be read, nobody says that it is too long ago.
    pub fn takes_line(&self, line: &FindingLine) -> bool {
        let is_since =
            |since| WallTime::read(&line.last_seen).is_none_or(|last_seen| last_seen >= since);
        (self.id.as_ref()).is_none_or(|id| line.id == *id)
            && one_of(&self.kinds, &line.kind)
            && one_of(&self.severities, &line.severity)
            && one_of(&self.states, &line.state)
            && self.since.is_none_or(is_since)
            && (self.netns.as_ref()).is_none_or(|netns| netns.is_match(&line.netns))
            && (self.process.as_ref()).is_none_or(|process| process.is_one(line.process.as_ref()))
    }
}

impl OfProcess {
    /// A number, or a name that may have `*` and `?` in it.
    ///
    /// # Errors
    ///
    /// That it is no such pattern.
    pub fn read(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => glob(text).map(Self::Name),
        }
    }

    /// Whether it is the process with this number, and these names.
    pub fn is<'a>(&self, number: Option<u32>, names: impl IntoIterator<Item = &'a str>) -> bool {
        match self {
            Self::Number(wanted) => number == Some(*wanted),
            Self::Name(wanted) => names.into_iter().any(|name| wanted.is_match(name)),
        }
    }

    fn is_of(&self, finding: &Finding) -> bool {
        self.is_one(finding.process.as_deref())
    }

    fn is_one(&self, process: Option<&Process>) -> bool {
        process.is_some_and(|process| {
            let names = [process.comm.as_str()].into_iter();
            self.is(process.pid, names.chain(process.exe.as_deref()))
        })
    }
}

fn one_of<T: PartialEq>(wanted: &[T], is: &T) -> bool {
    wanted.is_empty() || wanted.contains(is)
}

/// The kinds of a list of names with commas between them.
///
/// # Errors
///
/// Which name is none, and those that there are.
pub fn kinds(text: &str) -> Result<Vec<Kind>, String> {
    let known = Kind::ALL.map(Kind::name);
    each(text, kind_named, "kind", &known)
}

/// The severities of a list of names with commas between them.
///
/// # Errors
///
/// Which name is none, and those that there are.
pub fn severities(text: &str) -> Result<Vec<Severity>, String> {
    let known = SEVERITIES.map(Severity::name);
    each(text, severity_named, "severity", &known)
}

/// The states of a list of names with commas between them.
///
/// # Errors
///
/// Which name is none, and those that there are.
pub fn states(text: &str) -> Result<Vec<AlertState>, String> {
    let known = AlertState::ALL.map(AlertState::name);
    each(text, AlertState::named, "state", &known)
}

/// A moment: a time of RFC 3339, or how long ago it was.
///
/// # Errors
///
/// That it is none, and how one is written.
pub fn moment(text: &str, now: SystemTime) -> Result<WallTime, String> {
    if let Some(time) = WallTime::read(text) {
        return Ok(time);
    }
    let ago = span(text).map_err(|_| {
        let text = visible(text);
        format!("`{text}` is no time; write how long ago, such as 10m, or 2026-03-01T12:00:00Z")
    })?;
    // What is longer ago than the clock goes is the beginning.
    Ok(now
        .checked_sub(ago)
        .unwrap_or(SystemTime::UNIX_EPOCH)
        .into())
}

/// The values of a list of names with commas between them, each of which is a `what` that `named` knows.
///
/// # Errors
///
/// Which name is none, and those that there are.
pub(crate) fn each<T>(
    text: &str,
    named: impl Fn(&str) -> Option<T>,
    what: &str,
    known: &[&str],
) -> Result<Vec<T>, String> {
    let names = text.split(',').map(str::trim);
    names
        .map(|name| {
            named(name).ok_or_else(|| {
                let name = visible(name);
                format!(
                    "there is no {what} `{name}`; there are {}",
                    known.join(", ")
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::findings::example;

    fn finds(query: &Query) -> bool {
        let finding = example::finding(7);
        let takes = query.takes(&finding);
        assert_eq!(
            query.takes_line(&FindingLine::from(&finding)),
            takes,
            "{query:?}"
        );
        takes
    }

    #[test]
    fn all_that_is_given_must_hold() {
        let finding = example::finding(7);
        assert!(finds(&Query::default()));
        let id = |id: &str| Query {
            id: Some(id.to_owned()),
            ..Query::default()
        };
        assert!(finds(&id("000000000007")) && !finds(&id("000000000008")) && !finds(&id("7")));
        let of = |kinds: &[Kind], severities: &[Severity]| Query {
            kinds: kinds.to_vec(),
            severities: severities.to_vec(),
            ..Query::default()
        };
        let others: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| *kind != finding.kind)
            .collect();
        assert!(finds(&of(&Kind::ALL, &[finding.severity])));
        assert!(!finds(&of(&others, &[finding.severity])));
        assert!(!finds(&of(&[finding.kind], &[Severity::Note])));
        let netns = |name: &str| Query {
            netns: glob(name).ok(),
            ..Query::default()
        };
        assert!(finds(&netns("*")) && !finds(&netns("another")));
        let state = |state| Query {
            states: vec![state],
            ..Query::default()
        };
        assert!(finds(&state(AlertState::Open)) && !finds(&state(AlertState::Quiet)));
        let since = |micros| Query {
            since: Some((SystemTime::UNIX_EPOCH + Duration::from_micros(micros)).into()),
            ..Query::default()
        };
        assert!(finds(&since(0)) && !finds(&since(1)));
    }

    #[test]
    fn a_process_is_named_by_its_number_its_name_or_its_executable() {
        let process = Process {
            pid: Some(812),
            comm: "telemetryd".to_owned(),
            exe: Some("/usr/sbin/telemetryd".to_owned()),
            started: None,
            uid: 0,
            cgroup: None,
        };
        let finding = Finding {
            process: Some(process.into()),
            ..example::finding(7)
        };
        for (name, is) in [
            ("812", true),
            ("813", false),
            ("telemetryd", true),
            ("tele*", true),
            ("/usr/sbin/*", true),
            ("tele", false),
        ] {
            let query = Query {
                process: OfProcess::read(name).ok(),
                ..Query::default()
            };
            assert_eq!(query.takes(&finding), is, "{name}");
            assert_eq!(query.takes_line(&FindingLine::from(&finding)), is, "{name}");
            assert!(!finds(&query), "it has no process");
        }
    }

    #[test]
    fn a_name_that_is_none_is_said_with_those_that_there_are() {
        assert_eq!(
            severities("leak, risk"),
            Ok(vec![Severity::Leak, Severity::Risk])
        );
        assert_eq!(
            severities("leek"),
            Err("there is no severity `leek`; there are leak, risk, note".to_owned())
        );
        assert_eq!(kinds("device-escape"), Ok(vec![Kind::DeviceEscape]));
        assert!(kinds("").is_err());
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let text = |text: &str| moment(text, now).map(|time| time.to_string());
        assert_eq!(
            text("2023-11-14T22:13:20.5Z").as_deref(),
            Ok("2023-11-14T22:13:20.500000Z")
        );
        assert_eq!(text("10m").as_deref(), Ok("2023-11-14T22:03:20.000000Z"));
        // Longer ago than the clock can say.
        assert_eq!(text("2e14d").as_deref(), Ok("1970-01-01T00:00:00.000000Z"));
        assert_eq!(
            text("yesterday").unwrap_err(),
            "`yesterday` is no time; write how long ago, such as 10m, or 2026-03-01T12:00:00Z"
        );
    }
}
