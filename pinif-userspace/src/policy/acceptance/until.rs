//! Until when something is accepted.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::policy::problem::{Flaw, quoted};

/// The moment at which it is over: of a date, the end of that day in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Until {
    at: SystemTime,
    text: String,
}

impl Until {
    /// The meaning of a date, or of a moment with its time zone (RFC 3339).
    ///
    /// # Errors
    ///
    /// What is wrong with it, and the fix.
    pub(crate) fn parse(text: &str) -> Result<Self, Flaw> {
        let flaw = || Flaw::new(format!("{} is no date", quoted(text)));
        let end = match (text.len(), text.parse::<Date>()) {
            // A longer text may begin with a date.
            (10, Ok(date)) => {
                let next = date.tomorrow();
                let end = next.and_then(|next| TimeZone::UTC.to_timestamp(next.at(0, 0, 0, 0)));
                end.map_err(|_| flaw().fix("write one before the year 9999"))?
            }
            _ => text.parse::<Timestamp>().map_err(|_| {
                flaw().fix(
                    "write the last day on which it holds, in UTC, as in `2030-12-31`, or a moment with its time zone, as in \
                     `2030-12-31T18:00:00Z`",
                )
            })?,
        };
        let micros = end.as_microsecond();
        let since = Duration::from_micros(micros.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        Ok(Self {
            at: if micros < 0 {
                epoch - since
            } else {
                epoch + since
            },
            text: text.to_owned(),
        })
    }

    /// Whether it is over.
    pub fn is_over(&self, now: SystemTime) -> bool {
        now >= self.at
    }

    /// How long it is until it is over; nothing once it is.
    pub fn rest(&self, now: SystemTime) -> Option<Duration> {
        let rest = self.at.duration_since(now).ok()?;
        (!rest.is_zero()).then_some(rest)
    }

    /// Whether it is over no sooner than another.
    pub(super) fn lasts_as_long_as(&self, other: &Self) -> bool {
        self.at >= other.at
    }
}

/// As it is written.
impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_day_is_over_at_its_end_and_a_moment_at_once() {
        let day = Until::parse("2026-03-01").expect("a date");
        assert_eq!(day.to_string(), "2026-03-01");
        // 2026-03-02T00:00:00Z
        assert!(!day.is_over(at(1_772_409_599)) && day.is_over(at(1_772_409_600)));
        for text in ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00"] {
            let moment = Until::parse(text).expect("a moment");
            assert!(!moment.is_over(at(1_772_366_399)) && moment.is_over(at(1_772_366_400)));
            assert!(day.lasts_as_long_as(&moment) && !moment.lasts_as_long_as(&day));
        }
    }

    #[test]
    fn what_is_no_day_is_an_error() {
        for text in [
            "",
            "tomorrow",
            "2026-02-30",
            "2026-3-1",
            "2026-03-01T12:00:00",
            "20260301",
            "2026-03-01 ",
            "9999-12-31",
            "-100000-01-01",
        ] {
            assert!(Until::parse(text).is_err(), "{text}");
        }
    }
}
