//! The activity of one connection: its current state, and how long it may stay in that state.
//!
//! The monitored socket reports bytes, the request handler reports requests, and the driver reads the nearest limit.
//! This file knows no HTTP beyond the first bytes, which distinguish HTTP/2 from HTTP/1.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::body::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::Id;
use tokio::time::Instant;

use super::streams::Streams;
use super::untaken_bodies::{DataFrames, UntakenBodies};
use crate::server::socket::{Connection, HeldSocket};

/// Bytes with which no HTTP/1 request begins (RFC 9113 section 3.4 reserves the method `PRI`).
const HTTP2_START: &[u8] = b"PRI";
/// How long the server prepares a response for a peer that closed its sending side.
const HALF_CLOSED_MOST: Duration = Duration::from_secs(5);
/// Bytes of the first read, which distinguishes HTTP/2 from HTTP/1: enough for a usual head to be complete.
const START_BYTES: usize = 2_048;

/// How long a connection may stay in each state. `None` means no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    pub(super) head: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) write: Option<Duration>,
    pub(super) stream: Option<Duration>,
    pub(super) crowd: Option<StreamCrowdLimits>,
}

/// How long a peer may read nothing while more than [`WAITING_MAX`](super::untaken_bodies::WAITING_MAX) streams wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamCrowdLimits {
    /// The limit while the peer's windows are closed.
    pub(super) limit: Duration,
    /// The limit while the socket is full: the kernel reports room only once a third of its buffer is free.
    pub(super) stalled: Duration,
}

/// The limit that a connection reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReachedLimit {
    /// The request head did not end in time.
    Head,
    /// No request arrived for too long.
    Idle,
    /// The peer does not read its response.
    Write,
    /// The peer does not read one of its HTTP/2 streams.
    Stream,
    /// The peer does not read many of its HTTP/2 streams.
    Crowd,
    /// The peer closed its sending side, and may have left, while its response is still pending.
    HalfClosed,
}

/// The activity of one connection, shared by its socket, its requests and its driver.
#[derive(Debug)]
pub(super) struct ConnectionActivity {
    /// Locked for a few instructions and never across an await. HTTP/2 responses end in their own tasks.
    state: Mutex<ActivityState>,
    /// The streams of HTTP/2.
    pub(super) streams: Arc<Streams>,
}

#[derive(Debug)]
struct ActivityState {
    /// Requests whose responses are not finished.
    busy: u32,
    /// When the connection last became idle.
    idle_since: Instant,
    /// When the first byte of an unfinished request head arrived.
    head_since: Option<Instant>,
    /// Since when the peer has read nothing.
    stalled_since: Option<Instant>,
    /// When the peer closed its sending side while a response was pending.
    ended_since: Option<Instant>,
    /// Request bodies that are not read to their end.
    unread_bodies: u32,
    /// Number of bytes of [`HTTP2_START`] seen. `None` once the version is known.
    start_seen: Option<usize>,
    http2: bool,
    requested: bool,
    driver: Option<Waker>,
    untaken: UntakenBodies,
}

impl ConnectionActivity {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(ActivityState {
                busy: 0,
                idle_since: Instant::now(),
                head_since: None,
                stalled_since: None,
                ended_since: None,
                unread_bodies: 0,
                start_seen: Some(0),
                http2: false,
                requested: false,
                driver: None,
                untaken: UntakenBodies::default(),
            }),
            streams: Arc::default(),
        }
    }

    /// Notes that a request head is complete.
    pub(super) fn request_began(&self) {
        let mut state = self.state.lock();
        state.busy += 1;
        state.head_since = None;
        state.requested = true;
    }

    /// Notes that a request has a body.
    pub(super) fn body_began(&self) {
        self.state.lock().unread_bodies += 1;
    }

    /// Notes that a request body is read to its end or dropped.
    pub(super) fn body_ended(&self) {
        self.state.lock().unread_bodies -= 1;
    }

    /// Notes that a response is written or dropped.
    pub(super) fn request_ended(&self) {
        let mut state = self.state.lock();
        state.busy = state.busy.saturating_sub(1);
        state.idle_since = Instant::now();
        // On HTTP/1 the driver itself ends the last request.
        if state.busy == 0
            && state.http2
            && let Some(driver) = &state.driver
        {
            driver.wake_by_ref();
        }
    }

    /// Returns whether the connection is HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.state.lock().http2
    }

    /// Returns the number for a new body.
    pub(super) fn next_body(&self) -> u64 {
        self.state.lock().untaken.next_number()
    }

    /// Notes that an HTTP/2 body hands out bytes. If the peer does not read them, the task of the stream may be
    /// ended. On HTTP/1 the socket shows that the peer does not read.
    pub(super) fn handed_out(&self, number: u64, stream: Option<Id>) {
        let mut state = self.state.lock();
        if state.untaken.handed_out(number, stream)
            && let Some(driver) = &state.driver
        {
            // The driver checks its limits when it is woken, and the peer may never wake it again.
            driver.wake_by_ref();
        }
    }

    /// Notes that the body with this number is polled for more.
    pub(super) fn asked(&self, number: u64) {
        let mut state = self.state.lock();
        let is_stalled = state.stalled_since.is_some();
        state.untaken.asked(number, is_stalled);
    }

    /// Notes that the body with this number is dropped.
    pub(super) fn body_gone(&self, number: u64) {
        let mut state = self.state.lock();
        let is_stalled = state.stalled_since.is_some();
        state.untaken.gone(number, is_stalled);
    }

    /// Ends the streams of which the peer has read nothing for `limit`. Returns whether all of them could be ended.
    pub(super) fn end_untaken(&self, limit: Duration) -> bool {
        let late = self.state.lock().untaken.remove_late(limit);
        late.iter()
            .all(|stream| stream.is_some_and(|id| self.streams.end(id)))
    }

    /// Ends all streams. Returns how many of them waited for the peer.
    pub(super) fn end_streams(&self) -> usize {
        let waiting = self.state.lock().untaken.remove_all();
        self.streams.end_all();
        waiting
    }

    /// Sets the task to wake when an HTTP/2 connection becomes idle. HTTP/2 responses end in their own tasks.
    pub(super) fn set_driver(&self, driver: &Waker) {
        self.state.lock().driver = Some(driver.clone());
    }

    /// Returns whether no request has arrived yet. One may be in flight.
    pub(super) fn is_fresh(&self) -> bool {
        !self.state.lock().requested
    }

    /// Returns whether no request is pending and the peer has read every response.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.busy == 0 && state.head_since.is_none() && state.stalled_since.is_none()
    }

    /// Returns whether the peer reads nothing of what is written to it.
    pub(super) fn is_stalled(&self) -> bool {
        self.state.lock().stalled_since.is_some()
    }

    /// Returns the nearest limit of the current state, if the state has one.
    pub(super) fn nearest(&self, limits: &ConnectionLimits) -> Option<(Instant, ReachedLimit)> {
        let state = self.state.lock();
        let stalled = state.stalled_since.zip(limits.write);
        let stalled = stalled.map(|(since, limit)| (since + limit, ReachedLimit::Write));
        let untaken = state.untaken.first_since().zip(limits.stream);
        let untaken = untaken.map(|(since, limit)| (since + limit, ReachedLimit::Stream));
        let crowd = state.untaken.crowd_since().zip(limits.crowd);
        let crowd = crowd.map(|(since, crowd)| {
            let limit = match state.stalled_since {
                Some(_) => crowd.stalled,
                None => crowd.limit,
            };
            (since + limit, ReachedLimit::Crowd)
        });
        let first = [stalled, untaken, crowd].into_iter().flatten();
        if let Some(nearest) = first.min_by_key(|(at, _)| *at) {
            return Some(nearest);
        }
        if state.busy > 0 || state.stalled_since.is_some() {
            // The peer may be waiting for its response or may have left: the two look alike.
            let ended = state.ended_since;
            return ended.map(|since| (since + HALF_CLOSED_MOST, ReachedLimit::HalfClosed));
        }
        let idle = limits
            .idle
            .map(|limit| (state.idle_since + limit, ReachedLimit::Idle));
        let head = state
            .head_since
            .zip(limits.head)
            .map(|(since, limit)| (since + limit, ReachedLimit::Head));
        [idle, head].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn read(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        state.note_version(bytes);
        // On HTTP/2 bytes between requests may be pings and window updates, so only the idle limit applies.
        if state.http2 {
            state.head_since = None;
        } else if state.busy == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Notes that the peer closed its sending side. Returns whether a response to it is pending.
    fn half_closed(&self) -> bool {
        let mut state = self.state.lock();
        // While a body is unread, its end is part of the request.
        let is_awaited = state.busy > 0 && state.unread_bodies == 0 && !state.http2;
        if is_awaited {
            state.ended_since.get_or_insert_with(Instant::now);
        }
        is_awaited
    }

    fn stalled(&self) {
        self.state.lock().stalled_since = Some(Instant::now());
    }

    fn flowing(&self) {
        let mut state = self.state.lock();
        state.stalled_since = None;
        state.idle_since = Instant::now();
        state.untaken.flowed();
    }

    /// Notes that bytes of an HTTP/2 body are written to the socket.
    fn data_written(&self) {
        self.state.lock().untaken.data_written();
    }
}

impl ActivityState {
    fn note_version(&mut self, bytes: &[u8]) {
        let Some(seen) = self.start_seen else { return };
        let expected = &HTTP2_START[seen..];
        let compared = expected.len().min(bytes.len());
        if expected[..compared] != bytes[..compared] {
            self.start_seen = None;
        } else if compared == expected.len() {
            self.start_seen = None;
            self.http2 = true;
        } else {
            self.start_seen = Some(seen + compared);
        }
    }
}

/// A socket that reports to its connection's activity when bytes arrive and when the peer does not read.
pub(super) struct MonitoredSocket {
    inner: Connection,
    /// Bytes that were already read. They come before the bytes in the socket.
    unread: Bytes,
    activity: Arc<ConnectionActivity>,
    /// A copy of the activity's state, so that a successful write needs no lock.
    stalled: bool,
    /// The frames that are written over HTTP/2.
    written: Option<DataFrames>,
}

impl MonitoredSocket {
    pub(super) fn new(inner: Connection, unread: Bytes, activity: Arc<ConnectionActivity>) -> Self {
        if !unread.is_empty() {
            activity.read(&unread);
        }
        Self {
            inner,
            unread,
            activity,
            stalled: false,
            written: None,
        }
    }

    /// Returns the socket with the bytes read from it: first those that hyper read, then the rest of `unread`.
    pub(super) fn into_owned(self, read: &Bytes) -> HeldSocket {
        HeldSocket::new(self.inner, [&read[..], &self.unread[..]].concat().into())
    }

    /// Returns whether the peer speaks HTTP/2, once its first bytes show it.
    pub(super) fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<bool>> {
        loop {
            let compared = self.unread.len().min(HTTP2_START.len());
            if compared > 0 && self.unread[..compared] != HTTP2_START[..compared] {
                return Poll::Ready(Ok(false));
            }
            if compared == HTTP2_START.len() {
                self.written = Some(DataFrames::default());
                return Poll::Ready(Ok(true));
            }
            let mut bytes = [0; START_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.activity.read(buffer.filled());
            self.unread = [&self.unread[..], buffer.filled()].concat().into();
        }
    }

    fn note_write(&mut self, outcome: &Poll<std::io::Result<usize>>) {
        if outcome.is_pending() != self.stalled {
            self.stalled = !self.stalled;
            if self.stalled {
                self.activity.stalled()
            } else {
                self.activity.flowing()
            }
        }
    }

    /// Reports bytes of bodies, for which the peer must make room. A peer can cause all other bytes at any time.
    fn note_data(&mut self, slices: &[IoSlice<'_>], outcome: &Poll<std::io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = outcome
            && let Some(written) = &mut self.written
            && written.has_data(slices, *count)
        {
            self.activity.data_written();
        }
    }
}

impl AsyncRead for MonitoredSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.unread.is_empty() {
            let taken = self.unread.len().min(into.remaining());
            into.put_slice(&self.unread.split_to(taken));
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, into);
        if into.filled().len() > before {
            self.activity.read(&into.filled()[before..]);
        } else if matches!(outcome, Poll::Ready(Ok(()))) && self.activity.half_closed() {
            // hyper would drop the response at the end of the input. The driver checks how long it takes.
            return Poll::Pending;
        }
        outcome
    }
}

impl AsyncWrite for MonitoredSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note_write(&outcome);
        self.note_data(&[IoSlice::new(bytes)], &outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.note_write(&outcome);
        self.note_data(slices, &outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        head: Some(Duration::from_secs(10)),
        idle: Some(Duration::from_secs(75)),
        write: Some(Duration::from_secs(35)),
        stream: Some(Duration::from_secs(30)),
        crowd: None,
    };

    fn reached(activity: &ConnectionActivity) -> Option<ReachedLimit> {
        activity.nearest(&LIMITS).map(|(_, reached)| reached)
    }

    #[test]
    fn a_head_is_timed_from_its_first_byte_to_its_end() {
        let activity = ConnectionActivity::new();
        assert_eq!(reached(&activity), Some(ReachedLimit::Idle));
        activity.read(b"G");
        assert_eq!(reached(&activity), Some(ReachedLimit::Head));
        activity.request_began();
        assert_eq!(
            reached(&activity),
            None,
            "an answer may take as long as it likes"
        );
        activity.request_ended();
        assert_eq!(reached(&activity), Some(ReachedLimit::Idle));
    }

    #[test]
    fn http2_is_known_by_its_first_bytes_however_they_come() {
        let activity = ConnectionActivity::new();
        activity.read(b"P");
        assert_eq!(reached(&activity), Some(ReachedLimit::Head));
        activity.read(b"RI * HTTP/2.0");
        assert_eq!(
            reached(&activity),
            Some(ReachedLimit::Idle),
            "a preface without a request is only idle"
        );

        let posting = ConnectionActivity::new();
        posting.read(b"POST / HTTP/1.1");
        assert_eq!(reached(&posting), Some(ReachedLimit::Head));
    }

    #[test]
    fn a_peer_that_takes_nothing_has_only_the_write_limit() {
        let activity = ConnectionActivity::new();
        activity.request_began();
        activity.stalled();
        assert_eq!(reached(&activity), Some(ReachedLimit::Write));
        activity.flowing();
        assert_eq!(reached(&activity), None);
    }
}
