//! A feed that somebody else watches over: who reads its one channel for many readers tells most of them what comes
//! by himself, and nudges the bells of the others. Such a feed is not rung, and looks by itself whenever it is asked.

use std::sync::Arc;

use super::{Feed, Joined};
use crate::hub::waker::{Bell, Rung};
use crate::hub::{Channel, Counted, Hub, Place, Tally};
use crate::protocol::cursor::{Cursor, Start};
use crate::protocol::{ChannelName, Refusal, Transport};
use slab::Slab;

impl Feed {
    /// A feed from now on that is counted as the readers of this tally.
    pub(crate) fn for_many(
        hub: &Arc<Hub>,
        name: &ChannelName,
        tally: Arc<Tally>,
    ) -> Result<Self, Refusal> {
        let bell: Arc<Bell> = Arc::default();
        let counted = Counted::All(tally);
        let (channel, key, place) = hub.join(name, Start::Now, &bell, 0, counted)?;
        let mut joined = Slab::with_capacity(1);
        joined.insert(Joined {
            channel,
            key: Some(key),
            place,
        });
        Ok(Self {
            hub: hub.clone(),
            bell,
            joined,
            again: Rung::One(0),
            read_up_to: place.offset,
            // By what its readers take at once.
            transport: Some(Transport::Ws),
            is_narrow: false,
            watched: None,
        })
    }

    /// Its one channel, and up to where that is read; `None` where anything else is to be told first.
    pub(crate) fn calm(&self) -> Option<(&Arc<Channel>, u64)> {
        let (_, joined) = self.joined.iter().next()?;
        let is_calm =
            self.joined.len() == 1 && joined.place.hole.is_none() && self.again == Rung::None;
        is_calm.then_some((&joined.channel, self.read_up_to))
    }

    /// Whether somebody else watches its one channel.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// Somebody else watches its one channel from now on.
    pub(crate) fn let_watch(&mut self) {
        let Some((slot, joined)) = self.joined.iter_mut().next() else {
            return;
        };
        joined.leave();
        self.watched = Some(slot);
    }

    /// Comes back after a rest, from this cursor on, while somebody else still watches its one channel. Whether that
    /// can be: where it cannot, the channel must be joined anew.
    pub(crate) fn again_watched(&mut self, cursor: Cursor) -> bool {
        let Some(joined) = self.watched.and_then(|slot| self.joined.get_mut(slot)) else {
            return false;
        };
        if !self.hub.has_been_at(cursor) {
            return false;
        }
        joined.place = Place {
            offset: cursor.offset,
            hole: None,
        };
        self.again = Rung::None;
        self.read_up_to = cursor.offset;
        true
    }

    /// Watches by itself again. Somebody else still does, too, so that the channel lives.
    pub(crate) fn watch(&mut self) {
        let Some(slot) = self.watched.take() else {
            return;
        };
        let counted = self.counted();
        if let Some(joined) = self.joined.get_mut(slot)
            && joined.key.is_none()
        {
            let key = joined.channel.enter_beside(&self.bell, slot, counted);
            joined.key = Some(key);
            // What came before that may have been for somebody else to tell.
            self.again.add(slot);
        }
    }

    /// Everything up to here was told by somebody else.
    pub(crate) fn told(&mut self, offset: u64) {
        self.read_up_to = self.read_up_to.max(offset);
        if let Some(joined) = self.watched.and_then(|slot| self.joined.get_mut(slot)) {
            joined.place.offset = joined.place.offset.max(offset);
        }
    }

    /// The channel that rings for nobody here, where it may hold something new.
    pub(super) fn unrung(&self, head: u64) -> Option<usize> {
        let slot = self.watched?;
        let joined = self.joined.get(slot)?;
        (joined.place.offset < head).then_some(slot)
    }
}
