//! Request and response bodies that report to their connection: a request body must end in time, and a response body
//! keeps its request active until it is written.
//!
//! This file does not know what the bodies contain.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::activity::ConnectionActivity;
use crate::protocol::peer::StreamWatch;

/// A request body with a time limit. Reading fails with [`io::ErrorKind::TimedOut`] when the body does not end in
/// time.
///
/// The clock starts with the first read: before that, the server is not waiting for the client.
pub(super) struct TimedBody {
    inner: Incoming,
    /// `None` means no limit.
    limit: Option<Duration>,
    /// Dropped when the body has been read to its end.
    unread: Option<UnreadBodyGuard>,
    /// Created only when a read must wait: most bodies arrive together with their head.
    deadline: Option<Pin<Box<Sleep>>>,
    started: Option<Instant>,
}

impl TimedBody {
    pub(super) fn new(
        inner: Incoming,
        limit: Option<Duration>,
        activity: &Arc<ConnectionActivity>,
    ) -> Self {
        activity.body_began();
        Self {
            inner,
            limit,
            unread: Some(UnreadBodyGuard(activity.clone())),
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
struct UnreadBodyGuard(Arc<ConnectionActivity>);

impl Drop for UnreadBodyGuard {
    fn drop(&mut self) {
        self.0.body_ended();
    }
}

/// Marks its connection as busy until it is dropped.
#[derive(Debug)]
pub(super) struct BusyGuard {
    activity: Arc<ConnectionActivity>,
}

impl BusyGuard {
    pub(super) fn new(activity: Arc<ConnectionActivity>) -> Self {
        activity.request_began();
        Self { activity }
    }

    /// Returns the activity of the connection.
    fn activity(&self) -> &ConnectionActivity {
        &self.activity
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.activity.request_ended();
    }
}

/// The body that an upgraded stream writes to its peer.
pub(super) struct UpgradedBody {
    activity: Arc<ConnectionActivity>,
    number: u64,
}

impl UpgradedBody {
    pub(super) fn new(activity: &Arc<ConnectionActivity>) -> Self {
        Self {
            activity: activity.clone(),
            number: activity.next_body(),
        }
    }
}

impl StreamWatch for UpgradedBody {
    fn note(&self, is_waiting: bool) {
        if is_waiting {
            self.activity.handed_out(self.number, None);
        } else {
            self.activity.asked(self.number);
        }
    }
}

impl Drop for UpgradedBody {
    fn drop(&mut self) {
        self.activity.body_gone(self.number);
    }
}

/// A response body, together with everything that must live until it is written.
pub(super) struct BusyBody<Held> {
    inner: Body,
    busy: BusyGuard,
    /// On HTTP/1 the socket itself shows that the peer does not read.
    is_http2: bool,
    /// The number under which the connection knows this body. Set once the body hands out bytes over HTTP/2.
    number: Option<u64>,
    /// The last byte over HTTP/2, held back until everything before it is sent. hyper drops a body once it has the
    /// end of it, and then the server could not see that the peer does not read the rest.
    last: Option<Bytes>,
    _held: Held,
}

impl<Held> BusyBody<Held> {
    pub(super) fn new(inner: Body, busy: BusyGuard, held: Held) -> Self {
        Self {
            inner,
            is_http2: busy.activity().is_http2(),
            busy,
            number: None,
            last: None,
            _held: held,
        }
    }

    /// Splits off the last byte when the peer could leave the frame unread in hyper's buffers.
    fn keep_last(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) if data.len() > 1 => {
                let last = data.split_off(data.len() - 1);
                // A copy, because a slice would keep the whole response in memory.
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
            self.busy.activity().body_gone(number);
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
        // hyper polls again once the peer has room, so a second poll proves that the peer took the bytes before.
        if let Some(number) = self.number {
            self.busy.activity().asked(number);
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
            let activity = self.busy.activity();
            let number = self.number.unwrap_or_else(|| activity.next_body());
            activity.handed_out(number, tokio::task::try_id());
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
