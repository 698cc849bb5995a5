//! Cursors: `EPOCH-OFFSET` means "everything up to here is read". Also the starts that a reader may request.
//!
//! Pure parsing and printing. Knows no log. Outside this file, the text of a cursor is opaque.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest text of an epoch, in bytes (`docs/protocol.md`, Ids and cursors).
const EPOCH_BYTES: usize = 16;
/// The most digits of an offset: `u64::MAX` has 20.
const OFFSET_DIGITS: usize = 20;
/// Characters of an epoch that this hub creates. With 36⁸ values, two epochs are never equal by chance.
const EPOCH_MADE_BYTES: usize = 8;
/// The most events that `last:N` may request. The log holds fewer by default, so more is never useful.
const LAST_EVENTS_MAX: u32 = 1_000_000;

/// One life of the hub's counter: 1 to 16 characters of `[0-9a-z]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch {
    text: [u8; EPOCH_BYTES],
    length: u8,
}

impl Epoch {
    /// Returns an epoch of eight characters for a random number.
    ///
    /// ```
    /// use triway::Epoch;
    /// assert_eq!(Epoch::from_random(7).as_str().len(), 8);
    /// ```
    #[must_use]
    pub fn from_random(mut random: u64) -> Self {
        const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut text = [0; EPOCH_BYTES];
        for byte in &mut text[..EPOCH_MADE_BYTES] {
            *byte = ALPHABET[(random % 36) as usize];
            random /= 36;
        }
        Self {
            text,
            length: EPOCH_MADE_BYTES as u8,
        }
    }

    /// Returns the epoch as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl FromStr for Epoch {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        if text.is_empty() || text.len() > EPOCH_BYTES || !text.bytes().all(allowed) {
            return Err(BadCursor);
        }
        let mut bytes = [0; EPOCH_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self {
            text: bytes,
            length: text.len() as u8,
        })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything up to `offset` in the epoch `epoch` is read. An event's id is the cursor just after the event.
///
/// ```
/// use triway::Cursor;
/// let cursor: Cursor = "k3x9q2-42".parse().unwrap();
/// assert_eq!(cursor.offset, 42);
/// assert_eq!(cursor.to_string(), "k3x9q2-42");
/// assert!("K3-1".parse::<Cursor>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The epoch of the hub that issued this cursor.
    pub epoch: Epoch,
    /// The hub-wide number of the last event that is read; 0 is before the first.
    pub offset: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (epoch, offset) = text.split_once('-').ok_or(BadCursor)?;
        let digits = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || offset.len() > OFFSET_DIGITS {
            return Err(BadCursor);
        }
        Ok(Self {
            epoch: epoch.parse()?,
            offset: offset.parse().map_err(|_| BadCursor)?,
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Since {
    /// With the events that are published from now on.
    #[default]
    Now,
    /// With everything that the log still holds.
    All,
    /// After this cursor. Apart from `Unknown`, this is the only start that can produce a gap.
    At(Cursor),
    /// With the events that are younger than this.
    Within(Duration),
    /// With this many of the newest events of each channel.
    Last(u32),
    /// After an id that no hub ever issued (a malformed `Last-Event-ID`): a gap of reason `unknown`, then all events.
    Unknown,
}

impl FromStr for Since {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        match text {
            "now" => return Ok(Self::Now),
            "all" => return Ok(Self::All),
            _ => {}
        }
        if let Some(count) = text.strip_prefix("last:") {
            let count: u32 = count.parse().map_err(|_| BadCursor)?;
            return Ok(Self::Last(count.min(LAST_EVENTS_MAX)));
        }
        if let Ok(cursor) = text.parse() {
            return Ok(Self::At(cursor));
        }
        parse_duration(text).map(Self::Within).ok_or(BadCursor)
    }
}

/// Parses `500ms`, `30s`, `10m`, `2h` or `1d`: a whole number and its unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// The error that a text is neither a cursor nor one of the other starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCursor;

impl fmt::Display for BadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a cursor, `now`, `all`, `last:N` or a duration such as `10m`")
    }
}

impl std::error::Error for BadCursor {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_prints_as_it_was_parsed() {
        for text in ["k3x9q2-42", "0-0", "zzzzzzzzzzzzzzzz-18446744073709551615"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "",
            "-",
            "a-",
            "-1",
            "A-1",
            "a-1x",
            "a--1",
            "a-+1",
            "é-1",
            "a1",
            "aaaaaaaaaaaaaaaaa-1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
        assert!(
            "a-99999999999999999999".parse::<Cursor>().is_err(),
            "beyond 64 bits"
        );
    }

    #[test]
    fn every_start_parses() {
        assert_eq!("now".parse(), Ok(Since::Now));
        assert_eq!("all".parse(), Ok(Since::All));
        assert_eq!("last:20".parse(), Ok(Since::Last(20)));
        assert_eq!("10m".parse(), Ok(Since::Within(Duration::from_secs(600))));
        assert_eq!(
            "250ms".parse(),
            Ok(Since::Within(Duration::from_millis(250)))
        );
        assert!(matches!("k3-7".parse(), Ok(Since::At(_))));
        for text in [
            "last:",
            "last:-1",
            "10",
            "m",
            "10y",
            "k3-",
            "yesterday",
            "99999999999999999999d",
        ] {
            assert_eq!(text.parse::<Since>(), Err(BadCursor), "{text}");
        }
    }
}
