//! Long polling: one batch, and the cursor to come back with.
//!
//! Does not know how its bytes are written, nor any other transport.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Facts, Frames};
use crate::cursor::Cursor;
use crate::feed::Item;
use crate::protocol::Event;
use crate::session::{Attach, Turn};

/// The media type of an answer.
pub(crate) const CONTENT_TYPE: &str = "application/json";

/// The answer to one poll.
pub(crate) struct Answer {
    attach: Attach,
    hello: Option<String>,
    /// Whether something was sent already: the spaces of an early poll.
    is_over: bool,
}

impl Answer {
    /// Answers at once, hello first, where the request did not go on from another one; else holds it.
    pub(crate) fn new(mut attach: Attach, facts: Facts) -> Self {
        let goes_on = attach.goes_on();
        let wait = attach
            .opening()
            .wait
            .unwrap_or(attach.sessions().options().poll_wait);
        attach.hold(if goes_on {
            wait
        } else {
            std::time::Duration::ZERO
        });
        let hello = (!goes_on).then(|| attach.hello(facts.network));
        Self {
            attach,
            hello,
            is_over: false,
        }
    }

    /// Whether the head goes out before the answer is known.
    pub(crate) fn is_early(&self) -> bool {
        self.attach.opening().early && self.hello.is_none()
    }

    fn text(&mut self, frames: &[Bytes], cursor: Cursor, more: bool) -> Bytes {
        let opening = self.attach.opening();
        let mut out = format!("{{\"cursor\":\"{cursor}\"").into_bytes();
        if let Some(nonce) = &opening.nonce {
            out.extend_from_slice(
                format!(",\"nonce\":{}", serde_json::Value::from(nonce.as_str())).as_bytes(),
            );
        }
        if more {
            out.extend_from_slice(b",\"more\":true");
        }
        out.extend_from_slice(b",\"frames\":[");
        let hello = self.hello.take().map(Bytes::from);
        for (index, frame) in hello.iter().chain(frames).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(frame);
        }
        out.extend_from_slice(b"]}");
        out.into()
    }
}

impl Frames for Answer {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let Poll::Ready(turn) = self.attach.poll_turn(cx) else {
            return Poll::Pending;
        };
        let answer = match turn {
            // JSON allows leading space: a byte each second carries the hold through proxies that cut silence.
            Turn::Ping(..) | Turn::Look => return Poll::Ready(Some(Bytes::from_static(b" "))),
            Turn::Batch(batch) => {
                let frames: Vec<Bytes> = batch.items.iter().map(frame).collect();
                self.text(&frames, batch.cursor, batch.more)
            }
            Turn::Reply(reply) => {
                let cursor = self.attach.cursor();
                self.text(&[reply.into()], cursor, false)
            }
            Turn::Held(cursor) => self.text(&[], cursor, false),
            Turn::Bye(bye) => {
                let cursor = self.attach.cursor();
                self.text(&[bye.json().into()], cursor, false)
            }
        };
        self.is_over = true;
        self.attach.answered();
        Poll::Ready(Some(answer))
    }
}

fn frame(item: &Item) -> Bytes {
    match item {
        Item::Event(event) => Event::json(event),
        Item::Gap(gap) => gap.json().into(),
    }
}
