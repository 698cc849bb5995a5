//! A feed that is too far behind: if more lies before it than its reader wants, the feed begins at the head.

use super::Feed;
use crate::hub::ReadLimit;
use crate::protocol::BATCH_EVENTS_MAX;

impl Feed {
    /// Returns whether the feed is further behind the head than its reader wants. That is the case if more than this
    /// many bytes of data, or more frames than one batch holds, lie between its beginning and the head.
    pub(crate) fn is_far_behind(&self, data_bytes: u32) -> bool {
        self.lies_before(data_bytes, self.hub.head())
    }

    /// Moves the feed to the head if it is that far behind. Nothing before the head is delivered then, not even gaps.
    /// Returns whether it moved. Call this before the first read.
    pub(crate) fn skip_backlog(&mut self, data_bytes: u32) -> bool {
        // Use one head for all channels: later events are read as usual.
        let head = self.hub.head();
        let skips = self.lies_before(data_bytes, head);
        if skips {
            for (_, joined) in &mut self.joined {
                joined.place.offset = head;
                joined.place.hole = None;
            }
            self.begin();
        }
        skips
    }

    fn lies_before(&self, data_bytes: u32, head: u64) -> bool {
        let whole = ReadLimit {
            events: BATCH_EVENTS_MAX,
            bytes: data_bytes as usize,
            of_frames: false,
        };
        let mut joined = self.joined.iter().map(|(_, joined)| joined);
        let left = joined.try_fold(whole, |left, joined| {
            self.hub.within(&joined.channel, joined.place, head, left)
        });
        left.is_none()
    }
}
