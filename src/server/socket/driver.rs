//! The driver of a socket while a response is written to it. All pending bytes go out in one write, the driver
//! notices when the peer closes its side, and it drops a peer that does not read for too long.
//!
//! This file knows frames as pieces of bytes only.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::response::Parts;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite as _;
use tokio::time::{Instant, Sleep};

use super::{Connection, HeldSocket, WriteConfig};
use crate::fanout::{DelegatedWrites, SubscriberHandle};
use crate::transport::connection::with_room;
use crate::transport::response_head::{BodyLength, HELLO_BYTES, ResponseHead};
use crate::transport::write_queue::{WriteQueue, is_forgotten};
use crate::transport::{Frames, Piece};

/// Bytes that a client may send ahead while its response is streamed. They are kept for the next request. Beyond this
/// limit the socket is not read.
const AHEAD_BYTES_MAX: usize = 16 * 1024;

/// A socket while a response is written to it.
pub(super) struct SocketDriver {
    io: Connection,
    ahead: BytesMut,
    pub(super) output: WriteQueue,
    write_config: Arc<WriteConfig>,
    pub(super) subscriber: SubscriberHandle,
    /// The head around a complete response. `None` for a stream.
    pub(super) head_lines: Option<Arc<ResponseHead>>,
    /// Whether the connection closes after this response.
    closes: bool,
    /// Whether the bytes to write now are everything there is until the task is woken.
    is_settled: bool,
    /// Exists only while the peer does not read.
    timer: Option<Pin<Box<Sleep>>>,
}

/// The event that ended a wait.
pub(super) enum SocketEvent {
    Piece(Option<Piece>),
    Written,
    /// A fan-out task wrote the response.
    Answered,
    /// The peer closed its side. It may still read or may have left: the two look alike.
    Ended,
    Gone,
}

impl SocketDriver {
    pub(super) fn new(closes: bool, owned: HeldSocket, write_config: &Arc<WriteConfig>) -> Self {
        let ahead = BytesMut::from(&owned.unread[..]);
        Self {
            io: owned.io,
            ahead,
            output: WriteQueue::new(&write_config.writes),
            write_config: write_config.clone(),
            subscriber: SubscriberHandle::default(),
            head_lines: None,
            closes,
            is_settled: false,
            timer: None,
        }
    }

    /// Writes a streamed response. This is not an `async fn`, because that would hold its arguments twice, and each
    /// idle reader holds the whole future.
    pub(super) fn stream<F: Frames>(
        mut self,
        head: &Parts,
        mut frames: F,
    ) -> impl Future<Output = Option<HeldSocket>> + Send + use<F> {
        let head = ResponseHead::of(head).bytes(BodyLength::Chunked, HELLO_BYTES);
        self.output.push(head.into());
        async move {
            let is_whole = self.chunks(&mut frames).await;
            self.subscriber = SubscriberHandle::default();
            drop(frames);
            if is_whole && self.finish().await {
                return Some(self.give_back());
            }
            None
        }
    }

    /// Sends chunks up to the last one. Returns whether the peer is still there.
    async fn chunks(&mut self, frames: &mut impl Frames) -> bool {
        loop {
            match std::future::poll_fn(|cx| self.poll_step(frames, cx)).await {
                SocketEvent::Piece(Some(piece)) => piece.write_chunk(&mut self.output),
                SocketEvent::Piece(None) => {
                    self.output.push(Bytes::from_static(b"0\r\n\r\n"));
                    return true;
                }
                SocketEvent::Written | SocketEvent::Answered => {}
                // The pending bytes are written. A peer that may have left is not worth waiting for.
                SocketEvent::Ended | SocketEvent::Gone => return false,
            }
        }
    }

    /// Writes the remaining bytes. Returns whether the next request may be read from the socket.
    async fn finish(&mut self) -> bool {
        let finished = std::future::poll_fn(|cx| self.poll_finish(cx)).await;
        finished.is_some() && !self.closes
    }

    /// Writes the remaining bytes, and closes the connection if this is its last response. Returns `None` if the peer
    /// is gone.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        while !self.output.is_empty() {
            if let SocketEvent::Gone = ready!(self.poll_write(cx)) {
                return Poll::Ready(None);
            }
        }
        if self.closes {
            let _ = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
        }
        Poll::Ready(Some(()))
    }

    /// Queues a complete response with its head.
    pub(super) fn enclose(&mut self, answer: Option<Piece>) {
        let Some(head_lines) = &self.head_lines else {
            return;
        };
        match answer.map_or(Err(Bytes::new()), Piece::into_text) {
            Ok(text) => {
                let mut out = Vec::with_capacity(head_lines.room(0));
                head_lines.begin(&mut out, text.len());
                self.output.push(out.into());
                self.output.push_text(text);
            }
            Err(answer) => {
                let mut out = Vec::with_capacity(head_lines.room(answer.len()));
                head_lines.enclose(&mut out, &answer);
                self.output.push(out.into());
            }
        }
    }

    /// Returns whether this is the last response of its connection.
    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// Takes the bytes that the client sent ahead.
    pub(super) fn take_ahead(&mut self) -> BytesMut {
        std::mem::take(&mut self.ahead)
    }

    /// Keeps bytes that the client sent for the next read.
    pub(super) fn keep(&mut self, unread: &[u8]) {
        if !unread.is_empty() {
            self.ahead.extend_from_slice(unread);
        }
    }

    /// Reads the available bytes. Zero bytes mean that the peer closed its side.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<usize> {
        self.io.poll_bytes(cx, room)
    }

    pub(super) fn give_back(self) -> HeldSocket {
        HeldSocket::new(self.io, self.ahead.freeze())
    }

    /// Returns the next event. While there is none, a fan-out task may write to the socket.
    pub(super) fn poll_step(
        &mut self,
        frames: &mut impl Frames,
        cx: &mut Context<'_>,
    ) -> Poll<SocketEvent> {
        if let Some((attach, _)) = frames.fanout_encoder() {
            let DelegatedWrites {
                unwritten: rest,
                is_answered,
            } = self.subscriber.reclaim(attach);
            if let Some(rest) = rest {
                self.output.push(rest);
            }
            if is_answered {
                return Poll::Ready(SocketEvent::Answered);
            }
        }
        let step = self.poll_own(frames, cx);
        if step.is_pending()
            && self.output.is_empty()
            // If the client has already sent its next request, this task must write the response: a fan-out task
            // would not notice that request.
            && (self.head_lines.is_none() || !self.closes && self.ahead.is_empty())
            && let (Some(fanouts), Some(stream)) = (&self.write_config.fanouts, self.io.shared())
            && let Some((attach, encoder)) = frames.fanout_encoder()
        {
            let around = self.head_lines.as_ref();
            self.subscriber
                .delegate(fanouts, attach, stream, (encoder, around));
        }
        step
    }

    /// Polls everything that is pending, writes it at once, and watches for the end of the peer.
    fn poll_own(&mut self, frames: &mut impl Frames, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        // If the previous piece was everything there was, nothing is polled again until the task is woken.
        let is_settled = std::mem::take(&mut self.is_settled);
        if !is_settled
            && !self.output.is_due()
            && let Poll::Ready(piece) = frames.poll_piece(cx)
        {
            self.output.gather();
            self.is_settled = frames.is_caught_up();
            return Poll::Ready(SocketEvent::Piece(piece));
        }
        if !self.output.is_empty() {
            match ready!(self.poll_write(cx)) {
                SocketEvent::Written if is_settled => {}
                step => return Poll::Ready(step),
            }
        }
        if self.has_ended(cx) {
            Poll::Ready(SocketEvent::Ended)
        } else {
            Poll::Pending
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        match self.output.poll_write(Pin::new(&mut self.io), cx) {
            Poll::Ready(Ok(())) => {
                self.timer = None;
                Poll::Ready(SocketEvent::Written)
            }
            Poll::Ready(Err(error)) => {
                if is_forgotten(&error) {
                    self.write_config.slow.inc();
                }
                Poll::Ready(SocketEvent::Gone)
            }
            Poll::Pending => self.poll_budget(cx),
        }
    }

    fn poll_budget(&mut self, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        let (Some(budget), Some(since)) = (self.write_config.budget, self.output.blocked_since())
        else {
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
            // The socket is full, so a last frame would not get through.
            self.write_config.slow.inc();
            SocketEvent::Gone
        })
    }

    /// Makes this response the last one of the connection.
    pub(super) fn close_after(&mut self) {
        self.closes = true;
    }

    /// Reads the bytes that the client sends ahead; usually this is only the end of its stream. Returns whether the
    /// peer closed its side.
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
