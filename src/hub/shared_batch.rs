//! Runs: the newest events of a channel, read as one by all readers that are at the same place, and joined to the
//! bytes of one write once for all of them.
//!
//! Knows no lock, no cursor of a reader and no wire; how pieces are joined is handed in.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::Portion;
use crate::protocol::cursor::Cursor;
use crate::protocol::{Event, Gap, Ledger, PAGED_BYTES_MIN, WIRE_FORMS, WireForm};

/// Bytes of a gap as a frame, about.
const GAP_BYTES: usize = 256;
/// Counts data alone.
const DATA: Portion = Portion {
    events: usize::MAX,
    bytes: usize::MAX,
    of_frames: false,
};

/// One thing that a reader is told.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event.
    Event(Arc<Event>),
    /// Events that it will never see.
    Gap(Gap),
}

impl Item {
    /// The cursor after it.
    #[must_use]
    pub fn id(&self) -> Cursor {
        match self {
            Self::Event(event) => event.id,
            Self::Gap(gap) => gap.id,
        }
    }

    /// The event, where it is one.
    pub(crate) fn event(&self) -> Option<&Arc<Event>> {
        match self {
            Self::Event(event) => Some(event),
            Self::Gap(_) => None,
        }
    }

    /// Bytes that it takes of a portion.
    pub(crate) fn bytes_of(&self, portion: Portion) -> usize {
        match self {
            Self::Event(event) => portion.bytes_of(event),
            Self::Gap(_) => 0,
        }
    }

    /// Bytes of its frame, about.
    fn frame_bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.frame_bytes(),
            Self::Gap(_) => GAP_BYTES,
        }
    }
}

/// The newest events of one channel, up to its last.
#[derive(Debug)]
pub struct Run {
    items: Box<[Item]>,
    /// Where the event before the first one ends: whoever is here or behind, but before the first, reads all of it.
    after: u64,
    data_bytes: usize,
    frame_bytes: usize,
    joined: [OnceLock<Bytes>; WIRE_FORMS],
    ledger: Ledger,
    /// Bytes of the joined forms, which stand in the ledger.
    held_bytes: AtomicUsize,
}

impl Run {
    pub(super) fn new(items: Vec<Item>, after: u64, ledger: &Ledger) -> Self {
        Self {
            data_bytes: items.iter().map(|item| item.bytes_of(DATA)).sum(),
            frame_bytes: items.iter().map(Item::frame_bytes).sum(),
            items: items.into(),
            after,
            joined: Default::default(),
            ledger: ledger.clone(),
            held_bytes: AtomicUsize::new(0),
        }
    }

    /// Whether it is all that a reader at `offset` has before it up to `head`, and no more than its portion.
    pub(super) fn follows(&self, offset: u64, head: u64, portion: Portion) -> bool {
        let Some(last) = self.items.last() else {
            return false;
        };
        let bytes = if portion.of_frames {
            self.frame_bytes
        } else {
            self.data_bytes
        };
        let is_small = self.items.len() <= portion.events && bytes <= portion.bytes;
        self.begins_at(offset) && last.id().offset <= head && (is_small || self.items.len() == 1)
    }

    /// Whether it is what comes next for a reader at `offset`.
    pub(crate) fn begins_at(&self, offset: u64) -> bool {
        let first = self.items.first().map(Item::id);
        self.after <= offset && first.is_some_and(|first| offset < first.offset)
    }

    /// The offset of its last event.
    pub(crate) fn last(&self) -> u64 {
        self.items.last().map_or(0, |item| item.id().offset)
    }

    /// Bytes of its frames, about.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// How many events it has.
    pub(crate) fn events(&self) -> usize {
        self.items.len()
    }

    /// Its events in a wire form, each made by `encode` and all of them joined by `join` on first use.
    pub fn wire(
        &self,
        form: WireForm,
        encode: impl Fn(&Event) -> Bytes,
        join: impl FnOnce(Vec<Bytes>) -> Bytes,
    ) -> Bytes {
        let piece = |item: &Item| match item {
            Item::Event(event) => event.wire(form, &encode),
            Item::Gap(_) => Bytes::new(),
        };
        if let [item] = &*self.items {
            return piece(item);
        }
        let made = self.joined[form as usize].get_or_init(|| {
            let bytes = join(self.items.iter().map(piece).collect());
            self.ledger.add(bytes.len());
            self.held_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
            bytes
        });
        made.clone()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.ledger.remove(*self.held_bytes.get_mut());
    }
}

/// Items of a batch: its own, or a run that it shares with other readers.
#[derive(Clone, Debug)]
pub enum Items {
    /// Its own.
    Own(Vec<Item>),
    /// Shared.
    Run(Arc<Run>),
}

impl Items {
    /// Bytes of the frames, about.
    pub(crate) fn frame_bytes(&self) -> usize {
        match self {
            Self::Own(items) => items.iter().map(Item::frame_bytes).sum(),
            Self::Run(run) => run.frame_bytes,
        }
    }

    /// Its one event, where it is nothing else and its frame is large.
    pub(crate) fn large_event(&self) -> Option<&Arc<Event>> {
        match &**self {
            [Item::Event(event)] if event.frame_bytes() > PAGED_BYTES_MIN => Some(event),
            _ => None,
        }
    }
}

impl Deref for Items {
    type Target = [Item];

    fn deref(&self) -> &[Item] {
        match self {
            Self::Own(items) => items,
            Self::Run(run) => &run.items,
        }
    }
}

impl IntoIterator for Items {
    type Item = Item;
    type IntoIter = std::vec::IntoIter<Item>;

    fn into_iter(self) -> Self::IntoIter {
        match self {
            Self::Own(items) => items.into_iter(),
            Self::Run(run) => run.items.clone().into_vec().into_iter(),
        }
    }
}
