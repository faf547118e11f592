//! A moment as findings keep it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// A moment of the wall clock, in microseconds since 1970: as exact as it is shown, in half of the room of a [`SystemTime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(i64);

impl WallTime {
    /// A time of RFC 3339, where it is one.
    pub fn read(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        Some(Self(timestamp.as_microsecond()))
    }

    /// From microseconds since 1970.
    pub const fn of_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// In microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// To the second, for people.
    pub fn to_seconds(self) -> String {
        let text = self.to_string();
        match text.split_once('.') {
            Some((seconds, _)) => format!("{seconds}Z"),
            None => text,
        }
    }
}

/// Half a million years are the bound: what is farther is the nearest that fits.
impl From<SystemTime> for WallTime {
    fn from(time: SystemTime) -> Self {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => -micros(before.duration()),
        })
    }
}

/// In UTC (RFC 3339) with microseconds. What lies outside the years −9999 to 9999 is the nearest that fits.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        write!(f, "{timestamp:.6}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(time: SystemTime) -> String {
        WallTime::from(time).to_string()
    }

    #[test]
    fn it_has_microseconds_and_never_fails() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_001_999);
        assert_eq!(text(time), "2023-11-14T22:13:20.000001Z");
        assert_eq!(WallTime::from(time).to_seconds(), "2023-11-14T22:13:20Z");
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1500);
        assert_eq!(text(before), "1969-12-31T23:59:58.500000Z");
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
        assert!(text(far).starts_with("9999-"), "{}", text(far));
    }
}
