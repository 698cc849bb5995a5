//! How much one batch of a feed may hold, and how it is read again while it is written.

use std::sync::Arc;

use super::Feed;
use crate::hub::{PagedRead, ReadLimit};
use crate::protocol::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Event, Transport};

/// The most bytes of frames in one batch of a stream; a single event may be larger. The bytes that its peer has not
/// accepted are all that a reader costs besides its cursor.
const STREAM_BATCH_BYTES_MAX: usize = 32 * 1024;
/// The same limit if one peer may have many streams.
const NARROW_BATCH_BYTES_MAX: usize = 4 * 1024;

impl Feed {
    /// Keeps the batches of this feed small from now on.
    pub(crate) fn narrow(&mut self) {
        self.is_narrow = true;
    }

    /// Returns a paged read of these events, which were read just now. Returns `None` if they come from several
    /// channels or the log no longer holds them.
    pub(crate) fn read_again(&self, events: &[Arc<Event>]) -> Option<PagedRead> {
        let mut joined = self.joined.iter();
        let (_, only) = joined.next().filter(|_| self.joined.len() == 1)?;
        only.channel.read_again(events)
    }

    /// Returns what one batch may hold.
    pub(super) fn portion(&self) -> ReadLimit {
        let of_frames = matches!(self.transport, Some(Transport::Ws | Transport::Sse));
        ReadLimit {
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
