//! Answers that come as a whole, and may be followed by others of their kind on the same socket: the poll that comes
//! next asks for the same, and what was judged and made for the first one is kept.
//!
//! Compares heads byte for byte; what an address means is for whoever makes the frames.

use std::sync::Arc;

use axum::http::response::Parts;
use bytes::Bytes;

use super::conversation::Outcome;
use super::head::Head;
use super::{Again, Conversation, Making, Owned, Terms, is_last};
use crate::transport::pump::Berth;
use crate::transport::{Envelope as _, Frames};

/// What a head that may be answered again begins with.
const METHOD: &[u8] = b"GET ";

/// An answer that is written as a whole.
pub(super) struct Whole<F> {
    /// The head of the request that was answered first; empty where it did not come plain.
    asked: Bytes,
    head: Arc<Head>,
    closes: bool,
    frames: F,
    /// Kept while it rests, so that it need not be looked for when it comes back soon.
    berth: Berth,
    terms: Arc<Terms>,
}

impl<F: Frames + 'static> Whole<F> {
    pub(super) fn new(head: &Parts, owned: &Owned, frames: F, terms: Arc<Terms>) -> Box<Self> {
        Box::new(Self {
            asked: owned.asked.clone(),
            head: Head::of(head),
            closes: is_last(head),
            frames,
            berth: Berth::default(),
            terms,
        })
    }

    /// The answer is made: it rests, where another one may follow.
    fn rest(&mut self) -> bool {
        let rests = !self.asked.is_empty() && self.frames.rest();
        if rests {
            self.berth.rest();
        }
        rests
    }
}

impl<F: Frames + 'static> Again for Whole<F> {
    fn begin(&mut self, unread: &[u8]) -> Option<usize> {
        let (first_address, lines) = split(&self.asked)?;
        let (address, rest) = split(unread)?;
        if !rest.starts_with(lines) {
            return None;
        }
        let is_watched = self.berth.come_back();
        let is_same = self.frames.again(first_address, address, is_watched);
        if let Some((attach, _)) = self.frames.pumped()
            && !attach.is_watched()
        {
            self.berth = Berth::default();
        }
        is_same.then(|| METHOD.len() + address.len() + lines.len())
    }

    fn make(mut self: Box<Self>, owned: Owned) -> Making {
        let mut conversation = Conversation::new(self.closes, owned, &self.terms);
        conversation.berth = std::mem::take(&mut self.berth);
        if !self.closes && !self.asked.is_empty() {
            conversation.envelope = Some(self.head.clone());
        }
        Box::pin(async move {
            let outcome = conversation.answer(&mut self.frames).await;
            self.berth = std::mem::take(&mut conversation.berth);
            if let Outcome::Bytes(bytes) = outcome? {
                let mut answer = Vec::with_capacity(self.head.room(bytes.len()));
                self.head.enclose(&mut answer, &bytes);
                conversation.output.push(answer.into());
            }
            let again = self.rest().then_some(self as Box<dyn Again>);
            let is_free = conversation.finish().await;
            is_free.then(|| Owned {
                again,
                ..conversation.give_back()
            })
        })
    }
}

/// The address of a GET, and all of its head behind that.
fn split(head: &[u8]) -> Option<(&str, &[u8])> {
    let head = head.strip_prefix(METHOD)?;
    let end = memchr::memchr(b' ', head)?;
    let (address, lines) = head.split_at(end);
    Some((str::from_utf8(address).ok()?, lines))
}
