//! Complete responses that may be followed by others of the same kind on the same socket. If the next poll makes the
//! same request, the checks and the state of the first one are reused.
//!
//! This file does not know how to read a request head: the frames compare it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::response::Parts;

use super::driver::{SocketDriver, SocketEvent};
use super::{Chain, HeldSocket, NextRequest, ResponseOutcome, WriteConfig, is_last};
use crate::transport::Frames;
use crate::transport::connection::with_room;
use crate::transport::response_head::ResponseHead;

/// A response that is written as a whole, and the exchanges that follow it.
pub(super) struct PollExchange<F> {
    conversation: SocketDriver,
    /// `None` after the last response.
    frames: Option<F>,
    at: ExchangePhase,
}

/// The phase of the exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExchangePhase {
    Waiting,
    Writing(ResponseOutcome),
}

impl<F: Frames + 'static> PollExchange<F> {
    pub(super) fn new(
        head: &Parts,
        owned: HeldSocket,
        mut frames: F,
        write_config: &Arc<WriteConfig>,
    ) -> Box<Self> {
        if !owned.asked.is_empty() {
            frames.set_request_head(&owned.asked);
        }
        let mut conversation = SocketDriver::new(is_last(head), owned, write_config);
        conversation.head_lines = Some(ResponseHead::of(head));
        Box::new(Self {
            conversation,
            frames: Some(frames),
            at: ExchangePhase::Waiting,
        })
    }

    /// Ends the response. The exchange is parked if another request may follow.
    fn rest(&mut self) {
        let frames = self.frames.as_mut();
        let rests = frames.is_some_and(Frames::park);
        self.at = ExchangePhase::Writing(if rests {
            ResponseOutcome::Parked
        } else {
            ResponseOutcome::Over
        });
        if rests {
            self.conversation.subscriber.park();
        } else {
            self.conversation.subscriber.leave();
            self.frames = None;
        }
    }

    /// Begins the response to the request at the start of `unread`. Returns the length of its head, or `None` if the
    /// request differs or must be checked again.
    fn begin(&mut self, unread: &[u8]) -> Option<usize> {
        let frames = self.frames.as_mut()?;
        let subscriber = &mut self.conversation.subscriber;
        let is_watched = subscriber.unpark();
        let head_bytes = frames.resume(unread, is_watched);
        if let Some((attach, _)) = frames.fanout_encoder()
            && !attach.is_delegated()
        {
            subscriber.leave();
        }
        head_bytes
    }

    /// Handles bytes that arrived from the client. Unused bytes are kept.
    fn next(&mut self, unread: &[u8]) -> NextRequest {
        let used = self.begin(unread);
        self.conversation.keep(&unread[used.unwrap_or(0)..]);
        if used.is_none() {
            return NextRequest::Other;
        }
        self.at = ExchangePhase::Waiting;
        NextRequest::Same
    }
}

impl<F: Frames + 'static> Chain for PollExchange<F> {
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<ResponseOutcome> {
        while self.at == ExchangePhase::Waiting {
            let Some(frames) = &mut self.frames else {
                break;
            };
            match ready!(self.conversation.poll_step(frames, cx)) {
                SocketEvent::Piece(piece) => {
                    self.conversation.enclose(piece);
                    self.rest();
                }
                SocketEvent::Answered => self.rest(),
                SocketEvent::Written => {}
                SocketEvent::Ended => {
                    // The peer cannot send another request on this connection, so it receives what is available now.
                    let Some(piece) = frames.answer_now() else {
                        return Poll::Ready(ResponseOutcome::Gone);
                    };
                    self.conversation.close_after();
                    self.conversation.enclose(Some(piece));
                    self.conversation.subscriber.leave();
                    self.frames = None;
                    self.at = ExchangePhase::Writing(ResponseOutcome::Gone);
                }
                SocketEvent::Gone => return Poll::Ready(ResponseOutcome::Gone),
            }
        }
        let finished = ready!(self.conversation.poll_finish(cx)).is_some();
        Poll::Ready(match self.at {
            ExchangePhase::Writing(made) if finished && !self.conversation.closes() => made,
            _ => ResponseOutcome::Gone,
        })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<NextRequest> {
        let ahead = self.conversation.take_ahead();
        if !ahead.is_empty() {
            return Poll::Ready(self.next(&ahead));
        }
        with_room(|room| {
            let read = ready!(self.conversation.poll_read(cx, room));
            Poll::Ready(match read {
                0 => NextRequest::Gone,
                bytes => self.next(&room[..bytes]),
            })
        })
    }

    fn give_back(self: Box<Self>) -> HeldSocket {
        self.conversation.give_back()
    }
}
