//! Server-Sent Events: `Outgoing` items as event-stream blocks. Each event's block is encoded once.
//!
//! Does not know how its bytes are written, nor any other transport.

use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{EventEncoder, FanoutEncoder, Frames, Piece, RequestFacts, chunk};
use crate::hub::feed::{Batch, Item};
use crate::hub::{Items, SharedBatch};
use crate::protocol::cursor::Cursor;
use crate::protocol::{Bye, Data, Encode, Event, Format, Gap, Ping, WireForm};
use crate::session::{Attachment, Outgoing};

/// The media type of an event stream.
pub(crate) const CONTENT_TYPE: &str = "text/event-stream";
/// How long a browser waits before it reconnects, in milliseconds. Firefox's default is long.
const RETRY_MS: u32 = 2_000;

/// The stream of one reader.
pub(crate) struct SseStream {
    attach: Attachment,
    phase: SsePhase,
}

enum SsePhase {
    Opening(RequestFacts),
    Running,
    Over,
}

impl SseStream {
    pub(crate) fn new(attach: Attachment, facts: RequestFacts) -> Self {
        Self {
            attach,
            phase: SsePhase::Opening(facts),
        }
    }

    fn attach_request(&mut self, facts: RequestFacts) -> Bytes {
        let cursor = self.attach.start();
        let head = format!("retry: {RETRY_MS}\n\n: triway/1\n\n");
        let hello = match self.attach.format() {
            Format::Full => block_of_frame(Some(cursor), &self.attach.hello(facts.client)),
            Format::Data => id_block(cursor),
        };
        let refused = self.attach.refused_frame();
        let refused = refused.map(|frame| refused_block(&frame, self.attach.format()));
        self.attach.forget_opening();
        Bytes::from(head + &hello + &refused.unwrap_or_default())
    }
}

impl Frames for SseStream {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        match std::mem::replace(&mut self.phase, SsePhase::Running) {
            SsePhase::Opening(facts) => {
                return Poll::Ready(Some(Piece::Bytes(self.attach_request(facts))));
            }
            SsePhase::Running => {}
            SsePhase::Over => return Poll::Ready(None),
        }
        let format = self.attach.format();
        let Poll::Ready(turn) = self.attach.poll_outgoing(cx) else {
            return Poll::Pending;
        };
        let bytes = match turn {
            Outgoing::Batch(batch) => return Poll::Ready(Some(batch_chunk(&batch, format))),
            Outgoing::Ping(ping) => ping_block(&ping, format).into(),
            Outgoing::Reply(reply) => block_of_frame(None, &reply).into(),
            Outgoing::Held(cursor) => id_block(cursor).into(),
            Outgoing::Bye(bye) => {
                self.phase = SsePhase::Over;
                bye_block(&bye, format).into()
            }
        };
        Poll::Ready(Some(Piece::Bytes(bytes)))
    }

    fn is_caught_up(&self) -> bool {
        self.attach.is_caught_up()
    }

    fn narrow(&mut self) {
        self.attach.narrow();
    }

    fn fanout_encoder(&mut self) -> Option<(&mut Attachment, FanoutEncoder)> {
        let chunk = run_chunk(self.attach.format());
        Some((&mut self.attach, FanoutEncoder::Each(chunk)))
    }
}

/// Returns the encoder of the newest events.
fn run_chunk(format: Format) -> EventEncoder {
    match format {
        Format::Full => full_chunk,
        Format::Data => data_chunk,
    }
}

fn full_chunk(run: &SharedBatch) -> Bytes {
    run.wire(WireForm::SseFull, encode_full_chunk, Piece::join)
}

fn data_chunk(run: &SharedBatch) -> Bytes {
    run.wire(WireForm::SseData, encode_data_chunk, Piece::join)
}

fn encode_full_chunk(event: &Event) -> Bytes {
    chunk(&[&encode_full(event)])
}

fn encode_data_chunk(event: &Event) -> Bytes {
    chunk(&[&encode_data(event)])
}

fn batch_chunk(batch: &Batch, format: Format) -> Piece {
    let (form, encode): (_, Encode) = match format {
        Format::Full => (WireForm::SseFull, encode_full_chunk),
        Format::Data => (WireForm::SseData, encode_data_chunk),
    };
    if let Some(event) = batch.items.large_event() {
        return Piece::Event(event.clone(), form, encode);
    }
    if let Items::Run(run) = &batch.items {
        return Piece::Chunk(run_chunk(format)(run));
    }
    let mut before = None;
    let blocks = batch.items.iter().map(|item| {
        let block = match item {
            Item::Event(event) => event.wire(form, encode),
            Item::Gap(gap) => chunk(&[gap_block(gap, before, format).as_bytes()]),
        };
        let moves = !matches!(item, Item::Gap(gap) if gap.more);
        before = moves.then(|| item.id()).or(before);
        block
    });
    Piece::Chunk(Piece::join(blocks.collect()))
}

fn encode_full(event: &Event) -> Vec<u8> {
    let json = event.encode_json(true);
    let mut out = Vec::with_capacity(json.len() + 48);
    out.extend_from_slice(format!("id: {}\ndata: ", event.id).as_bytes());
    out.extend_from_slice(&json);
    out.extend_from_slice(b"\n\n");
    out
}

fn encode_data(event: &Event) -> Vec<u8> {
    let mut out = format!("id: {}\n", event.id);
    if !event.name.is_default() {
        out.push_str("event: ");
        out.push_str(event.name.as_str());
        out.push('\n');
    }
    match &event.data {
        Data::Bytes(bytes) => push_data(&mut out, &STANDARD.encode(bytes)),
        Data::Json(json) => match serde_json::from_slice::<String>(json) {
            Ok(text) => push_data(&mut out, &text),
            Err(_) => push_data(&mut out, &String::from_utf8_lossy(json)),
        },
    }
    out.push('\n');
    out.into_bytes()
}

/// Appends a text as `data:` lines. An event stream cannot carry CR: CR LF and CR become line ends.
fn push_data(out: &mut String, text: &str) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for line in text.split('\n') {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
}

fn block_of_frame(id: Option<Cursor>, frame: &str) -> String {
    match id {
        Some(id) => format!("id: {id}\ndata: {frame}\n\n"),
        None => format!("data: {frame}\n\n"),
    }
}

fn id_block(id: Cursor) -> String {
    format!("id: {id}\n\n")
}

fn ping_block(ping: &Ping, format: Format) -> String {
    match format {
        Format::Full => block_of_frame(Some(ping.id), &ping.json()),
        Format::Data => format!(": ping\nid: {}\n\n", ping.id),
    }
}

/// Returns the block of a gap. `before` is the id that was written last. In bare data, a gap repeats that id if another
/// gap with the same id follows, because a browser that is cut off in between reconnects with the last `id:` that it
/// received. Readers of full frames find the range in the gap itself.
fn gap_block(gap: &Gap, before: Option<Cursor>, format: Format) -> String {
    let id = match format {
        Format::Data if gap.more => before.or(gap.after),
        Format::Data | Format::Full => Some(gap.id),
    };
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    match format {
        Format::Full => format!("{id}data: {}\n\n", gap.json()),
        Format::Data => format!("{id}event: $gap\ndata: {}\n\n", gap.json()),
    }
}

fn refused_block(frame: &str, format: Format) -> String {
    match format {
        Format::Full => block_of_frame(None, frame),
        Format::Data => format!("event: $refused\ndata: {frame}\n\n"),
    }
}

fn bye_block(bye: &Bye, format: Format) -> String {
    let id = bye.id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    match format {
        Format::Full => format!("{id}data: {}\n\n", bye.json()),
        Format::Data => format!("{id}event: $bye\ndata: {}\n\n", bye.json()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ChannelName, Draft, EventName, Ledger};

    fn block(data: Data, name: &str, format: Format) -> String {
        let draft = Draft {
            channel: ChannelName::new("a").unwrap(),
            name: EventName::new(name).unwrap(),
            data,
            from: None,
            session: None,
            sent_bytes: 0,
        };
        let event = Event::new(draft, "k".parse().unwrap(), 7, 5, &Ledger::default());
        let encode = if format == Format::Full {
            encode_full
        } else {
            encode_data
        };
        String::from_utf8(encode(&event)).unwrap()
    }

    #[test]
    fn bare_data_has_exact_bytes() {
        let text = |text: &str| block(Data::text(text), "message", Format::Data);
        assert_eq!(text("hi"), "id: k-7\ndata: hi\n\n");
        assert_eq!(text(""), "id: k-7\ndata: \n\n");
        assert_eq!(
            text("a\r\nb\rc\n"),
            "id: k-7\ndata: a\ndata: b\ndata: c\ndata: \n\n"
        );
        assert_eq!(text(" \u{2028}x"), "id: k-7\ndata:  \u{2028}x\n\n");
        let json = Data::from_json(b"{\"a\": 1.0}").unwrap();
        assert_eq!(
            block(json, "chat", Format::Data),
            "id: k-7\nevent: chat\ndata: {\"a\": 1.0}\n\n"
        );
        assert_eq!(
            block(
                Data::Bytes(Bytes::from_static(&[0, 255])),
                "message",
                Format::Data
            ),
            "id: k-7\ndata: AP8=\n\n"
        );
    }

    #[test]
    fn full_frames_have_exact_bytes() {
        assert_eq!(
            block(Data::text("a\r\nb"), "chat", Format::Full),
            "id: k-7\ndata: {\"type\":\"event\",\"id\":\"k-7\",\"channel\":\"a\",\"name\":\"chat\",\"data\":\"a\\r\\nb\",\"time\":5}\n\n"
        );
        let ping = Ping {
            id: "k-7".parse().unwrap(),
            time_ms: 5,
            count: 3,
        };
        assert_eq!(ping_block(&ping, Format::Data), ": ping\nid: k-7\n\n");
        assert_eq!(
            ping_block(&ping, Format::Full),
            "id: k-7\ndata: {\"type\":\"ping\",\"id\":\"k-7\",\"time\":5,\"count\":3}\n\n"
        );
    }
}
