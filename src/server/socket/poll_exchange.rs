//! Complete responses that may be followed by others of the same kind on the same socket. If the next poll makes the
//! same request, the checks and the state of the first one are reused.
//!
//! This file does not know how to read a request head: the frames compare it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::response::Parts;

use super::driver::{Conversation, Step};
use super::{Chain, Made, Next, Owned, Terms, is_last};
use crate::transport::Frames;
use crate::transport::connection::with_room;
use crate::transport::response_head::Head;

/// A response that is written as a whole, and the exchanges that follow it.
pub(super) struct Whole<F> {
    conversation: Conversation,
    /// `None` after the last response.
    frames: Option<F>,
    at: At,
}

/// The phase of the exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Waiting,
    Writing(Made),
}

impl<F: Frames + 'static> Whole<F> {
    pub(super) fn new(head: &Parts, owned: Owned, mut frames: F, terms: &Arc<Terms>) -> Box<Self> {
        if !owned.asked.is_empty() {
            frames.asked(&owned.asked);
        }
        let mut conversation = Conversation::new(is_last(head), owned, terms);
        conversation.envelope = Some(Head::of(head));
        Box::new(Self {
            conversation,
            frames: Some(frames),
            at: At::Waiting,
        })
    }

    /// Ends the response. The exchange is parked if another request may follow.
    fn rest(&mut self) {
        let frames = self.frames.as_mut();
        let rests = frames.is_some_and(Frames::rest);
        self.at = At::Writing(if rests { Made::Rests } else { Made::Over });
        if rests {
            self.conversation.berth.rest();
        } else {
            self.conversation.berth.leave();
            self.frames = None;
        }
    }

    /// Begins the response to the request at the start of `unread`. Returns the length of its head, or `None` if the
    /// request differs or must be checked again.
    fn begin(&mut self, unread: &[u8]) -> Option<usize> {
        let frames = self.frames.as_mut()?;
        let berth = &mut self.conversation.berth;
        let is_watched = berth.come_back();
        let head_bytes = frames.again(unread, is_watched);
        if let Some((attach, _)) = frames.pumped()
            && !attach.is_watched()
        {
            berth.leave();
        }
        head_bytes
    }

    /// Handles bytes that arrived from the client. Unused bytes are kept.
    fn next(&mut self, unread: &[u8]) -> Next {
        let used = self.begin(unread);
        self.conversation.keep(&unread[used.unwrap_or(0)..]);
        if used.is_none() {
            return Next::Other;
        }
        self.at = At::Waiting;
        Next::Same
    }
}

impl<F: Frames + 'static> Chain for Whole<F> {
    fn poll_made(&mut self, cx: &mut Context<'_>) -> Poll<Made> {
        while self.at == At::Waiting {
            let Some(frames) = &mut self.frames else {
                break;
            };
            match ready!(self.conversation.poll_step(frames, cx)) {
                Step::Piece(piece) => {
                    self.conversation.enclose(piece);
                    self.rest();
                }
                Step::Answered => self.rest(),
                Step::Written => {}
                Step::Ended => {
                    // The peer cannot send another request on this connection, so it receives what is available now.
                    let Some(piece) = frames.hurry() else {
                        return Poll::Ready(Made::Gone);
                    };
                    self.conversation.close_after();
                    self.conversation.enclose(Some(piece));
                    self.conversation.berth.leave();
                    self.frames = None;
                    self.at = At::Writing(Made::Gone);
                }
                Step::Gone => return Poll::Ready(Made::Gone),
            }
        }
        let finished = ready!(self.conversation.poll_finish(cx)).is_some();
        Poll::Ready(match self.at {
            At::Writing(made) if finished && !self.conversation.closes() => made,
            _ => Made::Gone,
        })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let ahead = self.conversation.take_ahead();
        if !ahead.is_empty() {
            return Poll::Ready(self.next(&ahead));
        }
        with_room(|room| {
            let read = ready!(self.conversation.poll_read(cx, room));
            Poll::Ready(match read {
                0 => Next::Gone,
                bytes => self.next(&room[..bytes]),
            })
        })
    }

    fn give_back(self: Box<Self>) -> Owned {
        self.conversation.give_back()
    }
}
