//! Shared batches: the newest events of a channel, read together by all readers at the same position. Their bytes are
//! joined for one write only once, and all those readers share them.
//!
//! Knows no lock, no reader's cursor and no wire; the caller passes in how pieces are joined.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::ReadLimit;
use crate::protocol::cursor::Cursor;
use crate::protocol::{Event, Gap, Ledger, PAGED_BYTES_MIN, WIRE_FORMS, WireForm};

/// Bytes of a gap as a frame, approximately.
const GAP_BYTES: usize = 256;
/// A limit that counts data only.
const DATA: ReadLimit = ReadLimit {
    events: usize::MAX,
    bytes: usize::MAX,
    of_frames: false,
};

/// One item that is delivered to a reader.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event.
    Event(Arc<Event>),
    /// A gap: events that the reader will never see.
    Gap(Gap),
}

impl Item {
    /// Returns the cursor after this item.
    #[must_use]
    pub fn id(&self) -> Cursor {
        match self {
            Self::Event(event) => event.id,
            Self::Gap(gap) => gap.id,
        }
    }

    /// Returns the event if the item is one.
    pub(crate) fn event(&self) -> Option<&Arc<Event>> {
        match self {
            Self::Event(event) => Some(event),
            Self::Gap(_) => None,
        }
    }

    /// Returns how many bytes of a read limit this item uses.
    pub(crate) fn bytes_of(&self, portion: ReadLimit) -> usize {
        match self {
            Self::Event(event) => portion.bytes_of(event),
            Self::Gap(_) => 0,
        }
    }

    /// Returns the bytes of its frame, approximately.
    fn frame_bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.frame_bytes(),
            Self::Gap(_) => GAP_BYTES,
        }
    }
}

/// The newest events of one channel, up to the last one.
#[derive(Debug)]
pub struct SharedBatch {
    items: Box<[Item]>,
    /// The offset of the event before the first one. A reader at this offset or later, but before the first event,
    /// reads the whole batch.
    after: u64,
    data_bytes: usize,
    frame_bytes: usize,
    joined: [OnceLock<Bytes>; WIRE_FORMS],
    ledger: Ledger,
    /// Bytes of the joined forms, which the ledger counts.
    held_bytes: AtomicUsize,
}

impl SharedBatch {
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

    /// Returns whether the batch is everything between a reader at `offset` and `head`, and fits into the reader's
    /// limit. A batch of one event always fits.
    pub(super) fn follows(&self, offset: u64, head: u64, portion: ReadLimit) -> bool {
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

    /// Returns whether the batch comes next for a reader at `offset`.
    pub(crate) fn begins_at(&self, offset: u64) -> bool {
        let first = self.items.first().map(Item::id);
        self.after <= offset && first.is_some_and(|first| offset < first.offset)
    }

    /// Returns the offset of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.items.last().map_or(0, |item| item.id().offset)
    }

    /// Returns the bytes of the frames, approximately.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// Returns the number of events.
    pub(crate) fn events(&self) -> usize {
        self.items.len()
    }

    /// Returns the events in a wire form. On first use, `encode` makes the bytes of each event and `join` joins them.
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

impl Drop for SharedBatch {
    fn drop(&mut self) {
        self.ledger.remove(*self.held_bytes.get_mut());
    }
}

/// The items of a batch: its own, or a shared batch of several readers.
#[derive(Clone, Debug)]
pub enum Items {
    /// Items of this reader alone.
    Own(Vec<Item>),
    /// A batch that other readers share.
    Run(Arc<SharedBatch>),
}

impl Items {
    /// Returns the bytes of the frames, approximately.
    pub(crate) fn frame_bytes(&self) -> usize {
        match self {
            Self::Own(items) => items.iter().map(Item::frame_bytes).sum(),
            Self::Run(run) => run.frame_bytes,
        }
    }

    /// Returns the event if it is the only item and its frame is large.
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
