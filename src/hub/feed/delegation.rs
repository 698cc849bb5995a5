//! A feed whose one channel is delegated to a fan-out task. That task reads the channel for many readers: it writes
//! most events itself, and notifies the feed wakers of the readers that it cannot write to.
//!
//! Publishers do not wake a delegated feed. It checks the head itself whenever it is polled.

use std::sync::Arc;

use super::{Feed, JoinedChannel};
use crate::hub::waker::{FeedWaker, ReadyChannels};
use crate::hub::{Channel, HubState, ReadPosition, ReaderCounting, ReaderCounts};
use crate::protocol::cursor::{Cursor, Since};
use crate::protocol::{ChannelName, Refusal, Transport};
use slab::Slab;

impl Feed {
    /// Opens a feed that begins at the head and is counted as all the readers in these counts.
    pub(crate) fn for_many(
        hub: &Arc<HubState>,
        name: &ChannelName,
        tally: Arc<ReaderCounts>,
    ) -> Result<Self, Refusal> {
        let feed_waker: Arc<FeedWaker> = Arc::default();
        let counted = ReaderCounting::All(tally);
        let (channel, key, place) = hub.join(name, Since::Now, &feed_waker, 0, counted)?;
        let mut joined = Slab::with_capacity(1);
        joined.insert(JoinedChannel {
            channel,
            key: Some(key),
            place,
        });
        Ok(Self {
            hub: hub.clone(),
            feed_waker,
            joined,
            again: ReadyChannels::One(0),
            read_up_to: place.offset,
            // Selects the batch limit of a stream, which is also what its subscribers accept at once.
            transport: Some(Transport::Ws),
            is_narrow: false,
            watched: None,
        })
    }

    /// Returns the feed's one channel and the offset up to which it is read. Returns `None` if anything else is to be
    /// delivered first.
    pub(crate) fn caught_up(&self) -> Option<(&Arc<Channel>, u64)> {
        let (_, joined) = self.joined.iter().next()?;
        let is_calm = self.joined.len() == 1
            && joined.place.hole.is_none()
            && self.again == ReadyChannels::None;
        is_calm.then_some((&joined.channel, self.read_up_to))
    }

    /// Returns whether the feed's one channel is delegated to a fan-out task.
    pub(crate) fn is_delegated(&self) -> bool {
        self.watched.is_some()
    }

    /// Delegates the feed's one channel to a fan-out task.
    pub(crate) fn delegate(&mut self) {
        let Some((slot, joined)) = self.joined.iter_mut().next() else {
            return;
        };
        joined.leave();
        self.watched = Some(slot);
    }

    /// Resumes the feed from this cursor after it was parked, while its one channel is still delegated. Returns whether
    /// this is possible. If it is not, join the channel again.
    pub(crate) fn again_watched(&mut self, cursor: Cursor) -> bool {
        let Some(joined) = self.watched.and_then(|slot| self.joined.get_mut(slot)) else {
            return false;
        };
        if !self.hub.has_been_at(cursor) {
            return false;
        }
        joined.place = ReadPosition {
            offset: cursor.offset,
            hole: None,
        };
        self.again = ReadyChannels::None;
        self.read_up_to = cursor.offset;
        true
    }

    /// Reclaims the channel from the fan-out task. That task is still registered, so the channel stays alive.
    pub(crate) fn watch(&mut self) {
        let Some(slot) = self.watched.take() else {
            return;
        };
        let counted = self.counted();
        if let Some(joined) = self.joined.get_mut(slot)
            && joined.key.is_none()
        {
            let key = joined.channel.enter_beside(&self.feed_waker, slot, counted);
            joined.key = Some(key);
            // The fan-out task may have been responsible for events before this registration.
            self.again.add(slot);
        }
    }

    /// Records that the fan-out task delivered everything up to this offset.
    pub(crate) fn set_delivered_up_to(&mut self, offset: u64) {
        self.read_up_to = self.read_up_to.max(offset);
        if let Some(joined) = self.watched.and_then(|slot| self.joined.get_mut(slot)) {
            joined.place.offset = joined.place.offset.max(offset);
        }
    }

    /// Returns the slot of the delegated channel if it may hold new events. Publishers do not mark that channel as
    /// ready.
    pub(super) fn none_ready(&self, head: u64) -> Option<usize> {
        let slot = self.watched?;
        let joined = self.joined.get(slot)?;
        (joined.place.offset < head).then_some(slot)
    }
}
