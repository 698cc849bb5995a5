//! Events and last words as frames of a WebSocket, in both formats.

use bytes::Bytes;

use super::frame;
use crate::protocol::{Bye, Data, Event, Format, WireForm};
use crate::transport::{Wording, join};

/// Bytes of the longest header of a frame that a server writes.
const HEADER_BYTES_MAX: usize = 10;

/// The bye frame, and the close with the same code.
pub(super) fn farewell(bye: &Bye, format: Format) -> Vec<Bytes> {
    let (code, reason) = bye.reason.facts();
    let reason = bye
        .refusal
        .as_ref()
        .map_or(reason, |refusal| refusal.code.as_str());
    let close = frame::close_frame(code, reason);
    match format {
        Format::Full => vec![frame::text_frame(&bye.json()), close],
        Format::Data => vec![close],
    }
}

/// One event.
pub(super) fn event_frame(event: &Event, format: Format) -> Bytes {
    match format {
        Format::Full => event.wire(WireForm::WsFull, encode_full),
        Format::Data => event.wire(WireForm::WsData, encode_data),
    }
}

/// How the newest events are worded.
pub(super) fn run_frames(format: Format) -> Wording {
    match format {
        Format::Full => |run| run.wire(WireForm::WsFull, encode_full, join),
        Format::Data => |run| run.wire(WireForm::WsData, encode_data, join),
    }
}

fn encode_full(event: &Event) -> Bytes {
    match &event.data {
        Data::Json(_) => text_frame(&event.encode_json(true)),
        Data::Bytes(bytes) => frame::binary_frame(&[&event.encode_json(false), b"\n", bytes]),
    }
}

fn encode_data(event: &Event) -> Bytes {
    match &event.data {
        Data::Bytes(bytes) => frame::binary_frame(&[bytes]),
        Data::Json(json) => match serde_json::from_slice::<String>(json) {
            Ok(text) => frame::text_frame(&text),
            Err(_) => text_frame(json),
        },
    }
}

/// A text message of what is known to be UTF-8.
fn text_frame(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len() + HEADER_BYTES_MAX);
    frame::text_header(text.len(), &mut out);
    out.extend_from_slice(text);
    out.into()
}
