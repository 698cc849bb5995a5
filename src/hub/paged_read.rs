//! A run of events of one channel that is read while an answer with it is written.

use std::sync::Arc;

use super::Channel;
use crate::protocol::{Event, Source};

/// Where an answer is in a channel. What the channel forgets before that it keeps, where there is room.
#[derive(Debug)]
pub struct Reading {
    channel: Arc<Channel>,
    key: usize,
}

impl Reading {
    /// Of what comes after an offset, up to another one; the log is locked.
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
    /// A reading of these events, where they are what the log holds there.
    pub(crate) fn read_again(self: &Arc<Self>, events: &[Arc<Event>]) -> Option<Reading> {
        let (first, last) = (events.first()?.id.offset, events.last()?.id.offset);
        let mut log = self.log.lock();
        let is_whole = log.forgotten() < first
            && log
                .after(first - 1, events.len())
                .map(|event| event.id)
                .eq(events.iter().map(|event| event.id));
        is_whole.then(|| Reading::begin(self, &mut log, first - 1, last))
    }
}

impl Source for Reading {
    fn event(&self, after: u64) -> Option<Arc<Event>> {
        self.channel.log.lock().read_on(self.key, after)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.channel.log.lock().end_reading(self.key);
    }
}
