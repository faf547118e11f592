//! A number of bytes, as people write it.

/// Reads a number and its unit: `64M`, `1G`, also `64MiB`; bytes without a unit. The units are powers of 1024.
///
/// # Errors
///
/// That it is none, and how one is written.
pub fn size(text: &str) -> Result<u64, String> {
    let error = || format!("`{text}` is no size; write a number and its unit, such as 64M or 1G");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| error())?;
    let unit = &text[digits.len()..];
    let shift = match unit.strip_suffix("iB").unwrap_or(unit) {
        "" if unit.is_empty() => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(error()),
    };
    number.checked_mul(1 << shift).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        for (text, bytes) in [
            ("4096", 4096),
            ("64K", 64 << 10),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("1G", 1 << 30),
            ("2T", 2 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1M", "1.5G", "64MB", "64iB", "99999999999T", "1m"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
