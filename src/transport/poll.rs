//! Long polling: one batch per response, and the cursor for the next poll.
//!
//! Does not know how its bytes are written, nor any other transport.

use std::io::Write as _;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::{FanoutEncoder, Frames, Piece, RequestFacts};
use crate::hub::feed::{Batch, Item};
use crate::hub::{Items, SharedBatch};
use crate::protocol::cursor::Cursor;
use crate::protocol::{ByeReason, Event, Nonce, Paged, PollHead, WireForm};
use crate::session::{Attachment, Outgoing};

/// Bytes of a response around its frames.
const ANSWER_WORDS_BYTES: usize = 160;
/// Bytes of refused channels that a held poll may keep until it is answered. A thousand refusals are a quarter of a
/// megabyte, and a held poll should cost little. A poll with more of them is answered at once.
const REFUSED_HELD_BYTES_MAX: usize = 64 * 1024;
/// Frames up to this size are joined at once, for one write with the head.
const MADE_AT_ONCE_BYTES_MAX: usize = 32 * 1024;
/// The same limit if many responses may be pending for one peer.
const NARROW_BYTES_MAX: usize = 2 * 1024;
/// The media type of a response.
pub(crate) const CONTENT_TYPE: &str = "application/json";

/// The response to one poll.
pub(crate) struct PollResponse {
    attach: Attachment,
    /// The frames before all others: hello, and the frame of refused channels.
    first: Option<String>,
    /// How long the poll is held if it continues a previous one. Later polls on its connection continue it too.
    wait: Duration,
    /// Whether later polls on its connection also get complete responses.
    may_repeat: bool,
    /// Whether the head is sent before the response is known.
    is_early: bool,
    /// Whether the response has begun: an early poll has sent spaces.
    is_over: bool,
    /// Whether many such responses may be pending for its peer.
    is_narrow: bool,
    /// Whether its request is checked by its head alone.
    is_by_head: bool,
    /// The request head that another poll of the same connection must repeat to reuse this attachment.
    asked: Option<PollHead>,
}

impl PollResponse {
    /// Responds at once, hello first, if the request does not continue a previous one. Otherwise holds the poll.
    pub(crate) fn new(mut attach: Attachment, facts: RequestFacts) -> Self {
        let goes_on = attach.goes_on();
        let attach_request = attach.attach_request();
        let asked = attach_request.and_then(|attach_request| attach_request.wait);
        let usual = attach.sessions().options().poll_wait;
        let refused = attach.refused_frame();
        let may_hold = refused
            .as_ref()
            .is_none_or(|frame| frame.len() <= REFUSED_HELD_BYTES_MAX);
        let wait = asked.unwrap_or(usual) * u32::from(may_hold);
        let wants_early = attach_request.is_some_and(|attach_request| attach_request.early);
        let is_early = goes_on && wants_early;
        attach.hold(if goes_on { wait } else { Duration::ZERO }, is_early);
        let hello = (!goes_on).then(|| attach.hello(facts.client));
        let first = [hello, refused];
        let first: Vec<String> = first.into_iter().flatten().collect();
        attach.forget_opening();
        Self {
            attach,
            first: (!first.is_empty()).then(|| first.join(",")),
            wait,
            is_early,
            // The head of an early response is sent before the response is known.
            may_repeat: !wants_early,
            is_over: false,
            is_narrow: false,
            is_by_head: false,
            asked: None,
        }
    }

    /// Marks a response whose request is checked by its head alone. The next poll then needs no new check if only its
    /// cursor differs.
    pub(crate) fn repeatable(self) -> Self {
        Self {
            is_by_head: true,
            ..self
        }
    }

    /// Returns whether the head is sent before the response is known.
    pub(crate) fn is_early(&self) -> bool {
        self.is_early
    }

    /// Encodes the response with a batch.
    fn batch(&mut self, batch: &Batch) -> Piece {
        let mut bye = String::new();
        if !batch.more
            && self.attach.is_draining()
            && let Outgoing::Bye(last) = self.attach.bye(ByeReason::Drain)
        {
            // No later poll could deliver the bye.
            bye = format!(",{}", last.json());
        }
        let made_at_once_max = if self.is_narrow {
            NARROW_BYTES_MAX
        } else {
            MADE_AT_ONCE_BYTES_MAX
        };
        if batch.items.frame_bytes() > made_at_once_max {
            return Piece::Text(self.paged(batch, bye));
        }
        let mut frames = frames_of(batch);
        if !bye.is_empty() {
            frames = [&frames, bye.as_bytes()].concat().into();
        }
        Piece::Bytes(self.text(&frames, batch.cursor, batch.more))
    }

    /// Encodes the response with a large batch.
    fn paged(&mut self, batch: &Batch, bye: String) -> Paged {
        let mut begin_bytes = Vec::new();
        begin(
            &mut begin_bytes,
            batch.cursor,
            self.attach.nonce(),
            batch.more,
        );
        let mut text = Paged::default();
        text.words(begin_bytes);
        if let Some(first) = self.first.take() {
            text.words(first + ",");
        }
        let is_event = |item: &Item| matches!(item, Item::Event(_));
        let runs = batch.items.chunk_by(|a, b| is_event(a) && is_event(b));
        for (index, run) in runs.enumerate() {
            if index > 0 {
                text.words(",");
            }
            if let [Item::Gap(gap)] = run {
                text.words(gap.json());
            }
            let events: Vec<Arc<Event>> = run.iter().filter_map(Item::event).cloned().collect();
            match self.attach.read_again(&events) {
                Some(reading) => text.range(Arc::new(reading), &events),
                None => text.events(events.iter()),
            }
        }
        text.words(bye + "]}\n");
        text
    }

    /// Encodes the response from frames, which are joined by commas.
    fn text(&mut self, frames: &[u8], cursor: Cursor, more: bool) -> Bytes {
        let nonce = self.attach.nonce();
        let first_bytes = self.first.as_ref().map_or(0, String::len);
        let mut out = Vec::with_capacity(frames.len() + first_bytes + ANSWER_WORDS_BYTES);
        begin(&mut out, cursor, nonce, more);
        if let Some(first) = self.first.take() {
            out.extend_from_slice(first.as_bytes());
            out.extend_from_slice(if frames.is_empty() { b"" } else { b"," });
        }
        out.extend_from_slice(frames);
        out.extend_from_slice(b"]}\n");
        out.into()
    }
}

impl Frames for PollResponse {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let Poll::Ready(turn) = self.attach.poll_outgoing(cx) else {
            return Poll::Pending;
        };
        let answer = match turn {
            // JSON allows leading space. One byte per second carries the held poll through proxies that cut silent
            // connections.
            Outgoing::Ping(_) => {
                return Poll::Ready(Some(Piece::Bytes(Bytes::from_static(b" "))));
            }
            Outgoing::Batch(batch) => self.batch(&batch),
            Outgoing::Reply(reply) => {
                let cursor = self.attach.cursor();
                Piece::Bytes(self.text(reply.as_bytes(), cursor, false))
            }
            Outgoing::Held(cursor) => Piece::Bytes(self.text(b"", cursor, false)),
            Outgoing::Bye(bye) => {
                let cursor = self.attach.cursor();
                Piece::Bytes(self.text(bye.json().as_bytes(), cursor, false))
            }
        };
        self.is_over = true;
        self.attach.answered();
        Poll::Ready(Some(answer))
    }

    fn narrow(&mut self) {
        self.is_narrow = true;
    }

    fn answer_now(&mut self) -> Option<Piece> {
        if self.is_over {
            return None;
        }
        self.is_over = true;
        let cursor = self.attach.cursor();
        Some(Piece::Bytes(self.text(b"", cursor, false)))
    }

    fn set_request_head(&mut self, head: &[u8]) {
        if self.is_by_head && self.may_repeat && self.attach.may_return() {
            self.asked = PollHead::new(head);
        }
    }

    fn park(&mut self) -> bool {
        self.asked.is_some() && self.attach.park()
    }

    fn fanout_encoder(&mut self) -> Option<(&mut Attachment, FanoutEncoder)> {
        let is_held = self.asked.is_some() && self.first.is_none() && !self.is_over;
        is_held.then_some((&mut self.attach, FanoutEncoder::Once(answer_with)))
    }

    fn resume(&mut self, unread: &[u8], is_watched: bool) -> Option<usize> {
        let moved = self.asked.as_ref()?.moved(unread)?;
        if !self.attach.resume(moved.cursor, moved.nonce, is_watched) {
            return None;
        }
        self.attach.hold(self.wait, self.is_early);
        self.is_over = false;
        Some(moved.head_bytes)
    }
}

/// Writes a response up to its frames. A test compares it with `PollAnswer`.
fn begin(out: &mut Vec<u8>, cursor: Cursor, nonce: &Nonce, more: bool) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{{\"cursor\":\"{cursor}\"");
    if !nonce.json().is_empty() {
        out.extend_from_slice(b",\"nonce\":");
        out.extend_from_slice(nonce.json());
    }
    if more {
        out.extend_from_slice(b",\"more\":true");
    }
    out.extend_from_slice(b",\"frames\":[");
}

/// Writes the response with the newest events.
fn answer_with(out: &mut Vec<u8>, run: &SharedBatch, cursor: Cursor, nonce: &Nonce) {
    begin(out, cursor, nonce, false);
    out.extend_from_slice(&run_frames(run));
    out.extend_from_slice(b"]}\n");
}

fn run_frames(run: &SharedBatch) -> Bytes {
    let encode = |event: &Event| event.encode_json(true).into();
    run.wire(WireForm::Json, encode, |frames| frames.join(&b',').into())
}

/// Returns the frames of a batch, with commas between them.
fn frames_of(batch: &Batch) -> Bytes {
    if let Items::Run(run) = &batch.items {
        return run_frames(run);
    }
    let frames = batch.items.iter().map(|item| match item {
        Item::Event(event) => event.json(),
        Item::Gap(gap) => gap.json().into(),
    });
    let frames: Vec<Bytes> = frames.collect();
    frames.join(&b',').into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::PollAnswer;

    #[test]
    fn an_answer_is_that_of_the_type() {
        let cursor: Cursor = "k3x9q2-42".parse().unwrap();
        for nonce in [None, Some("n1"), Some("a\"b\u{e9}")] {
            for more in [false, true] {
                let answer = PollAnswer {
                    cursor,
                    nonce: nonce.map(Into::into),
                    more,
                    frames: Vec::new(),
                };
                let mut out = Vec::new();
                begin(
                    &mut out,
                    cursor,
                    &nonce.map(Nonce::new).unwrap_or_default(),
                    more,
                );
                out.extend_from_slice(b"]}");
                assert_eq!(out, serde_json::to_vec(&answer).unwrap());
            }
        }
    }
}
