//! Frames as `triway sub` takes them: what is printed, what is told, and where it would go on.
//!
//! Knows no transport. The rules are those of `docs/protocol.md`, Ids and cursors.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::protocol::MAGIC;
use crate::protocol::cursor::{BadCursor, Cursor};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::outlet::{ReaderGone, print, tell};
use super::remote::{Problem, Trouble};

/// The pace of pings until the hub has told it.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Beyond two heartbeats, for slow paths.
const SILENCE_MARGIN: Duration = Duration::from_secs(5);

/// How an event is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The event as JSON: id, channel, name, data, …
    Full,
    /// The data alone: text as it is, JSON as JSON, bytes as base64
    Data,
}

/// A frame without the data of an event, which is passed on as it came: not all JSON that browsers and hubs take can be
/// made a value here (half of a surrogate pair, a number beyond all floats).
enum Frame {
    Hello(Hello),
    Event(Event),
    Gap(Gap),
    Ping(Ping),
    Refused(RefusedChannels),
    Bye(Bye),
    Other,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Hello {
    magic: String,
    id: Id,
    session: Session,
    heartbeat: u64,
}

#[derive(Deserialize)]
struct Event {
    id: Id,
    channel: String,
}

#[derive(Deserialize)]
struct Gap {
    id: Id,
    channel: String,
    reason: String,
    /// Another channel's gap of the same id follows, which the cursor must not pass.
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Ping {
    id: Option<Id>,
}

#[derive(Deserialize)]
struct RefusedChannels {
    channels: Vec<Refused>,
}

#[derive(Deserialize)]
struct Bye {
    code: u16,
    reason: String,
    reconnect: bool,
    after_ms: Option<u64>,
    id: Option<Id>,
    error: Option<Problem>,
}

impl Frame {
    fn parse(text: &str) -> serde_json::Result<Self> {
        let Kind { kind } = serde_json::from_str(text)?;
        Ok(match &*kind {
            "hello" => Self::Hello(serde_json::from_str(text)?),
            "event" => Self::Event(serde_json::from_str(text)?),
            "gap" => Self::Gap(serde_json::from_str(text)?),
            "ping" => Self::Ping(serde_json::from_str(text)?),
            "refused" => Self::Refused(serde_json::from_str(text)?),
            "bye" => Self::Bye(serde_json::from_str(text)?),
            _ => Self::Other,
        })
    }
}

/// A channel that the hub did not open.
#[derive(Deserialize)]
struct Refused {
    channel: String,
    error: Problem,
}

/// A cursor as frames and answers carry it.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Id(pub(super) Cursor);

impl TryFrom<String> for Id {
    type Error = BadCursor;

    fn try_from(text: String) -> Result<Self, BadCursor> {
        text.parse().map(Self)
    }
}

#[derive(Deserialize)]
struct Session {
    key: String,
}

/// The data of an event, read in a second step: most frames have none.
#[derive(Deserialize)]
struct Payload<'a> {
    // Not an Option alone: serde reads `"data":null` as an absent one, and null is a value.
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    data64: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// Whether to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    /// As many events as were wanted are printed, or nobody takes them any more.
    Enough,
    /// The hub ended this attach and said when to come again.
    Again(Duration),
}

/// One reader over all its attaches.
#[derive(Debug)]
pub(super) struct Reader {
    format: Format,
    left: Option<u64>,
    cursor: Option<Cursor>,
    /// The last id seen of each channel: an attach may bring again what another brought.
    places: HashMap<String, Cursor>,
    /// Channels that were refused, each reported once.
    refused: HashSet<String>,
    session: Option<String>,
    heartbeat: Duration,
    greeted: bool,
}

impl Reader {
    pub(super) fn new(format: Format, count: Option<u64>) -> Self {
        Self {
            format,
            left: count,
            cursor: None,
            places: HashMap::new(),
            refused: HashSet::new(),
            session: None,
            heartbeat: HEARTBEAT,
            greeted: false,
        }
    }

    /// A new attach begins; true if the one before it had heard the hub.
    pub(super) fn reopen(&mut self) -> bool {
        std::mem::take(&mut self.greeted)
    }

    /// Where to go on, if anything was heard yet.
    pub(super) fn cursor(&self) -> Option<String> {
        self.cursor.map(|cursor| cursor.to_string())
    }

    pub(super) fn move_to(&mut self, cursor: Cursor) {
        self.greeted = true;
        self.cursor = Some(cursor);
    }

    pub(super) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// How long the hub may be silent before it is given up.
    pub(super) fn silence_limit(&self) -> Duration {
        self.heartbeat * 2 + SILENCE_MARGIN
    }

    /// One frame as JSON; an event's bytes, where they came beside it.
    pub(super) fn take(&mut self, text: &str, bytes: Option<&[u8]>) -> Result<Flow, Trouble> {
        let not_ours = |_| Trouble::Final("the answer is not that of a triway hub".into());
        match Frame::parse(text).map_err(not_ours)? {
            Frame::Hello(Hello {
                magic,
                id,
                session,
                heartbeat,
            }) => {
                if magic != MAGIC {
                    return Err(Trouble::Final(format!(
                        "this hub speaks {magic}, we speak {MAGIC}"
                    )));
                }
                self.move_to(id.0);
                self.session = Some(session.key);
                self.heartbeat = Duration::from_secs(heartbeat);
            }
            Frame::Event(Event { id, channel }) => return self.event(id.0, channel, text, bytes),
            Frame::Gap(Gap {
                id,
                channel,
                reason,
                more,
            }) => {
                if !more {
                    self.move_to(id.0);
                }
                self.gap(id.0, channel, &reason);
            }
            Frame::Ping(Ping { id: Some(id) }) => self.move_to(id.0),
            Frame::Refused(RefusedChannels { channels }) => self.refused(channels),
            Frame::Bye(Bye {
                code,
                reason,
                reconnect,
                after_ms,
                id,
                error,
            }) => {
                if let Some(id) = id {
                    self.move_to(id.0);
                }
                if !reconnect {
                    let told = error.map(|problem| problem.to_string());
                    let ended = || format!("ended by the hub: {code} {reason}");
                    return Err(Trouble::Final(told.unwrap_or_else(ended)));
                }
                return Ok(Flow::Again(Duration::from_millis(after_ms.unwrap_or(0))));
            }
            Frame::Ping(Ping { id: None }) | Frame::Other => {}
        }
        Ok(Flow::On)
    }

    fn event(
        &mut self,
        id: Cursor,
        channel: String,
        text: &str,
        bytes: Option<&[u8]>,
    ) -> Result<Flow, Trouble> {
        self.move_to(id);
        if self.is_seen(&channel, id) {
            return Ok(Flow::On);
        }
        self.places.insert(channel, id);
        let line = match self.format {
            Format::Full => full_line(text, bytes),
            Format::Data => data_line(text, bytes)?,
        };
        // Flushed line by line, for pipes.
        match print(&(line + "\n")) {
            Ok(()) => {}
            Err(error) if error.is::<ReaderGone>() => return Ok(Flow::Enough),
            Err(error) => return Err(Trouble::Final(format!("{error:#}"))),
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(if self.left == Some(0) {
            Flow::Enough
        } else {
            Flow::On
        })
    }

    fn refused(&mut self, channels: Vec<Refused>) {
        for Refused { channel, error } in channels {
            if self.refused.insert(channel.clone()) {
                tell(format_args!("`{channel}` is not read: {error}"));
            }
        }
    }

    fn gap(&mut self, id: Cursor, channel: String, reason: &str) {
        if !self.is_seen(&channel, id) {
            tell(format_args!(
                "gap in {channel}: events were forgotten before they were read ({reason})"
            ));
            self.places.insert(channel, id);
        }
    }

    fn is_seen(&self, channel: &str, id: Cursor) -> bool {
        self.places
            .get(channel)
            .is_some_and(|place| place.epoch == id.epoch && id.offset <= place.offset)
    }
}

/// The event as one line of JSON. Bytes that came beside it are put where the JSON form has them.
fn full_line(text: &str, bytes: Option<&[u8]>) -> String {
    match (bytes, text.trim_end().strip_suffix('}')) {
        (Some(bytes), Some(open)) => format!("{open},\"data64\":\"{}\"}}", STANDARD.encode(bytes)),
        _ => text.to_owned(),
    }
}

/// The data as one line. Text that has line ends of its own is printed as a JSON string, so that a line is an event.
fn data_line(text: &str, bytes: Option<&[u8]>) -> Result<String, Trouble> {
    if let Some(bytes) = bytes {
        return Ok(STANDARD.encode(bytes));
    }
    let payload: Payload<'_> = serde_json::from_str(text).map_err(Trouble::passing)?;
    let Some(data) = payload.data else {
        return Ok(payload.data64.unwrap_or_default());
    };
    match serde_json::from_str::<String>(data.get()) {
        Ok(plain) if !plain.contains(['\n', '\r']) => Ok(plain),
        _ => Ok(data.get().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        r#"{"type":"event","id":"k3-42","channel":"lobby","name":"m","data":"a\nb","time":1}"#;

    #[test]
    fn data_is_one_line_whatever_it_is() {
        let of =
            |data: &str| data_line(&format!(r#"{{"type":"event","data":{data}}}"#), None).unwrap();
        assert_eq!(of(r#""plain \"text\"""#), "plain \"text\"");
        assert_eq!(of(r#""a\nb""#), r#""a\nb""#);
        assert_eq!(of(r#"{"n":1.0}"#), r#"{"n":1.0}"#);
        assert_eq!(of("null"), "null");
        assert_eq!(
            data_line(r#"{"type":"event","data64":"AAE="}"#, None).unwrap(),
            "AAE="
        );
        assert_eq!(data_line(EVENT, Some(&[0, 1])).unwrap(), "AAE=");
        assert_eq!(
            full_line(r#"{"id":"k-1"}"#, Some(&[0, 1])),
            r#"{"id":"k-1","data64":"AAE="}"#
        );
    }

    #[test]
    fn data_that_no_value_can_be_made_of_is_passed_on() {
        for data in [
            r#""\ud83d""#,
            "1e999",
            r#"{"\udc00":[1E-999,"\ud800\ud800"]}"#,
        ] {
            let event = EVENT.replace(r#""a\nb""#, data);
            assert_eq!(data_line(&event, None).unwrap(), data);
            let mut reader = Reader::new(Format::Full, Some(2));
            assert_eq!(reader.take(&event, None).unwrap(), Flow::On, "{data}");
        }
    }

    #[test]
    fn an_event_counts_once() {
        let mut reader = Reader::new(Format::Full, Some(2));
        assert_eq!(reader.take(EVENT, None).unwrap(), Flow::On);
        assert_eq!(
            reader.take(EVENT, None).unwrap(),
            Flow::On,
            "the same again is dropped"
        );
        assert_eq!(
            reader.take(&EVENT.replace("k3-42", "k3-43"), None).unwrap(),
            Flow::Enough
        );
        assert_eq!(reader.cursor().as_deref(), Some("k3-43"));
    }

    #[test]
    fn a_gap_moves_the_place_even_backwards() {
        let mut reader = Reader::new(Format::Full, None);
        reader.take(EVENT, None).unwrap();
        let gap =
            r#"{"type":"gap","channel":"lobby","after":"k3-42","reason":"restart","id":"new-1"}"#;
        assert_eq!(reader.take(gap, None).unwrap(), Flow::On);
        assert_eq!(reader.places["lobby"], "new-1".parse().unwrap());
    }

    #[test]
    fn a_bye_says_whether_to_come_again() {
        let mut reader = Reader::new(Format::Full, None);
        let bye = r#"{"type":"bye","code":3001,"reason":"drain","reconnect":true,"after_ms":730,"id":"k3-44"}"#;
        assert_eq!(
            reader.take(bye, None).unwrap(),
            Flow::Again(Duration::from_millis(730))
        );
        let bye = r#"{"type":"bye","code":3502,"reason":"forbidden","reconnect":false}"#;
        assert!(matches!(reader.take(bye, None), Err(Trouble::Final(_))));
        assert!(matches!(
            reader.take("<html>", None),
            Err(Trouble::Final(_))
        ));
    }
}
