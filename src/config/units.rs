//! Sizes and times as people write them: `64KiB`, `30s`, `0` for none.
//!
//! Pure. Knows no flag.

use std::fmt;
use std::time::Duration;

/// The units of a size, in bytes. Powers of ten are left out: `KB` means two things, and neither is said aloud.
const SIZE_UNITS: [(&str, usize); 5] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
/// The units of a time, in milliseconds. A bare number is refused: it could be seconds or milliseconds.
const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// The text is not of the kind that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected(pub(super) &'static str);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for Expected {}

/// A size in bytes.
///
/// # Errors
/// When the text is not a whole number with a unit of [`SIZE_UNITS`].
pub(super) fn parse_size(text: &str) -> Result<usize, Expected> {
    const EXPECTED: Expected = Expected("a size such as 65536, 64KiB, 1MiB or 2GiB; 0 means none");
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let number: usize = number.parse().map_err(|_| EXPECTED)?;
    let (_, bytes) = SIZE_UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .ok_or(EXPECTED)?;
    number.checked_mul(*bytes).ok_or(EXPECTED)
}

/// A time.
///
/// # Errors
/// When the text is not a whole number with a unit of [`TIME_UNITS`], or 0.
pub(super) fn parse_time(text: &str) -> Result<Duration, Expected> {
    const EXPECTED: Expected =
        Expected("a time with its unit, such as 500ms, 30s, 5m or 1h; 0 means none");
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    if number == 0 && unit.is_empty() {
        return Ok(Duration::ZERO);
    }
    let (_, ms) = TIME_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(EXPECTED)?;
    number
        .checked_mul(*ms)
        .map(Duration::from_millis)
        .ok_or(EXPECTED)
}

/// How many of something.
///
/// # Errors
/// When the text is not a whole number.
pub(super) fn parse_count(text: &str) -> Result<usize, Expected> {
    text.replace('_', "")
        .parse()
        .map_err(|_| Expected("a whole number such as 1000; 0 means none"))
}

/// The digits in front, and what follows them.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (digits > 0).then(|| (&text[..digits], text[digits..].trim_start()))
}

/// `0` means none.
pub(super) fn bound<T: PartialEq + Default>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("64KiB", 65_536),
            ("1 MiB", 1 << 20),
            ("2gib", 2 << 30),
            ("9B", 9),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "KiB",
            "-1",
            "1.5MiB",
            "1KB",
            "1 MiB more",
            "99999999999999999999",
            "18446744073709551615KiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, ms) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "1d",
            "1S",
            "99999999999999999h",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zero_is_none() {
        assert_eq!(bound(0_usize), None);
        assert_eq!(bound(Duration::from_secs(1)), Some(Duration::from_secs(1)));
    }
}
