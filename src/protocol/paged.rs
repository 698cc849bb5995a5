//! A text that is made into bytes as there is room to write them.
//!
//! It keeps references to events and members, so that a peer that reads nothing of a large response costs little. If
//! the log discards an event before it is written, making the text fails with [`EventForgotten`]. Knows no log and no
//! socket.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};

use bytes::{Buf, Bytes};

use super::{Event, WireForm};

/// Texts up to this size are made at once.
pub(crate) const PAGED_BYTES_MIN: usize = 16 * 1024;
/// An event larger than this lends its bytes instead of copying them.
const LENT_BYTES_MIN: usize = 16 * 1024;
/// Bytes that are lent at once: more than a socket accepts.
const LENT_BYTES_MAX: usize = 1024 * 1024;

/// A value that is serialized each time it is written, always to the same bytes.
pub trait Rewritable: fmt::Debug + Send + Sync {
    /// Returns the serialized bytes.
    fn words(&self) -> Bytes;
}

/// Finds the events of a range again, one after the other.
pub trait EventSource: fmt::Debug + Send + Sync {
    /// Returns the first event after this offset, or `None` if it is forgotten.
    fn event(&self, after: u64) -> Option<Arc<Event>>;
}

/// The error that an event of the text is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventForgotten;

impl fmt::Display for EventForgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event was forgotten before the peer took it")
    }
}

impl std::error::Error for EventForgotten {}

/// How an event is encoded in a wire form.
pub type Encode = fn(&Event) -> Bytes;

/// A text in parts.
#[derive(Debug, Default)]
pub struct Paged {
    parts: VecDeque<PagedPart>,
    /// Bytes that remain.
    bytes: usize,
    /// How many bytes of the first item of the first part are used.
    used: usize,
    /// The offset of that item if it is an event of a range.
    offset: u64,
    /// Whether a comma comes before that item.
    owes_comma: bool,
}

#[derive(Debug)]
enum PagedPart {
    Words(Bytes),
    /// Events as JSON, with commas between them.
    Events(VecDeque<Weak<Event>>),
    Worded(VecDeque<Arc<dyn Rewritable>>),
    /// This many events after an offset, as JSON, with commas between them.
    Range(Arc<dyn EventSource>, u64, usize),
    /// One event in a wire form, up to this length.
    Wire(Weak<Event>, WireForm, Encode, usize),
}

/// Some bytes of a text.
#[derive(Debug, PartialEq, Eq)]
pub enum PagedSection {
    /// A copy that has no other owner.
    Own(Bytes),
    /// Bytes of an event that has other owners.
    Lent(Bytes),
}

impl PagedSection {
    /// Returns the bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Own(bytes) | Self::Lent(bytes) => bytes,
        }
    }
}

impl From<String> for Paged {
    fn from(words: String) -> Self {
        let mut text = Self::default();
        text.words(words);
        text
    }
}

impl Paged {
    /// Returns one event in a wire form, without this many bytes at its beginning and at its end.
    #[must_use]
    pub fn of_wire(
        event: &Arc<Event>,
        form: WireForm,
        encode: Encode,
        around: (usize, usize),
    ) -> Self {
        let bytes = event.wire(form, encode).len();
        let (before, end) = (around.0.min(bytes), bytes.saturating_sub(around.1));
        let part = PagedPart::Wire(Arc::downgrade(event), form, encode, end);
        Self {
            parts: [part].into(),
            bytes: end.saturating_sub(before),
            used: before,
            offset: 0,
            owes_comma: false,
        }
    }

    /// Returns the number of bytes that remain.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Returns whether nothing remains.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Returns whether the text is large enough to be made in parts.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.bytes > PAGED_BYTES_MIN
    }

    /// Returns the text if it consists of words in one piece.
    #[must_use]
    pub fn only_words(&self) -> Option<&str> {
        match (self.parts.front(), self.parts.len()) {
            (None, _) => Some(""),
            (Some(PagedPart::Words(words)), 1) => str::from_utf8(&words[self.used..]).ok(),
            _ => None,
        }
    }

    /// Adds words.
    pub fn words(&mut self, words: impl Into<Bytes>) {
        let words = words.into();
        if !words.is_empty() {
            self.bytes += words.len();
            self.parts.push_back(PagedPart::Words(words));
        }
    }

    /// Adds events as JSON, with commas between them.
    pub fn events<'a>(&mut self, events: impl Iterator<Item = &'a Arc<Event>>) {
        let mut bytes = 0;
        let count = |event: &Arc<Event>| {
            bytes += event.json().len() + 1;
            Arc::downgrade(event)
        };
        let events: VecDeque<Weak<Event>> = events.map(count).collect();
        if !events.is_empty() {
            self.bytes += bytes - 1;
            self.parts.push_back(PagedPart::Events(events));
        }
    }

    /// Adds events that the source finds again, as JSON, with commas between them. All of them together cost only a few
    /// bytes.
    pub fn range(&mut self, source: Arc<dyn EventSource>, events: &[Arc<Event>]) {
        if let Some(first) = events.first() {
            let bytes = events.iter().map(|event| event.json().len() + 1);
            self.bytes += bytes.sum::<usize>() - 1;
            let after = first.id.offset - 1;
            self.parts
                .push_back(PagedPart::Range(source, after, events.len()));
        }
    }

    /// Adds values that serialize themselves, with commas between them.
    pub fn worded(&mut self, items: VecDeque<Arc<dyn Rewritable>>) {
        if !items.is_empty() {
            let bytes = items.iter().map(|item| item.words().len() + 1);
            self.bytes += bytes.sum::<usize>() - 1;
            self.parts.push_back(PagedPart::Worded(items));
        }
    }

    /// Adds another text.
    pub fn append(&mut self, mut other: Self) {
        debug_assert_eq!(other.used, 0, "nothing of it was taken");
        self.bytes += other.bytes;
        self.parts.append(&mut other.parts);
    }

    /// Returns the next bytes, or `None` at the end. Copied bytes are limited to `most`.
    ///
    /// # Errors
    /// [`EventForgotten`] if an event is forgotten.
    pub fn take(&mut self, most: usize) -> Result<Option<PagedSection>, EventForgotten> {
        let mut out = Vec::new();
        while out.len() < most && self.bytes > 0 {
            if out.capacity() == 0 {
                out.reserve_exact(self.bytes.min(most));
            }
            if std::mem::take(&mut self.owes_comma) {
                out.push(b',');
                self.bytes -= 1;
                continue;
            }
            let (item, is_lent) = self.item()?;
            let left = item.len() - self.used;
            if left == 0 {
                self.next_item();
                continue;
            }
            if is_lent && left > LENT_BYTES_MIN {
                if !out.is_empty() {
                    break;
                }
                let end = self.used + left.min(LENT_BYTES_MAX);
                let lent = item.slice(self.used..end);
                self.advance(lent.len());
                return Ok(Some(PagedSection::Lent(lent)));
            }
            let taken = left.min(most - out.len());
            out.extend_from_slice(&item[self.used..self.used + taken]);
            self.advance(taken);
            if taken == left {
                self.next_item();
            }
        }
        if self.bytes == 0 {
            self.parts = VecDeque::new();
        }
        Ok((!out.is_empty()).then(|| PagedSection::Own(out.into())))
    }

    /// Takes the last bytes of the latest lent section back into the text.
    pub fn give_back(&mut self, bytes: usize) {
        self.used -= bytes;
        self.bytes += bytes;
    }

    /// Returns everything that remains, in one piece.
    ///
    /// # Errors
    /// [`EventForgotten`] if an event is forgotten.
    pub fn whole(mut self) -> Result<Bytes, EventForgotten> {
        if let [PagedPart::Words(_)] = self.parts.make_contiguous()
            && let Some(PagedPart::Words(mut words)) = self.parts.pop_front()
        {
            words.advance(self.used);
            return Ok(words);
        }
        let mut out = Vec::with_capacity(self.bytes);
        while let Some(section) = self.take(usize::MAX)? {
            out.extend_from_slice(&section.into_bytes());
        }
        Ok(out.into())
    }

    fn advance(&mut self, bytes: usize) {
        self.used += bytes;
        self.bytes -= bytes;
    }

    /// Returns the bytes of the first item, and whether they have other owners.
    fn item(&mut self) -> Result<(Bytes, bool), EventForgotten> {
        Ok(match self.parts.front().ok_or(EventForgotten)? {
            PagedPart::Words(words) => (words.clone(), false),
            PagedPart::Events(events) => {
                let event = events
                    .front()
                    .and_then(Weak::upgrade)
                    .ok_or(EventForgotten)?;
                (event.json(), true)
            }
            PagedPart::Worded(items) => (items.front().ok_or(EventForgotten)?.words(), false),
            PagedPart::Range(source, after, _) => {
                let event = source.event(*after).ok_or(EventForgotten)?;
                self.offset = event.id.offset;
                (event.json(), true)
            }
            PagedPart::Wire(event, form, encode, end) => {
                let event = event.upgrade().ok_or(EventForgotten)?;
                (event.wire(*form, encode).slice(..*end), true)
            }
        })
    }

    fn next_item(&mut self) {
        self.used = 0;
        self.owes_comma = match self.parts.front_mut() {
            Some(PagedPart::Events(events)) => {
                events.pop_front();
                !events.is_empty()
            }
            Some(PagedPart::Worded(items)) => {
                items.pop_front();
                !items.is_empty()
            }
            Some(PagedPart::Range(_, after, left)) => {
                *after = self.offset;
                *left -= 1;
                *left > 0
            }
            Some(PagedPart::Words(_) | PagedPart::Wire(..)) | None => false,
        };
        if !self.owes_comma {
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ChannelName, Data, Draft, EventName, Ledger};

    fn event(bytes: usize) -> Arc<Event> {
        numbered(bytes, 1)
    }

    fn numbered(bytes: usize, offset: u64) -> Arc<Event> {
        let draft = Draft {
            channel: ChannelName::new("a").unwrap(),
            name: EventName::default(),
            data: Data::text(&"x".repeat(bytes)),
            from: None,
            session: None,
            sent_bytes: bytes,
        };
        let ledger = Ledger::default();
        Arc::new(Event::new(draft, "e".parse().unwrap(), offset, 0, &ledger))
    }

    fn text(events: &[Arc<Event>]) -> Paged {
        let mut text = Paged::from("[".to_owned());
        text.events(events.iter());
        text.words("]");
        text
    }

    fn expected(events: &[Arc<Event>]) -> Vec<u8> {
        let events: Vec<Bytes> = events.iter().map(|event| event.json()).collect();
        [&b"["[..], &events.join(&b','), b"]"].concat()
    }

    #[test]
    fn it_is_the_same_however_it_is_taken() {
        let events: Vec<_> = [10, 50_000, 3, 20_000, 40_000].map(event).into();
        let expected = expected(&events);
        for most in [1, 7, 2_048, 30_000, usize::MAX] {
            let mut text = text(&events);
            assert_eq!(text.len(), expected.len());
            let mut out = Vec::new();
            while let Some(section) = text.take(most).unwrap() {
                if let PagedSection::Own(own) = &section {
                    assert!(own.len() <= most);
                }
                out.extend_from_slice(&section.into_bytes());
                assert_eq!(text.len(), expected.len() - out.len());
            }
            assert_eq!(out, expected, "by {most}");
        }
        assert_eq!(text(&events).whole().unwrap(), expected);
    }

    /// A source that finds these events again.
    #[derive(Debug)]
    struct Found(Vec<Arc<Event>>);

    impl EventSource for Found {
        fn event(&self, after: u64) -> Option<Arc<Event>> {
            self.0.get(after as usize).cloned()
        }
    }

    #[test]
    fn events_of_a_range_are_found_again() {
        let events: Vec<_> = [10, 50_000, 3]
            .into_iter()
            .zip(1..)
            .map(|(bytes, offset)| numbered(bytes, offset))
            .collect();
        for most in [1, 1_024, usize::MAX] {
            let mut text = Paged::from("[".to_owned());
            text.range(Arc::new(Found(events.clone())), &events);
            text.words("]");
            let mut out = Vec::new();
            while let Some(section) = text.take(most).unwrap() {
                out.extend_from_slice(&section.into_bytes());
            }
            assert_eq!(out, expected(&events));
        }
        let mut text = Paged::default();
        text.range(Arc::new(Found(Vec::new())), &events);
        assert_eq!(text.take(10), Err(EventForgotten));
    }

    #[test]
    fn what_was_lent_can_be_given_back() {
        let events = [event(100_000)];
        let mut text = text(&events);
        assert_eq!(
            text.take(1).unwrap(),
            Some(PagedSection::Own(Bytes::from("[")))
        );
        let Some(PagedSection::Lent(lent)) = text.take(1).unwrap() else {
            panic!("a large event is lent")
        };
        text.give_back(lent.len() - 5);
        let rest = text.whole().unwrap();
        assert_eq!([b"[", &lent[..5], &rest[..]].concat(), expected(&events));
    }

    #[test]
    fn a_forgotten_event_ends_it_and_nothing_holds_it() {
        let mut events = vec![event(10), event(20)];
        let mut text = text(&events);
        assert!(text.take(1).unwrap().is_some());
        events.pop();
        assert!(text.take(1_000).is_err());
    }

    #[test]
    fn a_wire_form_is_written_without_what_is_around_it() {
        let event = event(100);
        let encode = |event: &Event| event.encode_json(true).into();
        let json = event.json();
        let text = Paged::of_wire(&event, WireForm::WsFull, encode, (2, 3));
        assert_eq!(text.len(), json.len() - 5);
        assert_eq!(text.whole().unwrap(), json[2..json.len() - 3]);
    }
}
