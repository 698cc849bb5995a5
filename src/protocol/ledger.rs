//! Counts the bytes that the events of one hub hold, and how many of them are retained only for responses in progress.
//!
//! Knows no log and no reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Event;

/// The bytes that the events of one hub hold, including their encoded forms. The hub and its events share it.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    held: AtomicUsize,
    kept: AtomicUsize,
    kept_max: usize,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::keeping(usize::MAX)
    }
}

impl Ledger {
    /// Returns a ledger for a hub that retains at most this many bytes of forgotten events that are still read.
    #[must_use]
    pub fn keeping(kept_max: usize) -> Self {
        Self(Arc::new(Counts {
            held: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            kept_max,
        }))
    }

    /// Returns the bytes held at this moment.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Counts bytes that are held from now on.
    pub(crate) fn add(&self, bytes: usize) {
        self.0.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Subtracts bytes that are released.
    pub(crate) fn remove(&self, bytes: usize) {
        self.0.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// An event that its log forgot while it is read as part of a response in progress.
#[derive(Debug)]
pub(crate) struct RetainedEvent {
    event: Arc<Event>,
    bytes: usize,
}

impl RetainedEvent {
    /// Retains an event if it is read, or still referenced, and there is room for it.
    pub(crate) fn of(event: Arc<Event>, is_read: bool) -> Option<Self> {
        if !is_read && Arc::weak_count(&event) == 0 {
            return None;
        }
        let bytes = event.held_bytes();
        let before = event.ledger.0.kept.fetch_add(bytes, Ordering::Relaxed);
        let kept = Self { event, bytes };
        let has_room = before + bytes <= kept.event.ledger.0.kept_max;
        has_room.then_some(kept)
    }

    pub(crate) fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// Returns whether the event is still referenced.
    pub(crate) fn is_read(&self) -> bool {
        Arc::weak_count(&self.event) > 0
    }
}

impl Drop for RetainedEvent {
    fn drop(&mut self) {
        let counts = &self.event.ledger.0;
        counts.kept.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
