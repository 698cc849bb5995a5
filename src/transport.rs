//! The parts that all three transports share: frames that are polled, a body of frames, and the headers that keep
//! proxies from holding frames back.
//!
//! A transport encodes `Outgoing` items. It does not know how its bytes are written.

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

/// Without this header, nginx holds a stream back until its end (`docs/proxies.md`).
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Bytes around a chunk: its length in hexadecimal, and two line ends.
const CHUNK_FRAME_BYTES: usize = 20;
/// The end of a chunk.
const CHUNK_END: &[u8] = b"\r\n";
/// The number of headers of a streamed response, including those of every response. A larger capacity would miss the
/// fast path of the C library's allocator.
const STREAMING_HEADERS: usize = 6;

/// Bytes for one reader.
pub(crate) enum Piece {
    /// Bytes as they are.
    Bytes(Bytes),
    /// Bytes within one chunk of HTTP/1.1, so that the bytes of an event are framed once for all readers.
    Chunk(Bytes),
    /// A large event, encoded as such a chunk in its wire form.
    Event(Arc<Event>, WireForm, Encode),
    /// A large text.
    Text(Paged),
}

impl Piece {
    /// Joins pieces, each a chunk, into one chunk. A single piece is shared without a copy.
    pub(crate) fn join(mut chunks: Vec<Bytes>) -> Bytes {
        if chunks.len() == 1 {
            return chunks.remove(0);
        }
        let bodies: Vec<&[u8]> = chunks.iter().map(|chunk| body_of(chunk)).collect();
        chunk(&bodies)
    }

    /// Returns a large text without a chunk around it, or else the bytes.
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

    /// Writes the piece as a chunk.
    pub(crate) fn write_chunk(self, output: &mut WriteQueue) {
        match self {
            // A chunk of zero bytes would be the last one.
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

/// Returns one chunk around these parts.
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

/// Encodes the newest events for a reader.
pub(crate) type EventEncoder = fn(&SharedBatch) -> Bytes;

/// Encodes the newest events as the response to a poll with this nonce. The cursor is the one after the events.
pub(crate) type PollEncoder = fn(&mut Vec<u8>, &SharedBatch, Cursor, &Nonce);

/// The encoder that a fan-out task uses in place of the reader's own task.
#[derive(Clone, Copy)]
pub(crate) enum FanoutEncoder {
    /// Encodes all events to come.
    Each(EventEncoder),
    /// Encodes the next events, as the response to the reader's poll.
    Once(PollEncoder),
}

/// Bytes for one reader, as they become ready.
pub(crate) trait Frames: Send + Unpin {
    /// Returns all pending bytes in one piece. `None` is the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>>;

    /// Returns whether no piece is left after the last one. The next piece wakes the task.
    fn is_caught_up(&self) -> bool {
        false
    }

    /// Makes pieces small, because many such responses may be pending for one peer.
    fn narrow(&mut self) {}

    /// Returns the reader, and the encoder for its fan-out task.
    fn fanout_encoder(&mut self) -> Option<(&mut Attachment, FanoutEncoder)> {
        None
    }

    /// Returns the response that is possible now, instead of the one that is awaited. Called once, if the client cannot
    /// send another request on this connection.
    fn answer_now(&mut self) -> Option<Piece> {
        None
    }

    /// Sets the head of a plain request. Its response may be followed by others of its kind.
    fn set_request_head(&mut self, _head: &[u8]) {}

    /// Parks after the response is complete, and holds nothing open until the next one. Returns whether another
    /// response of its kind may follow, by [`Frames::resume`].
    fn park(&mut self) -> bool {
        false
    }

    /// Begins the response to the request at the start of these bytes, if it repeats the previous one with another
    /// cursor. Returns the length of its head. Returns `None` if it differs; the request must then be opened like any
    /// other. `is_watched` says whether a fan-out task still reads its channel.
    fn resume(&mut self, _unread: &[u8], _is_watched: bool) -> Option<usize> {
        None
    }
}

/// Returns the headers of a streamed response. `docs/proxies.md` lists which proxy needs which.
pub(crate) fn streaming_headers(content_type: &'static str) -> HeaderMap {
    // Reserve room for the headers of every response.
    let mut headers = HeaderMap::with_capacity(STREAMING_HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, no-transform"),
    );
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    // Keeps proxies from compressing, because they would wait for a full block.
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

/// Joins pieces that are sent in one write. A single piece is shared without a copy.
pub(crate) fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    pieces.concat().into()
}

/// The facts of a request that a transport needs besides the attach request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestFacts {
    /// The client's address. Hello names its network.
    pub(crate) client: Option<IpAddr>,
}
