//! What all three transports share: frames that are polled, a body made of them, and the headers that keep
//! boxes on the way from holding them back.
//!
//! A transport makes bytes out of turns; it does not know how they are written.

pub(crate) mod output;
pub mod poll;
pub mod sse;
pub mod ws;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

/// nginx holds a stream to its end without it (`docs/networks.md`).
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Bytes for one reader, as they become ready.
pub(crate) trait Frames: Send + Unpin {
    /// All that is pending in one piece; `None` is the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

/// Frames as the body of an HTTP response.
pub(crate) struct FrameBody<F> {
    frames: F,
    budget: Option<Duration>,
    slow: Counter,
    /// When it handed out what nobody asked to be followed yet.
    handed_out: Option<Instant>,
}

impl<F: Frames> FrameBody<F> {
    /// Where it ends with a peer that took nothing for the budget, `slow` counts it.
    pub(crate) fn new(frames: F, budget: Option<Duration>, slow: &Counter) -> Self {
        Self {
            frames,
            budget,
            slow: slow.clone(),
            handed_out: None,
        }
    }
}

impl<F> Drop for FrameBody<F> {
    fn drop(&mut self) {
        let waited = self.handed_out.map(|since| since.elapsed());
        if waited
            .zip(self.budget)
            .is_some_and(|(waited, budget)| waited >= budget)
        {
            self.slow.inc();
        }
    }
}

impl<F: Frames> http_body::Body for FrameBody<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // Who asks for more has taken what came before.
        self.handed_out = None;
        let Poll::Ready(bytes) = self.frames.poll_bytes(cx) else {
            return Poll::Pending;
        };
        self.handed_out = bytes.as_ref().map(|_| Instant::now());
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The headers of an answer that trickles: `docs/networks.md` says which box needs which.
pub(crate) fn streaming_headers(content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
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
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces
        .iter()
        .for_each(|piece| joined.extend_from_slice(piece));
    joined.freeze()
}

/// What a wire needs to know of the request beside its opening.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The tag of the client's network.
    pub(crate) network: String,
}
