//! How much one batch of a feed may hold, and how it is read once more while it is written.

use std::sync::Arc;

use super::Feed;
use crate::hub::{Portion, Reading};
use crate::protocol::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Event, Transport};

/// The most bytes of frames in one batch of a stream, beyond its first event. What a peer does not take is all that
/// its reader costs beside its cursor.
const STREAM_BATCH_BYTES_MAX: usize = 32 * 1024;
/// The same where one peer may have many streams.
const NARROW_BATCH_BYTES_MAX: usize = 4 * 1024;

impl Feed {
    /// Its batches are small from now on.
    pub(crate) fn narrow(&mut self) {
        self.is_narrow = true;
    }

    /// A reading of these events, which were read just now; `None` where they come from several channels.
    pub(crate) fn read_again(&self, events: &[Arc<Event>]) -> Option<Reading> {
        let mut joined = self.joined.iter();
        let (_, only) = joined.next().filter(|_| self.joined.len() == 1)?;
        only.channel.read_again(events)
    }

    /// What one batch may hold.
    pub(super) fn portion(&self) -> Portion {
        let of_frames = matches!(self.transport, Some(Transport::Ws | Transport::Sse));
        Portion {
            events: BATCH_EVENTS_MAX,
            bytes: match (of_frames, self.is_narrow) {
                (true, true) => NARROW_BATCH_BYTES_MAX,
                (true, false) => STREAM_BATCH_BYTES_MAX,
                (false, _) => BATCH_BYTES_MAX,
            },
            of_frames,
        }
    }
}
