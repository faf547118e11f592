//! How long ago something was, for people.

use std::time::Duration;

/// A time as a person says it: `3s`, `5m`, `2h 5m`, `3d 2h`.
pub fn ago(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_two_units_at_most() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (7500, "2h 5m"),
            (3600, "1h 0m"),
            (266_400, "3d 2h"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), text);
        }
    }
}
