//! Frames as the body of an HTTP response, for sockets that the hub does not own: over HTTP/2, and in other servers.
//!
//! Such a server polls a body only after its peer accepted something. So a task of the hub checks the time: it ends
//! readers whose peers accept nothing, and frees what they held. Knows no socket and no session.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use slab::Slab;
use tokio::time::Instant;

use super::{Frames, Piece};
use crate::protocol::{Paged, PagedSection};

/// Bytes of one part of a response. hyper holds two parts for each HTTP/2 stream whose peer accepts nothing, and 16 for
/// each HTTP/1 connection.
const PART_BYTES: usize = 1024;
/// How many times a body is checked within the time that its peer has.
const LOOKS: u32 = 8;
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

/// Frames as the body of an HTTP response.
pub(crate) struct FrameBody<F: Frames + 'static> {
    answer: Arc<WatchedResponse<F>>,
    watch: Arc<WriteWatch>,
    key: Option<usize>,
}

/// What is written for one peer.
struct WatchedResponse<F>(Mutex<WatchState<F>>);

struct WatchState<F> {
    /// `None` once the peer accepted nothing for too long.
    frames: Option<F>,
    /// The bytes of the last piece that are not handed out yet.
    rest: Paged,
    /// Whether nothing follows `rest`.
    is_all: bool,
    /// When the last part was handed out, while the server has not polled for another one.
    handed_out: Option<Instant>,
}

impl<F: Frames> WatchState<F> {
    /// Returns the next part, or `None` at the end.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(frames) = &mut self.frames else {
            let slow = io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer took nothing for too long",
            );
            return Poll::Ready(Some(Err(slow)));
        };
        if self.rest.is_empty() && !self.is_all {
            let Some(piece) = ready!(frames.poll_piece(cx)) else {
                return Poll::Ready(None);
            };
            match piece.into_text() {
                Ok(text) => self.rest = text,
                Err(bytes) if bytes.len() <= PART_BYTES => return Poll::Ready(Some(Ok(bytes))),
                Err(bytes) => self.rest.words(bytes),
            }
        }
        Poll::Ready(match self.rest.take(PART_BYTES) {
            Ok(None) => None,
            Ok(Some(PagedSection::Own(part))) => Some(Ok(part)),
            Ok(Some(PagedSection::Lent(lent))) => {
                // A copy, so that the event is not held on behalf of this peer.
                let part = Bytes::copy_from_slice(&lent[..lent.len().min(PART_BYTES)]);
                self.rest.give_back(lent.len() - part.len());
                Some(Ok(part))
            }
            Err(forgotten) => Some(Err(io::Error::other(forgotten))),
        })
    }
}

/// A body as the watch sees it.
trait WatchedBody: Send + Sync {
    /// Ends the body if its peer accepted nothing for this long. Returns whether it did.
    fn end_if_stalled(&self, budget: Duration) -> bool;
}

impl<F: Frames> WatchedBody for WatchedResponse<F> {
    fn end_if_stalled(&self, budget: Duration) -> bool {
        let mut state = self.0.lock();
        let is_stalled = state
            .handed_out
            .is_some_and(|since| since.elapsed() >= budget);
        if !is_stalled {
            return false;
        }
        state.rest = Paged::default();
        let frames = state.frames.take();
        drop(state);
        // The frames are dropped after the lock: their reader leaves, and others are notified of that.
        frames.is_some()
    }
}

/// Watches the bodies of a hub.
pub(crate) struct WriteWatch {
    budget: Option<Duration>,
    slow: Counter,
    bodies: Mutex<WatchedBodies>,
}

#[derive(Default)]
struct WatchedBodies {
    watched: Slab<Weak<dyn WatchedBody>>,
    /// Whether the task runs. It ends when there is nothing to watch.
    is_running: bool,
}

impl WriteWatch {
    /// Returns a watch that ends bodies whose peers accept nothing for the budget, and counts them.
    pub(crate) fn new(budget: Option<Duration>, slow: Counter) -> Arc<Self> {
        Arc::new(Self {
            budget,
            slow,
            bodies: Mutex::default(),
        })
    }

    fn add(self: &Arc<Self>, body: Weak<dyn WatchedBody>) -> Option<usize> {
        let budget = self.budget?;
        let mut bodies = self.bodies.lock();
        let key = bodies.watched.insert(body);
        if !std::mem::replace(&mut bodies.is_running, true) {
            tokio::spawn(self.clone().run(budget));
        }
        Some(key)
    }

    async fn run(self: Arc<Self>, budget: Duration) {
        let every = (budget / LOOKS).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX);
        loop {
            tokio::time::sleep(every).await;
            let watched: Vec<Arc<dyn WatchedBody>> = {
                let mut bodies = self.bodies.lock();
                if bodies.watched.is_empty() {
                    bodies.is_running = false;
                    bodies.watched.shrink_to_fit();
                    return;
                }
                let watched = bodies.watched.iter();
                watched.filter_map(|(_, body)| body.upgrade()).collect()
            };
            for body in watched {
                if body.end_if_stalled(budget) {
                    self.slow.inc();
                }
            }
        }
    }
}

impl<F: Frames + 'static> FrameBody<F> {
    pub(crate) fn new(mut frames: F, watch: &Arc<WriteWatch>) -> Self {
        frames.narrow();
        Self::begun(frames, Paged::default(), watch)
    }

    fn begun(frames: F, rest: Paged, watch: &Arc<WriteWatch>) -> Self {
        let answer = Arc::new(WatchedResponse(Mutex::new(WatchState {
            frames: Some(frames),
            is_all: !rest.is_empty(),
            rest,
            handed_out: None,
        })));
        let watched: Weak<WatchedResponse<F>> = Arc::downgrade(&answer);
        Self {
            answer,
            key: watch.add(watched),
            watch: watch.clone(),
        }
    }
}

impl FrameBody<EmptyTail> {
    /// Returns a text as a body.
    pub(crate) fn of_text(text: Paged, watch: &Arc<WriteWatch>) -> Self {
        Self::begun(EmptyTail, text, watch)
    }
}

/// The end that follows a text.
pub(crate) struct EmptyTail;

impl Frames for EmptyTail {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(None)
    }
}

impl<F: Frames + 'static> Drop for FrameBody<F> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.watch.bodies.lock().watched.remove(key);
        }
        // The server may have reached its own time limit first.
        let budget = self.watch.budget;
        if budget.is_some_and(|budget| self.answer.end_if_stalled(budget)) {
            self.watch.slow.inc();
        }
    }
}

impl<F: Frames + 'static> http_body::Body for FrameBody<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut state = self.answer.0.lock();
        // A server that polls again has delivered the previous part.
        state.handed_out = None;
        let part = ready!(state.poll_part(cx));
        if matches!(part, Some(Ok(_))) {
            state.handed_out = Some(Instant::now());
        }
        Poll::Ready(part.map(|part| part.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        let state = self.answer.0.lock();
        state.is_all && state.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.answer.0.lock();
        if state.is_all {
            return SizeHint::with_exact(state.rest.len() as u64);
        }
        SizeHint::default()
    }
}
