//! Frames as the body of an HTTP answer, where the socket is not ours: over HTTP/2, and in other servers.
//!
//! Such a server asks for more only once its peer has taken something. So a task of the hub watches the clock: it ends
//! readers whose peers take nothing, and frees what they held.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Frame;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use slab::Slab;
use tokio::time::Instant;

use super::{Frames, Piece};

/// Bytes of one part of an answer. hyper holds two of them for each stream of HTTP/2 whose peer takes nothing, and 16
/// for each connection of HTTP/1.
const PART_BYTES: usize = 2 * 1024;
/// How often the clock is looked at within the time that a peer has.
const LOOKS: u32 = 8;
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

/// Frames as the body of an HTTP answer.
pub(crate) struct FrameBody<F: Frames + 'static> {
    answer: Arc<Answer<F>>,
    watch: Arc<WriteWatch>,
    key: Option<usize>,
}

/// What is written for one peer.
struct Answer<F>(Mutex<State<F>>);

struct State<F> {
    /// Absent once the peer took nothing for too long.
    frames: Option<F>,
    /// What is left of the last piece.
    rest: Bytes,
    /// Whether `rest` is part of something larger, which must not be held for its sake.
    is_part: bool,
    /// When it handed out what nobody asked to be followed yet.
    handed_out: Option<Instant>,
}

impl<F: Frames> State<F> {
    fn next_part(&mut self) -> Bytes {
        if !self.is_part {
            return std::mem::take(&mut self.rest);
        }
        let part = Bytes::copy_from_slice(&self.rest[..PART_BYTES.min(self.rest.len())]);
        self.rest.advance(part.len());
        if self.rest.is_empty() {
            self.rest = Bytes::new();
        }
        part
    }
}

/// A body as the watch sees it.
trait Watched: Send + Sync {
    /// Ends it where its peer took nothing for so long. Whether it did.
    fn end_if_stalled(&self, budget: Duration) -> bool;
}

impl<F: Frames> Watched for Answer<F> {
    fn end_if_stalled(&self, budget: Duration) -> bool {
        let mut state = self.0.lock();
        let is_stalled = state
            .handed_out
            .is_some_and(|since| since.elapsed() >= budget);
        if !is_stalled {
            return false;
        }
        state.rest = Bytes::new();
        let frames = state.frames.take();
        drop(state);
        // Its reader leaves with it, which others are told.
        frames.is_some()
    }
}

/// Watches the bodies of a hub.
pub(crate) struct WriteWatch {
    budget: Option<Duration>,
    slow: Counter,
    bodies: Mutex<Bodies>,
}

#[derive(Default)]
struct Bodies {
    watched: Slab<Weak<dyn Watched>>,
    /// Whether the task runs; it ends when there is nothing to watch.
    is_running: bool,
}

impl WriteWatch {
    /// Ends bodies of which nothing was taken for the budget, and counts them.
    pub(crate) fn new(budget: Option<Duration>, slow: Counter) -> Arc<Self> {
        Arc::new(Self {
            budget,
            slow,
            bodies: Mutex::default(),
        })
    }

    fn add(self: &Arc<Self>, body: Weak<dyn Watched>) -> Option<usize> {
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
            let watched: Vec<Arc<dyn Watched>> = {
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
    pub(crate) fn new(frames: F, watch: &Arc<WriteWatch>) -> Self {
        let answer = Arc::new(Answer(Mutex::new(State {
            frames: Some(frames),
            rest: Bytes::new(),
            is_part: false,
            handed_out: None,
        })));
        let watched: Weak<Answer<F>> = Arc::downgrade(&answer);
        Self {
            answer,
            key: watch.add(watched),
            watch: watch.clone(),
        }
    }
}

impl<F: Frames + 'static> Drop for FrameBody<F> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.watch.bodies.lock().watched.remove(key);
        }
        // Its server may have looked at the same clock first.
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
        let state = &mut *state;
        // Who asks for more has taken what came before.
        state.handed_out = None;
        let Some(frames) = &mut state.frames else {
            let slow = io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer took nothing for too long",
            );
            return Poll::Ready(Some(Err(slow)));
        };
        if state.rest.is_empty() {
            let Some(piece) = ready!(frames.poll_piece(cx)) else {
                return Poll::Ready(None);
            };
            state.rest = Piece::into_bytes(piece);
            state.is_part = state.rest.len() > PART_BYTES;
        }
        state.handed_out = Some(Instant::now());
        Poll::Ready(Some(Ok(Frame::data(state.next_part()))))
    }
}
