//! A paged read: a range of events of one channel that is read while the response with it is written.
//!
//! Knows a channel and its log. Knows no reader and no wire.

use std::sync::Arc;

use super::Channel;
use crate::protocol::{Event, EventSource};

/// The registration of a response that reads a range of a channel. If there is room, the channel retains the events
/// that it forgets before the response has read them.
#[derive(Debug)]
pub struct PagedRead {
    channel: Arc<Channel>,
    key: usize,
}

impl PagedRead {
    /// Begins to read the events after `after` up to `end`. The caller holds the lock of the log.
    pub(super) fn begin(
        channel: &Arc<Channel>,
        log: &mut crate::hub::log::Log,
        after: u64,
        end: u64,
    ) -> Self {
        Self {
            channel: channel.clone(),
            key: log.begin_reading(after, end),
        }
    }
}

impl Channel {
    /// Returns a paged read of these events, if the log still holds all of them and no others between them.
    pub(crate) fn read_again(self: &Arc<Self>, events: &[Arc<Event>]) -> Option<PagedRead> {
        let (first, last) = (events.first()?.id.offset, events.last()?.id.offset);
        let mut log = self.log.lock();
        let is_whole = log.forgotten() < first
            && log
                .after(first - 1, events.len())
                .map(|event| event.id)
                .eq(events.iter().map(|event| event.id));
        is_whole.then(|| PagedRead::begin(self, &mut log, first - 1, last))
    }
}

impl EventSource for PagedRead {
    fn event(&self, after: u64) -> Option<Arc<Event>> {
        self.channel.log.lock().read_on(self.key, after)
    }
}

impl Drop for PagedRead {
    fn drop(&mut self) {
        self.channel.log.lock().end_reading(self.key);
    }
}
