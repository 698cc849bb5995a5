//! The floor's answers: the same bytes as triway's, with constant parts prepared.
//!
//! The lengths equal triway's too: ids, keys and dates are texts of the same length.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// The epoch of every id. It is as long as triway's.
pub(super) const EPOCH: &str = "fl00r000";
const SESSION: &str = "sfl00r0000000000000000000f";
const KEY: &str =
    "eyJpIjoic2Zsb29yMDAwMDAwMDAwMDAwMDAwMDAwMDAiLCJ4IjoxNzk1MTkwNTMwfQ.floor0floor0floor0floo";
const COMMON: &str = "access-control-allow-credentials: true\r\naccess-control-expose-headers: retry-after,allow\r\nx-content-type-options: nosniff\r\nvary: Origin, Authorization, Cookie\r\n";
/// The date of all answers. Reading the clock is not part of a floor.
const DATE: &str = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
/// Payload size from which a WebSocket frame encodes its length in two bytes.
const TWO_BYTES: usize = 126;

/// The prepared parts.
pub(super) struct Words {
    poll_head: Vec<u8>,
}

/// An event to encode.
pub(super) struct Event<'a> {
    pub(super) offset: u64,
    pub(super) channel: &'a str,
    pub(super) data: &'a [u8],
    pub(super) has_sender: bool,
}

impl Default for Words {
    fn default() -> Self {
        let poll_head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store, no-transform\r\nx-accel-buffering: no\r\n{COMMON}{DATE}content-length: "
        );
        Self {
            poll_head: poll_head.into_bytes(),
        }
    }
}

impl Words {
    pub(super) fn event(&self, event: &Event<'_>) -> Vec<u8> {
        let Event {
            offset, channel, ..
        } = event;
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = time.map_or(0, |time| time.as_millis());
        let mut out = Vec::with_capacity(event.data.len() + 192);
        push(
            &mut out,
            format_args!(
                "{{\"type\":\"event\",\"id\":\"{EPOCH}-{offset}\",\"channel\":\"{channel}\",\"name\":\"message\",\"data\":"
            ),
        );
        out.extend_from_slice(event.data);
        if event.has_sender {
            push(&mut out, format_args!(",\"from\":\"{SESSION}\""));
        }
        push(&mut out, format_args!(",\"time\":{time}}}"));
        out
    }

    fn hello<S: AsRef<str>>(&self, offset: u64, channels: &[S], nonce: &str) -> String {
        let channels: Vec<&str> = channels.iter().map(AsRef::as_ref).collect();
        let channels = channels.join("\",\"");
        let nonce = if nonce.is_empty() {
            String::new()
        } else {
            format!("\"nonce\":\"{nonce}\",")
        };
        format!(
            "{{\"type\":\"hello\",\"magic\":\"triway/1\",{nonce}\"id\":\"{EPOCH}-{offset}\",\"session\":{{\"id\":\"{SESSION}\",\"key\":\"{KEY}\",\"expires\":1795190530}},\"heartbeat\":15,\"channels\":[\"{channels}\"],\"network\":\"f100ff\",\"build\":\"0.1.0\"}}"
        )
    }

    /// Returns the handshake and the hello.
    pub(super) fn ws_head<S: AsRef<str>>(
        &self,
        accept: Option<&str>,
        offset: u64,
        channels: &[S],
    ) -> Vec<u8> {
        let accept = accept.unwrap_or_default();
        let mut out = format!(
            "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\nconnection: upgrade\r\nupgrade: websocket\r\n{COMMON}cache-control: private, no-store\r\n{DATE}\r\n"
        )
        .into_bytes();
        push_ws(&mut out, self.hello(offset, channels, "").as_bytes());
        out
    }

    /// Returns the head of an event stream and the hello.
    pub(super) fn sse_head<S: AsRef<str>>(&self, offset: u64, channels: &[S]) -> Vec<u8> {
        let hello = self.hello(offset, channels, "");
        let block = format!("retry: 2000\n\n: triway/1\n\nid: {EPOCH}-{offset}\ndata: {hello}\n\n");
        let length = block.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache, no-store, no-transform\r\nx-accel-buffering: no\r\ncontent-encoding: identity\r\n{COMMON}transfer-encoding: chunked\r\n{DATE}\r\n{length:x}\r\n{block}\r\n"
        )
        .into_bytes()
    }

    /// Returns the answer to a poll without a cursor.
    pub(super) fn poll_hello<S: AsRef<str>>(
        &self,
        offset: u64,
        channels: &[S],
        nonce: &str,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let hello = self.hello(offset, channels, nonce);
        self.batch(&mut out, offset, nonce, hello.as_bytes());
        out
    }

    /// Writes the answer to a poll.
    pub(super) fn batch(&self, out: &mut Vec<u8>, offset: u64, nonce: &str, frames: &[u8]) {
        out.extend_from_slice(&self.poll_head);
        let nonce_bytes = if nonce.is_empty() {
            0
        } else {
            nonce.len() + ",\"nonce\":\"\"".len()
        };
        let cursor_bytes = EPOCH.len() + 1 + digits(offset);
        let words = "{\"cursor\":\"\",\"frames\":[]}".len();
        let length = words + cursor_bytes + nonce_bytes + frames.len();
        push(
            out,
            format_args!("{length}\r\n\r\n{{\"cursor\":\"{EPOCH}-{offset}\""),
        );
        if nonce_bytes > 0 {
            push(out, format_args!(",\"nonce\":\"{nonce}\""));
        }
        out.extend_from_slice(b",\"frames\":[");
        out.extend_from_slice(frames);
        out.extend_from_slice(b"]}");
    }

    /// Returns the answer to a POST that published.
    pub(super) fn published(&self, offset: u64, channel: &str, reached: [usize; 3]) -> Vec<u8> {
        let [ws, sse, poll] = reached;
        let body = format!(
            "{{\"id\":\"{EPOCH}-{offset}\",\"channel\":\"{channel}\",\"reached\":{{\"ws\":{ws},\"sse\":{sse},\"poll\":{poll}}}}}"
        );
        let length = body.len();
        format!(
            "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n{COMMON}cache-control: private, no-store\r\ncontent-length: {length}\r\n{DATE}\r\n{body}"
        )
        .into_bytes()
    }

    /// Returns the reply to a command that published.
    pub(super) fn reply(&self, number: Option<&str>, offset: u64, reached: [usize; 3]) -> Vec<u8> {
        let [ws, sse, poll] = reached;
        let number = number.map(|number| format!("\"ref\":{number},"));
        let number = number.unwrap_or_default();
        let text = format!(
            "{{\"type\":\"reply\",{number}\"ok\":true,\"id\":\"{EPOCH}-{offset}\",\"reached\":{{\"ws\":{ws},\"sse\":{sse},\"poll\":{poll}}}}}"
        );
        let mut out = Vec::with_capacity(text.len() + 4);
        push_ws(&mut out, text.as_bytes());
        out
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

fn push(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    out.write_fmt(words).expect("a Vec takes everything");
}

/// Writes a WebSocket text message.
pub(super) fn push_ws(out: &mut Vec<u8>, text: &[u8]) {
    out.push(0x81);
    if text.len() < TWO_BYTES {
        out.push(text.len() as u8);
    } else {
        let length = u16::try_from(text.len()).expect("the load's events are short");
        out.push(TWO_BYTES as u8);
        out.extend_from_slice(&length.to_be_bytes());
    }
    out.extend_from_slice(text);
}

/// Writes an event-stream block in one chunk.
pub(super) fn push_sse(out: &mut Vec<u8>, offset: u64, json: &[u8]) {
    let words = "id: -\ndata: \n\n".len();
    let length = words + EPOCH.len() + digits(offset) + json.len();
    push(
        out,
        format_args!("{length:x}\r\nid: {EPOCH}-{offset}\ndata: "),
    );
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n\r\n");
}
