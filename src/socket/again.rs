//! Answers that come as a whole, and may be followed by others of their kind on the same socket: the poll that comes
//! next asks for the same, and what was judged and made for the first one is kept.
//!
//! Compares heads byte for byte; what an address means is for whoever makes the frames.

use std::sync::Arc;

use axum::http::response::Parts;
use bytes::Bytes;

use super::head::{Head, Length};
use super::{Again, Conversation, Making, Owned, Terms, is_last};
use crate::transport::Frames;

/// What a head that may be answered again begins with.
const METHOD: &[u8] = b"GET ";

/// An answer that is written as a whole.
pub(super) struct Whole<F> {
    /// The head of the request that was answered first; empty where it did not come plain.
    asked: Bytes,
    head: Head,
    closes: bool,
    frames: F,
    terms: Arc<Terms>,
}

impl<F: Frames + 'static> Whole<F> {
    pub(super) fn new(head: &Parts, owned: &Owned, frames: F, terms: Arc<Terms>) -> Box<Self> {
        Box::new(Self {
            asked: owned.asked.clone(),
            head: Head::of(head),
            closes: is_last(head),
            frames,
            terms,
        })
    }
}

impl<F: Frames + 'static> Again for Whole<F> {
    fn begin(&mut self, unread: &[u8]) -> Option<usize> {
        let (first_address, lines) = split(&self.asked)?;
        let (address, rest) = split(unread)?;
        let is_same = rest.starts_with(lines) && self.frames.again(first_address, address);
        is_same.then(|| METHOD.len() + address.len() + lines.len())
    }

    fn make(mut self: Box<Self>, owned: Owned) -> Making {
        let mut conversation = Conversation::new(self.closes, owned, &self.terms);
        Box::pin(async move {
            let bytes = conversation.answer(&mut self.frames).await?;
            let mut answer = self.head.bytes(Length::Bytes(bytes.len()), bytes.len());
            // In one piece: copying is cheaper than a vectored write.
            answer.extend_from_slice(&bytes);
            conversation.output.push(answer.into());
            let may_repeat = !self.asked.is_empty() && self.frames.rest();
            let again = may_repeat.then_some(self as Box<dyn Again>);
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
