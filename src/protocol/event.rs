//! One event with its id and its encoded forms. Each form is encoded once and shared by all readers.
//!
//! Knows the JSON frame of an event, but not the framing of a wire, which the transports pass in.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{ChannelName, Code, DATA_DEPTH_MAX, Ledger, NAME_BYTES_MAX, Refusal};
use crate::protocol::cursor::{Cursor, Epoch};

/// The memory of one event besides its data, in bytes: the structure, its reference in the log and allocator slack.
/// Measured and rounded up.
const EVENT_OVERHEAD_BYTES: usize = 400;

/// The size of an event frame around its data, in bytes: member names, id and time.
const JSON_WORDS_BYTES: usize = 144;

/// The data of an event: a JSON text kept as it was sent, or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A JSON value as text, without line ends between tokens.
    Json(Bytes),
    /// Opaque bytes.
    Bytes(Bytes),
}

impl Data {
    /// Checks that `text` is one JSON value. Keeps the text as sent, so numbers stay exact.
    ///
    /// # Errors
    /// `bad_json` with the place of the mistake.
    pub fn from_json(text: &[u8]) -> Result<Self, Refusal> {
        let value: &RawValue =
            serde_json::from_slice(text).map_err(|error| Refusal::bad_json(&error))?;
        Self::raw(value)
    }

    /// Returns data from a JSON value whose syntax is already checked.
    ///
    /// # Errors
    /// `bad_json` if the value is nested deeper than readers can parse.
    pub(crate) fn raw(value: &RawValue) -> Result<Self, Refusal> {
        let text = value.get();
        if is_too_deep(text.as_bytes()) {
            return Err(too_deep());
        }
        // Raw line ends can only be between tokens, because strings must escape them. A line end would end an SSE
        // block.
        if text.bytes().any(|byte| byte == b'\n' || byte == b'\r') {
            return Ok(Self::Json(
                text.bytes()
                    .filter(|byte| *byte != b'\n' && *byte != b'\r')
                    .collect(),
            ));
        }
        Ok(Self::Json(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// Returns a value of any type as JSON data.
    ///
    /// # Errors
    /// `bad_json` if JSON cannot represent the value, such as a map whose keys are lists, or if it is nested deeper
    /// than 120 levels.
    pub fn value(value: &impl Serialize) -> Result<Self, Refusal> {
        let text = serde_json::to_vec(value).map_err(|error| Refusal::bad_json(&error))?;
        if is_too_deep(&text) {
            return Err(too_deep());
        }
        Ok(Self::Json(text.into()))
    }

    /// Reads the data as a value of any type: the JSON text, or bytes that are JSON.
    ///
    /// ```
    /// use triway::Data;
    /// assert_eq!(Data::value(&[1, 2])?.json::<Vec<u8>>()?, [1, 2]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the data is not JSON, or has another shape.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        let (Self::Json(text) | Self::Bytes(text)) = self;
        serde_json::from_slice(text)
    }

    /// Returns a text as a JSON string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Json(json_string(text).into())
    }

    /// Returns the number of bytes that `--max-data` counts for data of this sent size. A JSON string counts the bytes
    /// of its text, which makes a text count the same in every form. Other data counts its sent bytes.
    #[must_use]
    pub(crate) fn counted(&self, sent: usize) -> usize {
        match self {
            Self::Json(json) => text_bytes(json).unwrap_or(sent),
            Self::Bytes(_) => sent,
        }
    }

    /// Returns the bytes of data, as the log counts them.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(data) | Self::Bytes(data) => data.len(),
        }
    }

    /// Reports whether the data is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The bytes of a text without the quotes and escapes of JSON; `None` where the JSON is no string, or one that no text
/// can be made of.
fn text_bytes(json: &[u8]) -> Option<usize> {
    let inside = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !inside.contains(&b'\\') {
        return Some(inside.len());
    }
    serde_json::from_slice::<String>(json)
        .ok()
        .map(|text| text.len())
}

fn too_deep() -> Refusal {
    let detail = "arrays and objects are nested more than 120 levels deep";
    Refusal::new(Code::BadJson, detail)
}

/// Reports whether a valid JSON text is nested deeper than [`DATA_DEPTH_MAX`].
fn is_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        if depth > DATA_DEPTH_MAX {
            return true;
        }
    }
    false
}

/// The name of an event. The default is `message`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct EventName(Option<Arc<str>>);

impl EventName {
    /// Checks a name.
    ///
    /// # Errors
    /// `bad_name` for `open` and `error` (an EventSource acts on them), for `$…` (the hub's), for control
    /// characters, and above 128 bytes.
    pub fn new(name: &str) -> Result<Self, Refusal> {
        match name {
            "" | "message" => Ok(Self(None)),
            "open" | "error" => Err(Refusal::bad_name(
                "browsers reserve the event names `open` and `error`",
            )),
            _ if name.starts_with('$') => Err(Refusal::bad_name(
                "names that begin with `$` are reserved for the hub",
            )),
            _ if name.len() > NAME_BYTES_MAX => {
                Err(Refusal::bad_name("the name is longer than 128 bytes"))
            }
            _ if name.chars().any(char::is_control) => {
                Err(Refusal::bad_name("the name contains a control character"))
            }
            _ => Ok(Self(Some(Arc::from(name)))),
        }
    }

    /// Returns one of the hub's own names, such as `join`.
    #[must_use]
    pub(crate) fn of_hub(name: &'static str) -> Self {
        Self(Some(Arc::from(name)))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("message")
    }

    /// Reports whether it is the default name, which an event stream omits.
    #[must_use]
    pub(crate) fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

/// An event without its number and its time yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The target channel.
    pub channel: ChannelName,
    /// Its name.
    pub name: EventName,
    /// Its data.
    pub data: Data,
    /// The user id, else the session id, of its publisher; absent for server grants.
    pub from: Option<Arc<str>>,
    /// The session that published it, for readers with `echo=0`.
    pub session: Option<Arc<str>>,
    /// Bytes of the data as it was sent: a text may be longer as a JSON string.
    pub sent_bytes: usize,
}

/// The wire forms in which an event is kept once encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireForm {
    /// The frame as JSON, as polls, histories and replies carry it.
    Json,
    /// One whole WebSocket frame of format `full`.
    WsFull,
    /// One whole WebSocket frame of format `data`.
    WsData,
    /// One event-stream block of format `full`.
    SseFull,
    /// One event-stream block of format `data`.
    SseData,
}

/// How many wire forms there are.
pub(crate) const WIRE_FORMS: usize = 5;

/// A published event with its id.
#[derive(Debug)]
pub struct Event {
    /// The cursor just after this event.
    pub id: Cursor,
    /// The channel of the event.
    pub channel: ChannelName,
    /// Its name.
    pub name: EventName,
    /// Its data.
    pub data: Data,
    /// The publisher, as readers see it.
    pub from: Option<Arc<str>>,
    /// The session that published it. Never visible to readers.
    pub session: Option<Arc<str>>,
    /// Milliseconds since 1970. Within a hub, the time never decreases.
    pub time_ms: u64,
    wire: [OnceLock<Bytes>; WIRE_FORMS],
    pub(super) ledger: Ledger,
    held_bytes: AtomicUsize,
}

impl Event {
    /// Creates an event from a draft, its number and its time. The ledger counts its bytes until the event is dropped.
    #[doc(hidden)]
    #[must_use]
    pub fn new(draft: Draft, epoch: Epoch, offset: u64, time_ms: u64, ledger: &Ledger) -> Self {
        let bytes = draft.data.len() + EVENT_OVERHEAD_BYTES;
        ledger.add(bytes);
        Self {
            id: Cursor { epoch, offset },
            channel: draft.channel,
            name: draft.name,
            data: draft.data,
            from: draft.from,
            session: draft.session,
            time_ms,
            wire: Default::default(),
            ledger: ledger.clone(),
            held_bytes: AtomicUsize::new(bytes),
        }
    }

    /// Returns the bytes of memory that this event holds now, including its encoded forms.
    #[must_use]
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Returns the approximate size of the event as a frame, in bytes.
    #[must_use]
    pub(crate) fn frame_bytes(&self) -> usize {
        let data = match &self.data {
            Data::Json(text) => text.len(),
            Data::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
        };
        let words = self.channel.as_str().len() + self.name.as_str().len();
        let from = self.from.as_ref().map_or(0, |from| from.len());
        data + words + from + JSON_WORDS_BYTES
    }

    /// Returns the event in a wire form. `encode` encodes it on first use; later uses share the result.
    pub(crate) fn wire<B: Into<Bytes>>(
        &self,
        form: WireForm,
        encode: impl FnOnce(&Self) -> B,
    ) -> Bytes {
        let made = self.wire[form as usize].get_or_init(|| {
            let bytes = encode(self).into();
            self.ledger.add(bytes.len());
            self.held_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
            bytes
        });
        made.clone()
    }

    /// Returns the event frame as JSON.
    #[doc(hidden)]
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.wire(WireForm::Json, |event| event.encode_json(true))
    }

    /// Writes the event frame as JSON. The binary shape of a WebSocket omits the data.
    #[doc(hidden)]
    #[must_use]
    pub fn encode_json(&self, with_data: bool) -> Vec<u8> {
        let data_bytes = match &self.data {
            _ if !with_data => 0,
            Data::Json(text) => text.len(),
            Data::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
        };
        let words = self.channel.as_str().len() + self.name.as_str().len();
        let from = self.from.as_ref().map_or(0, |from| from.len());
        // Spare capacity would stay allocated as long as the event, without being counted.
        let mut out = Vec::with_capacity(data_bytes + words + from + JSON_WORDS_BYTES);
        // Writing to memory cannot fail.
        let _ = write!(
            out,
            "{{\"type\":\"event\",\"id\":\"{}\",\"channel\":",
            self.id
        );
        push_json(&mut out, self.channel.as_str());
        out.extend_from_slice(b",\"name\":");
        push_json(&mut out, self.name.as_str());
        match &self.data {
            _ if !with_data => {}
            Data::Json(text) => {
                out.extend_from_slice(b",\"data\":");
                out.extend_from_slice(text);
            }
            Data::Bytes(bytes) => {
                out.extend_from_slice(b",\"data64\":\"");
                out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                out.push(b'"');
            }
        }
        if let Some(from) = &self.from {
            out.extend_from_slice(b",\"from\":");
            push_json(&mut out, from);
        }
        let _ = write!(out, ",\"time\":{}}}", self.time_ms);
        out
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.ledger.remove(*self.held_bytes.get_mut());
    }
}

/// Appends a text as a JSON string, including its quotes.
fn push_json(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text always serialises");
}

/// Returns a text as a JSON string without spare capacity.
pub(super) fn json_string(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_json(&mut out, text);
    out.shrink_to_fit();
    String::from_utf8(out).expect("a text stays one")
}

#[cfg(test)]
mod tests;
