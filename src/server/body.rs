//! Bodies as the accept loop wants them: one that comes in must end in time, one that goes out keeps its request alive.
//!
//! Knows nothing of what is in them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::activity::Pulse;
use crate::protocol::peer::StreamWatch;

/// The body of a request; reading it fails with [`io::ErrorKind::TimedOut`] when it is not whole in time.
///
/// The clock starts with the first read, since until then it is not the client that we wait for.
pub(super) struct TimedBody {
    inner: Incoming,
    /// `None` is no limit.
    limit: Option<Duration>,
    /// Until it is read to its end.
    unread: Option<Unread>,
    /// Made only when a read has to wait: most bodies come with their head.
    deadline: Option<Pin<Box<Sleep>>>,
    started: Option<Instant>,
}

impl TimedBody {
    pub(super) fn new(inner: Incoming, limit: Option<Duration>, pulse: &Arc<Pulse>) -> Self {
        pulse.body_began();
        Self {
            inner,
            limit,
            unread: Some(Unread(pulse.clone())),
            deadline: None,
            started: None,
        }
    }
}

impl http_body::Body for TimedBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        let started = *this.started.get_or_insert_with(Instant::now);
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            if !matches!(frame, Some(Ok(_))) || this.inner.is_end_stream() {
                this.unread = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some(limit) = this.limit else {
            return Poll::Pending;
        };
        let ends = started + limit;
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
        ready!(deadline.as_mut().poll(cx));
        let slow = io::Error::new(
            io::ErrorKind::TimedOut,
            "the body of the request did not end in time",
        );
        Poll::Ready(Some(Err(slow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Marks the body of its request as unread until it is dropped.
#[derive(Debug)]
struct Unread(Arc<Pulse>);

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.body_ended();
    }
}

/// Marks its connection as busy until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    pulse: Arc<Pulse>,
}

impl Busy {
    pub(super) fn new(pulse: Arc<Pulse>) -> Self {
        pulse.request_began();
        Self { pulse }
    }

    /// The connection's state.
    fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.pulse.request_ended();
    }
}

/// What an upgraded stream writes to its peer.
pub(super) struct UpgradedBody {
    pulse: Arc<Pulse>,
    number: u64,
}

impl UpgradedBody {
    pub(super) fn new(pulse: &Arc<Pulse>) -> Self {
        Self {
            pulse: pulse.clone(),
            number: pulse.next_body(),
        }
    }
}

impl StreamWatch for UpgradedBody {
    fn note(&self, is_waiting: bool) {
        if is_waiting {
            self.pulse.handed_out(self.number, None);
        } else {
            self.pulse.asked(self.number);
        }
    }
}

impl Drop for UpgradedBody {
    fn drop(&mut self) {
        self.pulse.body_gone(self.number);
    }
}

/// The body of an answer, and what must live until it is written.
pub(super) struct BusyBody<Held> {
    inner: Body,
    busy: Busy,
    /// On HTTP/1 the socket itself shows what is not taken.
    is_http2: bool,
    /// By which its connection knows it, once it handed out bytes over HTTP/2.
    number: Option<u64>,
    /// The last byte over HTTP/2, kept back until all before it has gone to the peer: hyper lets go of an answer whose
    /// end it was handed, and nobody would notice that it is not taken.
    last: Option<Bytes>,
    _held: Held,
}

impl<Held> BusyBody<Held> {
    pub(super) fn new(inner: Body, busy: Busy, held: Held) -> Self {
        Self {
            inner,
            is_http2: busy.pulse().is_http2(),
            busy,
            number: None,
            last: None,
            _held: held,
        }
    }

    /// Takes the last byte off, where the peer may leave it in hyper's hands.
    fn keep_last(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) if data.len() > 1 => {
                let last = data.split_off(data.len() - 1);
                // A copy: the answer must not be held for its sake.
                self.last = Some(Bytes::copy_from_slice(&last));
                Frame::data(data)
            }
            Ok(data) => Frame::data(data),
            Err(trailers) => trailers,
        }
    }
}

impl<Held> Drop for BusyBody<Held> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.busy.pulse().body_gone(number);
        }
    }
}

impl<Held: Unpin> http_body::Body for BusyBody<Held> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Who asks for more has taken what came before: hyper asks once the peer has room.
        if let Some(number) = self.number {
            self.busy.pulse().asked(number);
        }
        let frame = match self.last.take() {
            Some(last) => Frame::data(last),
            None => match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) if self.is_http2 && self.inner.is_end_stream() => {
                    self.keep_last(frame)
                }
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            },
        };
        if self.is_http2 {
            let pulse = self.busy.pulse();
            let number = self.number.unwrap_or_else(|| pulse.next_body());
            pulse.handed_out(number, tokio::task::try_id());
            self.number = Some(number);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
