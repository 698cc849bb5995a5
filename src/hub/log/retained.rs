//! What a log has forgotten while answers with it are still written.
//!
//! Knows no reader; the room for all of it is the ledger's.

use std::sync::Arc;

use slab::Slab;

use crate::protocol::{Event, Kept};

/// Forgotten events that somebody still reads, and who reads what.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// By their offsets.
    kept: Vec<Kept>,
    /// Where each reading is, and where it ends.
    readings: Slab<(u64, u64)>,
    /// The newest event that was to be read and found no room.
    lost: u64,
}

impl Remains {
    fn is_within(&self, offset: u64) -> bool {
        let mut readings = self.readings.iter();
        readings.any(|(_, (after, end))| *after < offset && offset <= *end)
    }

    /// Keeps a forgotten event where it is read and there is room for it.
    pub(super) fn forget(&mut self, event: Arc<Event>) {
        let offset = event.id.offset;
        let is_within = self.is_within(offset);
        match Kept::of(event, is_within) {
            Some(kept) => self.kept.push(kept),
            None if is_within => self.lost = offset,
            None => {}
        }
    }

    pub(super) fn begin(&mut self, after: u64, end: u64) -> usize {
        self.readings.insert((after, end))
    }

    /// A reading is here. Whether all that follows it is still there.
    pub(super) fn go_on(&mut self, key: usize, after: u64) -> bool {
        if let Some(reading) = self.readings.get_mut(key) {
            reading.0 = after;
        }
        after >= self.lost
    }

    /// The first kept event after this offset.
    pub(super) fn after(&self, offset: u64) -> Option<&Arc<Event>> {
        let index = self
            .kept
            .partition_point(|kept| kept.event().id.offset <= offset);
        self.kept.get(index).map(Kept::event)
    }

    pub(super) fn end(&mut self, key: usize) {
        self.readings.try_remove(key);
    }

    /// Lets go of what nobody reads any more. Whether anything is left.
    pub(super) fn let_go(&mut self) -> bool {
        let mut kept = std::mem::take(&mut self.kept);
        kept.retain(|kept| kept.is_read() || self.is_within(kept.event().id.offset));
        kept.shrink_to_fit();
        self.kept = kept;
        !self.kept.is_empty() || !self.readings.is_empty()
    }
}
