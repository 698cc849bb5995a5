//! Sizes and times as people write them, such as `64KiB` and `30s`. `0` means none.
//!
//! Pure. Knows no flag.

use std::fmt;
use std::time::Duration;

use jiff::fmt::friendly::SpanParser;
use parse_size::Config;

/// Accepts both `64KiB` and `64KB`. The first counts by 1,024, the second by 1,000 as in SI.
const SIZES: Config = Config::new();
/// Hours are the longest unit. Days and longer units would need a calendar.
static TIMES: SpanParser = SpanParser::new();

/// An error that says which form of text was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedUnit(pub(super) &'static str);

impl fmt::Display for ExpectedUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for ExpectedUnit {}

/// Parses a size in bytes. The unit is optional.
///
/// # Errors
/// Returns [`ExpectedUnit`] if the text is not a number with or without a unit such as `KiB`, or if the size does not
/// fit into `usize`.
pub(super) fn parse_size(text: &str) -> Result<usize, ExpectedUnit> {
    const EXPECTED: ExpectedUnit =
        ExpectedUnit("a size such as 65536, 64KiB, 1MiB or 2GiB; 0 means none");
    let bytes = SIZES.parse_size(text).map_err(|_| EXPECTED)?;
    usize::try_from(bytes).map_err(|_| EXPECTED)
}

/// Parses a time. A number without a unit is an error, except 0, because it could mean seconds or milliseconds.
///
/// # Errors
/// Returns [`ExpectedUnit`] if the text is neither 0 nor a sum of numbers with units from `ms` to `h`.
pub(crate) fn parse_time(text: &str) -> Result<Duration, ExpectedUnit> {
    const EXPECTED: ExpectedUnit =
        ExpectedUnit("a time with its unit, such as 500ms, 30s, 5m or 1h; 0 means none");
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    TIMES.parse_unsigned_duration(text).map_err(|_| EXPECTED)
}

/// Parses a count. Underscores may separate the digits.
///
/// # Errors
/// Returns [`ExpectedUnit`] if the text is not a whole number.
pub(super) fn parse_count(text: &str) -> Result<usize, ExpectedUnit> {
    text.replace('_', "")
        .parse()
        .map_err(|_| ExpectedUnit("a whole number such as 1000; 0 means none"))
}

/// Returns a bound, or `None` for 0, which means no bound.
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
            (" 17 ", 17),
            ("1_000", 1_000),
            ("64KiB", 65_536),
            ("1 MiB", 1 << 20),
            ("2gib", 2 << 30),
            ("9B", 9),
            ("1.5MiB", 3 << 19),
            ("1KB", 1_000),
            ("18446744073709551615", usize::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "KiB",
            "-1",
            "1 MiB more",
            "1 MiB 2",
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
            (" 30 s ", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1h 30m", 5_400_000),
            ("1.5s", 1_500),
            ("2 minutes", 120_000),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1s ago",
            "1d",
            "1S",
            "1M",
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
