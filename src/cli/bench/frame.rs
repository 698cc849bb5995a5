//! Frames as the load generator reads them: only what is needed to judge a delivery.
//!
//! The load generator must not be slower than the hub. A frame in this hub's own format is therefore compared with the
//! expected bytes instead of parsed. Any other frame is parsed with the types of the protocol.

use crate::protocol::{Frame, PollAnswer};
use anyhow::{Context, bail};
use memchr::memmem;
use serde_json::value::RawValue;

/// The beginning of an event's frame, up to its id.
const EVENT_HEAD: &[u8] = br#"{"type":"event","id":""#;
/// The beginning of any frame.
const FRAME_HEAD: &[u8] = br#"{"type":""#;
/// The beginning of a poll's response.
const ANSWER_HEAD: &[u8] = br#"{"cursor":""#;
/// Digits of an event's number, which is the beginning of its data. `EVENTS_MAX` needs one digit less.
pub(super) const NUMBER_DIGITS: usize = 8;
/// The most characters of a response that an error shows.
const SHOWN_CHARACTERS: usize = 300;

/// What a frame means to the load generator.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Number and offset of an event that this bench published.
    Event(u32, u64),
    /// The reader is connected and has this session key.
    Hello(String),
    /// Events were discarded.
    Gap,
    /// A ping, or a successful reply.
    Nothing,
}

/// A poll's response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PollFrames {
    pub(super) cursor: String,
    pub(super) frames: Vec<Meaning>,
}

/// Parses the frames of one channel.
#[derive(Clone, Debug)]
pub(super) struct ExpectedEvent {
    /// The bytes between id and number.
    middle: Vec<u8>,
}

/// Returns the data of an event as JSON: its number, padded to `bytes`.
pub(super) fn data(number: u32, bytes: usize) -> String {
    let filling = bytes.saturating_sub(NUMBER_DIGITS);
    format!("\"{number:0NUMBER_DIGITS$}{}\"", ".".repeat(filling))
}

/// Returns the beginning of the hub's response, for an error.
pub(super) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .chars()
        .take(SHOWN_CHARACTERS)
        .collect()
}

impl ExpectedEvent {
    pub(super) fn new(channel: &str) -> Self {
        Self {
            middle: format!(r#"","channel":"{channel}","name":"message","data":""#).into_bytes(),
        }
    }

    /// Parses one frame.
    pub(super) fn frame(&self, text: &[u8]) -> anyhow::Result<Meaning> {
        match self.event(text) {
            Some(event) => Ok(event),
            None => parsed(text),
        }
    }

    /// Parses an event in this hub's own format. More bytes may follow it.
    fn event(&self, text: &[u8]) -> Option<Meaning> {
        let text = text.strip_prefix(EVENT_HEAD)?;
        let dash = memchr::memchr(b'-', text)?;
        let (offset, text) = digits(&text[dash + 1..])?;
        let text = text.strip_prefix(&self.middle[..])?;
        let (number, _) = digits(text.get(..NUMBER_DIGITS)?)?;
        Some(Meaning::Event(u32::try_from(number).ok()?, offset))
    }

    /// Parses the response to the poll with this nonce.
    pub(super) fn answer(&self, text: &[u8], nonce: &str) -> anyhow::Result<PollFrames> {
        match self.quick_answer(text, nonce) {
            Some(answer) => Ok(answer),
            None => parsed_answer(text, nonce),
        }
    }

    fn quick_answer(&self, text: &[u8], nonce: &str) -> Option<PollFrames> {
        let text = text.strip_prefix(ANSWER_HEAD)?;
        let (cursor, text) = text.split_at(memchr::memchr(b'"', text)?);
        let text = text.strip_prefix(br#"","nonce":""#)?;
        let mut text = text.strip_prefix(nonce.as_bytes())?;
        let mut frames = Vec::new();
        while let Some(place) = memmem::find(text, FRAME_HEAD) {
            text = &text[place..];
            frames.push(self.event(text)?);
            text = &text[FRAME_HEAD.len()..];
        }
        Some(PollFrames {
            cursor: str::from_utf8(cursor).ok()?.to_owned(),
            frames,
        })
    }
}

/// Returns the leading digits as a number, and the bytes after them.
fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let number = str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, &text[end..]))
}

fn parsed(text: &[u8]) -> anyhow::Result<Meaning> {
    let not_ours = || format!("not a frame of a triway hub: {}", shown(text));
    let frame = str::from_utf8(text).with_context(not_ours)?;
    match Frame::parse(frame).with_context(not_ours)? {
        Frame::Event(event) => {
            let data = event.data.map(RawValue::get).unwrap_or_default();
            let number = data.trim_start_matches('"').as_bytes();
            let Some((number, _)) = number.get(..NUMBER_DIGITS).and_then(digits) else {
                bail!("this bench did not publish this event: {}", shown(text));
            };
            Ok(Meaning::Event(u32::try_from(number)?, event.id.offset))
        }
        Frame::Hello(hello) => Ok(Meaning::Hello(hello.session.key)),
        Frame::Gap(_) => Ok(Meaning::Gap),
        Frame::Reply(reply) if !reply.ok => {
            bail!("a publish was refused: {}", shown(text))
        }
        Frame::Bye(_) => bail!("the hub closed a reader: {}", shown(text)),
        _ => Ok(Meaning::Nothing),
    }
}

fn parsed_answer(text: &[u8], nonce: &str) -> anyhow::Result<PollFrames> {
    let answer: PollAnswer<'_> = serde_json::from_slice(text)
        .with_context(|| format!("not the answer to a poll: {}", shown(text)))?;
    if answer.nonce.as_deref() != Some(nonce) {
        bail!("the answer to another poll, from a cache: {}", shown(text));
    }
    let frames = answer
        .frames
        .iter()
        .map(|frame| parsed(frame.get().as_bytes()));
    Ok(PollFrames {
        cursor: answer.cursor.to_string(),
        frames: frames.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u32, offset: u64) -> String {
        let data = data(number, 32);
        format!(
            r#"{{"type":"event","id":"k3x9q2-{offset}","channel":"b","name":"message","data":{data},"from":"s8f3","time":1795169188123}}"#
        )
    }

    #[test]
    fn data_is_as_long_as_asked() {
        assert_eq!(data(42, 32), format!("\"00000042{}\"", ".".repeat(24)));
        assert_eq!(data(7, 0), "\"00000007\"");
        assert_eq!(data(7, 70_000).len(), 70_002);
    }

    #[test]
    fn the_quick_way_and_the_parser_agree() {
        let expected = ExpectedEvent::new("b");
        let text = event(42, 1007);
        let quick = expected.event(text.as_bytes()).unwrap();
        assert_eq!(quick, Meaning::Event(42, 1007));
        assert_eq!(parsed(text.as_bytes()).unwrap(), quick);

        let answer = format!(
            r#"{{"cursor":"k3x9q2-1008","nonce":"n1","more":true,"frames":[{},{}]}}"#,
            event(42, 1007),
            event(43, 1008)
        );
        let quick = expected.quick_answer(answer.as_bytes(), "n1").unwrap();
        assert_eq!(
            quick.frames,
            [Meaning::Event(42, 1007), Meaning::Event(43, 1008)]
        );
        assert_eq!(quick.cursor, "k3x9q2-1008");
        assert_eq!(parsed_answer(answer.as_bytes(), "n1").unwrap(), quick);
    }

    #[test]
    fn what_is_written_in_another_way_is_parsed() {
        let expected = ExpectedEvent::new("b");
        let spaced = event(42, 1007).replace(":", ": ");
        assert_eq!(expected.event(spaced.as_bytes()), None);
        let frame = expected.frame(spaced.as_bytes()).unwrap();
        assert_eq!(frame, Meaning::Event(42, 1007));
        let mixed = format!(
            r#"{{"cursor":"e-9","nonce":"n","frames":[{{"type":"gap","channel":"b","reason":"evicted","id":"e-8"}},{}]}}"#,
            event(1, 9)
        );
        let answer = expected.answer(mixed.as_bytes(), "n").unwrap();
        assert_eq!(answer.frames, [Meaning::Gap, Meaning::Event(1, 9)]);
    }

    #[test]
    fn a_cached_answer_a_refusal_and_a_bye_are_complaints() {
        let expected = ExpectedEvent::new("b");
        let cached = expected.answer(br#"{"cursor":"e-9","nonce":"old","frames":[]}"#, "new");
        assert!(cached.unwrap_err().to_string().contains("cache"));
        for text in [
            &br#"{"type":"reply","ok":false,"error":{"code":"forbidden"}}"#[..],
            br#"{"type":"bye","code":3001,"reason":"drain"}"#,
            b"hello",
        ] {
            assert!(expected.frame(text).is_err());
        }
        let reply = expected.frame(br#"{"type":"reply","ok":true,"id":"e-1"}"#);
        assert_eq!(reply.unwrap(), Meaning::Nothing);
    }
}
