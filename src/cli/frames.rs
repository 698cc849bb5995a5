//! Handles the frames that `triway sub` receives: prints events, reports gaps, and keeps the cursor.
//!
//! Knows no transport. The rules are in `docs/protocol.md`, Ids and cursors.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::protocol::cursor::Cursor;
use crate::protocol::{
    ByeFrame, ChannelName, EventFrame, Frame, Gap, GapReason, Hello, MAGIC, RefusedEntry,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;

use super::outlet::{ReaderGone, print, tell};
use super::remote::Trouble;

/// The heartbeat until the hub's hello states it.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Time beyond two heartbeats, for slow networks.
const SILENCE_MARGIN: Duration = Duration::from_secs(5);

/// How an event is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// The event as JSON: id, channel, name, data, …
    Full,
    /// The data alone: text as it is, JSON as JSON, bytes as base64
    Data,
}

/// Whether to continue reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    /// The requested number of events was printed, or standard output is closed.
    Enough,
    /// The hub ended this attachment and stated when to reconnect.
    Again(Duration),
}

/// One reader, across all its attachments.
#[derive(Debug)]
pub(super) struct FrameReader {
    format: OutputFormat,
    left: Option<u64>,
    cursor: Option<Cursor>,
    /// The last id of each channel. An attachment may repeat events of an earlier one.
    places: HashMap<ChannelName, Cursor>,
    /// Channels that were refused, each reported once.
    refused: HashSet<String>,
    session: Option<String>,
    heartbeat: Duration,
    greeted: bool,
}

impl FrameReader {
    pub(super) fn new(format: OutputFormat, count: Option<u64>) -> Self {
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

    /// Prepares for a new attachment. Returns whether the last one received anything from the hub.
    pub(super) fn reopen(&mut self) -> bool {
        std::mem::take(&mut self.greeted)
    }

    /// Returns the cursor to continue from, if anything was received.
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

    /// Returns how long the hub may be silent before the connection is given up.
    pub(super) fn silence_limit(&self) -> Duration {
        self.heartbeat * 2 + SILENCE_MARGIN
    }

    /// Handles one frame of JSON. `bytes` is the data of a binary event.
    pub(super) fn take(&mut self, text: &str, bytes: Option<&[u8]>) -> Result<Flow, Trouble> {
        let not_ours = |_| Trouble::Final("the answer is not from a triway hub".into());
        match Frame::parse(text).map_err(not_ours)? {
            Frame::Hello(hello) => self.hello(*hello)?,
            Frame::Event(event) => return self.event(&event, text, bytes),
            Frame::Gap(gap) => self.gap(gap),
            Frame::Ping(ping) => self.move_to(ping.id),
            Frame::Refused(refused) => self.refused(&refused.channels),
            Frame::Bye(bye) => return self.bye(&bye),
            Frame::Reply(_) | Frame::Unknown => {}
        }
        Ok(Flow::On)
    }

    fn hello(&mut self, hello: Hello) -> Result<(), Trouble> {
        let magic = hello.magic;
        if magic != MAGIC {
            return Err(Trouble::Final(format!(
                "this hub speaks {magic}, we speak {MAGIC}"
            )));
        }
        self.move_to(hello.id);
        self.session = Some(hello.session.key);
        self.heartbeat = Duration::from_secs(hello.heartbeat_s);
        Ok(())
    }

    fn event(
        &mut self,
        event: &EventFrame<'_>,
        text: &str,
        bytes: Option<&[u8]>,
    ) -> Result<Flow, Trouble> {
        self.move_to(event.id);
        if self.is_seen(&event.channel, event.id) {
            return Ok(Flow::On);
        }
        self.places.insert(event.channel.clone(), event.id);
        let line = match self.format {
            OutputFormat::Full => full_line(text, bytes),
            OutputFormat::Data => data_line(event, bytes),
        };
        // `print` flushes each line, for pipes.
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

    fn bye(&mut self, bye: &ByeFrame<'_>) -> Result<Flow, Trouble> {
        if let Some(id) = bye.id {
            self.move_to(id);
        }
        if bye.reconnect {
            let after_ms = bye.after_ms.unwrap_or(0);
            return Ok(Flow::Again(Duration::from_millis(after_ms)));
        }
        let ended = || format!("ended by the hub: {} {}", bye.code, bye.reason);
        let refused = bye.error.as_ref().map(ToString::to_string);
        Err(Trouble::Final(refused.unwrap_or_else(ended)))
    }

    fn refused(&mut self, channels: &[RefusedEntry<'_>]) {
        for RefusedEntry { channel, error } in channels {
            if self.refused.insert(channel.to_string()) {
                tell(format_args!("cannot read `{channel}`: {error}"));
            }
        }
    }

    /// Reports a gap. The cursor does not move if another channel's gap with the same id follows.
    fn gap(&mut self, gap: Gap) {
        if !gap.more {
            self.move_to(gap.id);
        }
        if !self.is_seen(&gap.channel, gap.id) {
            tell(format_args!(
                "gap in {}: the hub discarded events before they were read ({})",
                gap.channel,
                GapReason::as_str(gap.reason)
            ));
            self.places.insert(gap.channel, gap.id);
        }
    }

    fn is_seen(&self, channel: &ChannelName, id: Cursor) -> bool {
        self.places
            .get(channel)
            .is_some_and(|place| place.epoch == id.epoch && id.offset <= place.offset)
    }
}

/// Returns the event as one line of JSON. Binary data becomes the field `data64`.
fn full_line(text: &str, bytes: Option<&[u8]>) -> String {
    match (bytes, text.trim_end().strip_suffix('}')) {
        (Some(bytes), Some(open)) => format!("{open},\"data64\":\"{}\"}}", STANDARD.encode(bytes)),
        _ => text.to_owned(),
    }
}

/// Returns the data as one line. Text with line breaks is printed as a JSON string, so that each line is one event.
fn data_line(event: &EventFrame<'_>, bytes: Option<&[u8]>) -> String {
    if let Some(bytes) = bytes {
        return STANDARD.encode(bytes);
    }
    let Some(data) = event.data else {
        return event.data64.as_deref().unwrap_or_default().to_owned();
    };
    match serde_json::from_str::<String>(data.get()) {
        Ok(plain) if !plain.contains(['\n', '\r']) => plain,
        _ => data.get().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        r#"{"type":"event","id":"k3-42","channel":"lobby","name":"m","data":"a\nb","time":1}"#;

    /// Returns the line of an event in format `data`.
    fn line(event: &str, bytes: Option<&[u8]>) -> String {
        match Frame::parse(event) {
            Ok(Frame::Event(event)) => data_line(&event, bytes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn data_is_one_line_whatever_it_is() {
        let of = |data: &str| line(&EVENT.replace(r#""a\nb""#, data), None);
        assert_eq!(of(r#""plain \"text\"""#), "plain \"text\"");
        assert_eq!(of(r#""a\nb""#), r#""a\nb""#);
        assert_eq!(of(r#"{"n":1.0}"#), r#"{"n":1.0}"#);
        assert_eq!(of("null"), "null");
        let bytes = EVENT.replace(r#""data":"a\nb""#, r#""data64":"AAE=""#);
        assert_eq!(line(&bytes, None), "AAE=");
        assert_eq!(line(EVENT, Some(&[0, 1])), "AAE=");
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
            assert_eq!(line(&event, None), data);
            let mut reader = FrameReader::new(OutputFormat::Full, Some(2));
            assert_eq!(reader.take(&event, None).unwrap(), Flow::On, "{data}");
        }
    }

    #[test]
    fn an_event_counts_once() {
        let mut reader = FrameReader::new(OutputFormat::Full, Some(2));
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
        let mut reader = FrameReader::new(OutputFormat::Full, None);
        reader.take(EVENT, None).unwrap();
        let gap =
            r#"{"type":"gap","channel":"lobby","after":"k3-42","reason":"restart","id":"new-1"}"#;
        assert_eq!(reader.take(gap, None).unwrap(), Flow::On);
        assert_eq!(reader.places["lobby"], "new-1".parse().unwrap());
    }

    #[test]
    fn a_bye_says_whether_to_come_again() {
        let mut reader = FrameReader::new(OutputFormat::Full, None);
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
