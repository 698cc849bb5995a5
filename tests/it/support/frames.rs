//! The frames of each transport: messages, blocks and responses, as JSON values and as raw text.
//!
//! This file knows no connection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use triway::internal::Frame;

use super::End;

/// The frame as a value. Its bytes must be those of the frame's type.
pub(super) fn value_of(text: &str) -> serde_json::Result<Value> {
    if let Some(typed) = Frame::parse(text)?.json() {
        assert_eq!(text, typed, "the hub writes what the type does");
    }
    serde_json::from_str(text)
}

/// Returns the frame in a WebSocket message. In a binary message, the data follows the JSON. Messages without a JSON
/// frame become `{"type":"text"}` and `{"type":"binary"}`.
pub(super) fn frame_of(message: Message) -> Result<Option<(Value, String)>, End> {
    match message {
        Message::Text(text) => match value_of(&text) {
            Ok(frame) if frame["type"].is_string() => Ok(Some((frame, text.to_string()))),
            _ => {
                let bare = json!({"type": "text", "data": text.as_str()});
                Ok(Some((bare, text.to_string())))
            }
        },
        Message::Binary(bytes) => {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let header = end.and_then(|end| value_of(str::from_utf8(&bytes[..end]).ok()?).ok());
            if let (Some(end), Some(mut frame)) = (end, header) {
                frame["data64"] = STANDARD.encode(&bytes[end + 1..]).into();
                let raw = String::from_utf8_lossy(&bytes[..end]).into_owned();
                return Ok(Some((frame, raw)));
            }
            let data = STANDARD.encode(&bytes);
            let bare = json!({"type": "binary", "data64": data});
            Ok(Some((bare, String::new())))
        }
        Message::Close(Some(close)) => {
            Err(End::Closed(close.code.into(), close.reason.as_str().into()))
        }
        Message::Close(None) => Err(End::Closed(1005, String::new())),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
    }
}

/// Splits chunks of any length into event-stream blocks, as the WHATWG describes for LF line ends.
#[derive(Default)]
pub(super) struct Blocks {
    rest: Vec<u8>,
}

impl Blocks {
    /// Returns the frames if the format is full. Otherwise returns `{"type":"block","id","event","data"}`, also for
    /// blocks that have only an id.
    pub(super) fn take(&mut self, chunk: &[u8], is_full: bool) -> Vec<(Value, String)> {
        self.rest.extend_from_slice(chunk);
        let mut blocks = Vec::new();
        let mut from = 0;
        while let Some(length) = self.rest[from..]
            .windows(2)
            .position(|pair| pair == b"\n\n")
        {
            let block = String::from_utf8(self.rest[from..from + length].to_vec()).unwrap();
            blocks.extend(parse_block(&block, is_full));
            from += length + 2;
        }
        self.rest.drain(..from);
        blocks
    }
}

fn parse_block(block: &str, is_full: bool) -> Option<(Value, String)> {
    let (mut id, mut event, mut data) = (None, None, None::<String>);
    for line in block.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => id = Some(value),
            "event" => event = Some(value),
            "data" => match &mut data {
                Some(data) => *data += &format!("\n{value}"),
                None => data = Some(value.to_owned()),
            },
            "" | "retry" => {}
            _ => panic!("an unknown field in {block:?}"),
        }
    }
    if !is_full {
        let is_something = id.is_some() || data.is_some();
        let bare = json!({"type": "block", "id": id, "event": event, "data": data});
        return is_something.then(|| (bare, block.to_owned()));
    }
    let data = data?;
    let frame = value_of(&data).unwrap();
    if frame["type"] != "reply" {
        assert_eq!(
            frame["id"].as_str(),
            id,
            "the block of a frame carries its id"
        );
    }
    Some((frame, data))
}
