//! Events and last frames of a WebSocket, in both formats.
//!
//! Knows no socket and no session.

use std::sync::Arc;

use bytes::Bytes;

use super::frame;
use crate::protocol::{
    Bye, Data, Encode, Event, EventForgotten, Format, PAGED_BYTES_MIN, Paged, WireForm,
};
use crate::transport::write_queue::WriteQueue;
use crate::transport::{EventEncoder, join};

/// Bytes of the longest header of a frame that a server writes.
const HEADER_BYTES_MAX: usize = 10;

/// Returns the bye frame, in the full format only, and the close with the same code.
pub(crate) fn farewell(bye: &Bye, format: Format) -> Vec<Bytes> {
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

/// Writes one event.
pub(crate) fn push_event(output: &mut WriteQueue, event: &Arc<Event>, format: Format) {
    let (form, encode): (_, Encode) = match format {
        Format::Full => (WireForm::WsFull, encode_full),
        Format::Data => (WireForm::WsData, encode_data),
    };
    if event.frame_bytes() > PAGED_BYTES_MIN {
        output.push_text(Paged::of_wire(event, form, encode, (0, 0)));
    } else {
        output.push(event.wire(form, encode));
    }
}

/// Writes a text as one message.
///
/// # Errors
/// [`EventForgotten`] if an event that belongs to the text is forgotten. Nothing is written then.
pub(crate) fn push_text(output: &mut WriteQueue, text: Paged) -> Result<(), EventForgotten> {
    let mut header = Vec::with_capacity(HEADER_BYTES_MAX);
    frame::text_header(text.len(), &mut header);
    if text.is_large() {
        output.push(header.into());
        output.push_text(text);
        return Ok(());
    }
    header.extend_from_slice(&text.whole()?);
    output.push(header.into());
    Ok(())
}

/// Returns how the newest events are encoded.
pub(crate) fn run_frames(format: Format) -> EventEncoder {
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

/// Returns a text message of bytes that are known to be UTF-8.
fn text_frame(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len() + HEADER_BYTES_MAX);
    frame::text_header(text.len(), &mut out);
    out.extend_from_slice(text);
    out.into()
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::protocol::{ChannelName, Draft, EventName, Ledger};

    #[test]
    fn a_reply_whose_event_is_forgotten_writes_nothing() {
        let draft = Draft {
            channel: ChannelName::new("a").unwrap(),
            name: EventName::default(),
            data: Data::text("x"),
            from: None,
            session: None,
            sent_bytes: 1,
        };
        let event = Event::new(draft, "e".parse().unwrap(), 1, 0, &Ledger::default());
        let event = Arc::new(event);
        let reply = || {
            let mut reply = Paged::from("[".to_owned());
            reply.events([&event].into_iter());
            reply.words("]");
            reply
        };
        let mut output = WriteQueue::new(&Counter::default());
        assert_eq!(push_text(&mut output, reply()), Ok(()));
        assert!(!output.is_empty());
        let mut output = WriteQueue::new(&Counter::default());
        let late = reply();
        drop(event);
        assert_eq!(push_text(&mut output, late), Err(EventForgotten));
        assert!(output.is_empty(), "no header of a message that never comes");
    }
}
