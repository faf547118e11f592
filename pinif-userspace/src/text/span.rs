//! A span of time, as people write it.

use std::time::Duration;

/// Reads a number and its unit: `10s`, `5m`, `1h`; seconds without a unit.
///
/// # Errors
///
/// That it is none, and how one is written.
pub fn span(text: &str) -> Result<Duration, String> {
    let error =
        || format!("`{text}` is no time; write a number and its unit, such as 10s, 5m or 1h");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| error())?;
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(error()),
    };
    Duration::try_from_secs_f64(number * unit).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_a_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("10", 10_000),
            ("1.5s", 1500),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(span(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "5 parsecs", "1e400", "NaN"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
