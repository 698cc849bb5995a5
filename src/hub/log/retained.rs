//! The events that a log has forgotten and still retains, because responses with them are still being written.
//!
//! Knows no reader. The ledger limits the room for all retained events.

use std::sync::Arc;

use slab::Slab;

use crate::protocol::{Event, RetainedEvent};

/// Forgotten events that are still read, and the paged reads in progress.
#[derive(Debug, Default)]
pub(super) struct RetainedEvents {
    /// Sorted by offset.
    kept: Vec<RetainedEvent>,
    /// The position and the end of each paged read.
    readings: Slab<(u64, u64)>,
    /// The newest event that a paged read needed and that found no room.
    lost: u64,
}

impl RetainedEvents {
    fn is_within(&self, offset: u64) -> bool {
        let mut readings = self.readings.iter();
        readings.any(|(_, (after, end))| *after < offset && offset <= *end)
    }

    /// Retains a forgotten event if it is still read and there is room for it.
    pub(super) fn forget(&mut self, event: Arc<Event>) {
        let offset = event.id.offset;
        let is_within = self.is_within(offset);
        match RetainedEvent::of(event, is_within) {
            Some(kept) => self.kept.push(kept),
            None if is_within => self.lost = offset,
            None => {}
        }
    }

    pub(super) fn begin(&mut self, after: u64, end: u64) -> usize {
        self.readings.insert((after, end))
    }

    /// Moves a paged read to this offset. Returns whether all events after it are still available.
    pub(super) fn go_on(&mut self, key: usize, after: u64) -> bool {
        if let Some(reading) = self.readings.get_mut(key) {
            reading.0 = after;
        }
        after >= self.lost
    }

    /// Returns the first retained event after this offset.
    pub(super) fn after(&self, offset: u64) -> Option<&Arc<Event>> {
        let index = self
            .kept
            .partition_point(|kept| kept.event().id.offset <= offset);
        self.kept.get(index).map(RetainedEvent::event)
    }

    pub(super) fn end(&mut self, key: usize) {
        self.readings.try_remove(key);
    }

    /// Releases the events that no response reads any more. Returns whether anything remains.
    pub(super) fn let_go(&mut self) -> bool {
        let mut kept = std::mem::take(&mut self.kept);
        kept.retain(|kept| kept.is_read() || self.is_within(kept.event().id.offset));
        kept.shrink_to_fit();
        self.kept = kept;
        !self.kept.is_empty() || !self.readings.is_empty()
    }
}
