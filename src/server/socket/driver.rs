//! A socket while an answer is made on it: all that is pending goes out in one write, the end of the peer is heard,
//! and one that takes nothing is left after a while.
//!
//! Knows frames as pieces of bytes only.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::response::Parts;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite as _;
use tokio::time::{Instant, Sleep};

use super::{Link, Owned, Terms};
use crate::fanout::{Berth, Risen};
use crate::transport::connection::with_room;
use crate::transport::response_head::{HELLO_BYTES, Head, Length};
use crate::transport::write_queue::{Output, is_forgotten};
use crate::transport::{Frames, Piece};

/// Bytes that a client may send ahead while its answer trickles; they are kept for the next request, and beyond
/// them the socket is read no further.
const AHEAD_BYTES_MAX: usize = 16 * 1024;

/// A socket while an answer is made on it.
pub(super) struct Conversation {
    io: Link,
    ahead: BytesMut,
    pub(super) output: Output,
    terms: Arc<Terms>,
    pub(super) berth: Berth,
    /// What goes around an answer that comes as a whole; absent where one trickles.
    pub(super) envelope: Option<Arc<Head>>,
    /// Whether this answer is the last one.
    closes: bool,
    /// Whether what is to be written now is all that there is, until the task is woken.
    is_settled: bool,
    /// Exists only while the peer takes nothing.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What ended a wait.
pub(super) enum Step {
    Piece(Option<Piece>),
    Written,
    /// A pump made the answer.
    Answered,
    /// The peer ended its side. It may still read, or have left: the two look alike.
    Ended,
    Gone,
}

impl Conversation {
    pub(super) fn new(closes: bool, owned: Owned, terms: &Arc<Terms>) -> Self {
        let ahead = BytesMut::from(&owned.unread[..]);
        Self {
            io: owned.io,
            ahead,
            output: Output::new(&terms.writes),
            terms: terms.clone(),
            berth: Berth::default(),
            envelope: None,
            closes,
            is_settled: false,
            timer: None,
        }
    }

    /// No `async fn`, which would hold its arguments twice; an idle reader holds this
    /// future whole.
    pub(super) fn trickle<F: Frames>(
        mut self,
        head: &Parts,
        mut frames: F,
    ) -> impl Future<Output = Option<Owned>> + Send + use<F> {
        let head = Head::of(head).bytes(Length::Chunked, HELLO_BYTES);
        self.output.push(head.into());
        async move {
            let is_whole = self.chunks(&mut frames).await;
            self.berth = Berth::default();
            drop(frames);
            if is_whole && self.finish().await {
                return Some(self.give_back());
            }
            None
        }
    }

    /// Sends chunks up to the last one. Whether the peer is still there.
    async fn chunks(&mut self, frames: &mut impl Frames) -> bool {
        loop {
            match std::future::poll_fn(|cx| self.poll_step(frames, cx)).await {
                Step::Piece(Some(piece)) => piece.write_chunk(&mut self.output),
                Step::Piece(None) => {
                    self.output.push(Bytes::from_static(b"0\r\n\r\n"));
                    return true;
                }
                Step::Written | Step::Answered => {}
                // What was there is written; for what is to come, one that left must not be waited for.
                Step::Ended | Step::Gone => return false,
            }
        }
    }

    /// Writes what is left. Whether the next request may be read from the socket.
    async fn finish(&mut self) -> bool {
        let finished = std::future::poll_fn(|cx| self.poll_finish(cx)).await;
        finished.is_some() && !self.closes
    }

    /// Writes what is left, and ends the connection where this answer is its last one; none where the peer is gone.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        while !self.output.is_empty() {
            if let Step::Gone = ready!(self.poll_write(cx)) {
                return Poll::Ready(None);
            }
        }
        if self.closes {
            let _ = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
        }
        Poll::Ready(Some(()))
    }

    /// Puts an answer that comes as a whole into its envelope, to be written.
    pub(super) fn enclose(&mut self, answer: Option<Piece>) {
        let Some(envelope) = &self.envelope else {
            return;
        };
        match answer.map_or(Err(Bytes::new()), Piece::into_text) {
            Ok(text) => {
                let mut out = Vec::with_capacity(envelope.room(0));
                envelope.begin(&mut out, text.len());
                self.output.push(out.into());
                self.output.push_text(text);
            }
            Err(answer) => {
                let mut out = Vec::with_capacity(envelope.room(answer.len()));
                envelope.enclose(&mut out, &answer);
                self.output.push(out.into());
            }
        }
    }

    /// Whether this answer is the last one of its connection.
    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// What the client sent ahead, to be used.
    pub(super) fn take_ahead(&mut self) -> BytesMut {
        std::mem::take(&mut self.ahead)
    }

    /// Keeps what the client sent for whoever reads next.
    pub(super) fn keep(&mut self, unread: &[u8]) {
        if !unread.is_empty() {
            self.ahead.extend_from_slice(unread);
        }
    }

    /// Reads what is there; no bytes are the end of the peer.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<usize> {
        self.io.poll_bytes(cx, room)
    }

    pub(super) fn give_back(self) -> Owned {
        Owned::new(self.io, self.ahead.freeze())
    }

    /// What happens next. While nothing does, a pump writes what comes.
    pub(super) fn poll_step(
        &mut self,
        frames: &mut impl Frames,
        cx: &mut Context<'_>,
    ) -> Poll<Step> {
        if let Some((attach, _)) = frames.pumped() {
            let Risen { rest, is_answered } = self.berth.rise(attach);
            if let Some(rest) = rest {
                self.output.push(rest);
            }
            if is_answered {
                return Poll::Ready(Step::Answered);
            }
        }
        let step = self.poll_own(frames, cx);
        if step.is_pending()
            && self.output.is_empty()
            // Who has asked for more already is not heard when his answer is written.
            && (self.envelope.is_none() || !self.closes && self.ahead.is_empty())
            && let (Some(pumps), Some(stream)) = (&self.terms.pumps, self.io.shared())
            && let Some((attach, pumped)) = frames.pumped()
        {
            let around = self.envelope.as_ref();
            self.berth.leave_it(pumps, attach, stream, (pumped, around));
        }
        step
    }

    /// Asks for all that is pending, then writes it at once, and listens for the end of the peer.
    fn poll_own(&mut self, frames: &mut impl Frames, cx: &mut Context<'_>) -> Poll<Step> {
        // Where the piece before was all that there is, nobody is asked again until the task is woken.
        let is_settled = std::mem::take(&mut self.is_settled);
        if !is_settled
            && !self.output.is_due()
            && let Poll::Ready(piece) = frames.poll_piece(cx)
        {
            self.output.gather();
            self.is_settled = frames.is_settled();
            return Poll::Ready(Step::Piece(piece));
        }
        if !self.output.is_empty() {
            match ready!(self.poll_write(cx)) {
                Step::Written if is_settled => {}
                step => return Poll::Ready(step),
            }
        }
        if self.has_ended(cx) {
            Poll::Ready(Step::Ended)
        } else {
            Poll::Pending
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        match self.output.poll_write(Pin::new(&mut self.io), cx) {
            Poll::Ready(Ok(())) => {
                self.timer = None;
                Poll::Ready(Step::Written)
            }
            Poll::Ready(Err(error)) => {
                if is_forgotten(&error) {
                    self.terms.slow.inc();
                }
                Poll::Ready(Step::Gone)
            }
            Poll::Pending => self.poll_budget(cx),
        }
    }

    fn poll_budget(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let (Some(budget), Some(since)) = (self.terms.budget, self.output.blocked_since()) else {
            return Poll::Pending;
        };
        let at: Instant = since + budget;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx).map(|()| {
            // Its socket is full: no last word would get through.
            self.terms.slow.inc();
            Step::Gone
        })
    }

    /// No request follows: this answer is the last one.
    pub(super) fn close_after(&mut self) {
        self.closes = true;
    }

    /// Reads what the client sends ahead, which is mostly its end.
    fn has_ended(&mut self, cx: &mut Context<'_>) -> bool {
        with_room(|room| {
            while self.ahead.len() < AHEAD_BYTES_MAX {
                match self.poll_read(cx, room) {
                    Poll::Pending => return false,
                    Poll::Ready(0) => return true,
                    Poll::Ready(bytes) => self.ahead.extend_from_slice(&room[..bytes]),
                }
            }
            false
        })
    }
}
