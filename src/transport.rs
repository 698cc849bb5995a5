//! What all three transports share: frames that are polled, a body made of them, and the headers that keep
//! boxes on the way from holding them back.
//!
//! A transport makes bytes out of turns; it does not know how they are written.

mod body;
pub mod connection;
pub mod poll;
pub(crate) mod response_head;
pub mod sse;
pub(crate) mod write_queue;
pub mod ws;

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};

pub(crate) use body::{FrameBody, WriteWatch};

use crate::hub::SharedBatch;
use crate::protocol::cursor::Cursor;
use crate::protocol::{Encode, Event, Nonce, Paged, WireForm};
use crate::session::Attachment;
use write_queue::WriteQueue;

/// nginx holds a stream to its end without it (`docs/proxies.md`).
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Bytes around those of a chunk: its length in hexadecimal, and two line ends.
const CHUNK_FRAME_BYTES: usize = 20;
/// What ends a chunk.
const CHUNK_END: &[u8] = b"\r\n";
/// Headers of an answer that trickles, those that every answer carries among them. Room for more would be too large
/// for the quick way of the C library's allocator.
const STREAMING_HEADERS: usize = 6;

/// Some bytes for one reader.
pub(crate) enum Piece {
    /// As they are.
    Bytes(Bytes),
    /// Within one chunk of HTTP/1.1, so that those of an event are framed once for all readers.
    Chunk(Bytes),
    /// A large event whose wire form is such a chunk.
    Event(Arc<Event>, WireForm, Encode),
    /// A large text.
    Text(Paged),
}

impl Piece {
    /// Joins pieces, each a chunk, into one chunk; a single one is shared as it is.
    pub(crate) fn join(mut chunks: Vec<Bytes>) -> Bytes {
        if chunks.len() == 1 {
            return chunks.remove(0);
        }
        let bodies: Vec<&[u8]> = chunks.iter().map(|chunk| body_of(chunk)).collect();
        chunk(&bodies)
    }

    /// The text without a chunk around it, where it is large, else its bytes.
    pub(crate) fn into_text(self) -> Result<Paged, Bytes> {
        match self {
            Self::Bytes(bytes) => Err(bytes),
            Self::Chunk(chunk) => Err(chunk.slice_ref(body_of(&chunk))),
            Self::Event(event, form, encode) => {
                let chunk = event.wire(form, encode);
                let before = chunk.len() - CHUNK_END.len() - body_of(&chunk).len();
                let around = (before, CHUNK_END.len());
                Ok(Paged::of_wire(&event, form, encode, around))
            }
            Self::Text(text) => Ok(text),
        }
    }

    /// Writes it as a chunk.
    pub(crate) fn write_chunk(self, output: &mut WriteQueue) {
        match self {
            // A chunk of no bytes would be the last one.
            Self::Bytes(bytes) if bytes.is_empty() => {}
            Self::Bytes(bytes) => output.push(chunk(&[&bytes])),
            Self::Chunk(chunk) => output.push(chunk),
            Self::Event(event, form, encode) => {
                output.push_text(Paged::of_wire(&event, form, encode, (0, 0)));
            }
            Self::Text(text) => {
                output.push(format!("{:X}\r\n", text.len()).into());
                output.push_text(text);
                output.push(Bytes::from_static(CHUNK_END));
            }
        }
    }
}

/// One chunk around these parts.
pub(crate) fn chunk(parts: &[&[u8]]) -> Bytes {
    let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(bytes + CHUNK_FRAME_BYTES);
    // Writing to memory cannot fail.
    let _ = write!(out, "{bytes:X}\r\n");
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(CHUNK_END);
    out.into()
}

fn body_of(chunk: &[u8]) -> &[u8] {
    let begins = chunk.iter().position(|byte| *byte == b'\n');
    let body = begins.and_then(|end| chunk.get(end + 1..chunk.len() - CHUNK_END.len()));
    body.unwrap_or_default()
}

/// How the newest events are written for a reader.
pub(crate) type EventEncoder = fn(&SharedBatch) -> Bytes;

/// How the newest events are the answer to a poll, whose nonce this is; the cursor comes behind them.
pub(crate) type PollEncoder = fn(&mut Vec<u8>, &SharedBatch, Cursor, &Nonce);

/// What a pump may write in a reader's stead.
#[derive(Clone, Copy)]
pub(crate) enum FanoutEncoder {
    /// Whatever comes.
    Each(EventEncoder),
    /// What comes next, as the answer to its poll.
    Once(PollEncoder),
}

/// Bytes for one reader, as they become ready.
pub(crate) trait Frames: Send + Unpin {
    /// All that is pending in one piece; `None` is the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>>;

    /// Whether the last piece was all that there is for now: whatever comes next wakes the task.
    fn is_caught_up(&self) -> bool {
        false
    }

    /// Pieces are to be small: many such answers may be on their way to one peer.
    fn narrow(&mut self) {}

    /// Its reader, and what a pump may write in its stead.
    fn fanout_encoder(&mut self) -> Option<(&mut Attachment, FanoutEncoder)> {
        None
    }

    /// The answer that there is now, in place of the one that is waited for. Asked once, where the client cannot ask
    /// again by this connection.
    fn answer_now(&mut self) -> Option<Piece> {
        None
    }

    /// The request came plain, with this head: what is answered may be followed by more of its kind.
    fn set_request_head(&mut self, _head: &[u8]) {}

    /// The answer is made. Whether another one of its kind may follow, by [`Frames::again`]; it holds nothing open
    /// until then.
    fn park(&mut self) -> bool {
        false
    }

    /// Begins the answer to the request at the beginning of these bytes, where that asks for the same from another
    /// place, and says how long its head is. Where it does not, that request must be opened like any other.
    /// `is_watched` where a pump still watches its channel.
    fn resume(&mut self, _unread: &[u8], _is_watched: bool) -> Option<usize> {
        None
    }
}

/// The headers of an answer that trickles: `docs/proxies.md` says which proxy needs which.
pub(crate) fn streaming_headers(content_type: &'static str) -> HeaderMap {
    // Room for those that every answer carries.
    let mut headers = HeaderMap::with_capacity(STREAMING_HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, no-transform"),
    );
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    // Frees compressing proxies, which else wait for a full block.
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

/// Joins pieces that go out in one write; a single piece is shared as it is.
pub(crate) fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    pieces.concat().into()
}

/// What a wire needs to know of the request beside its opening.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestFacts {
    /// The client's address, whose network is named in hello.
    pub(crate) client: Option<IpAddr>,
}
