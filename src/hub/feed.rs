//! A feed: a cursor into some channels that waits. Readers pull; nothing pushes, so there is no queue.
//!
//! Knows the hub and its bells. Knows no session, no transport's wire and no encoding.

mod behind;
mod delegation;
mod read_limit;
mod stream;

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll};

use slab::Slab;

use crate::hub::waker::{Bell, Rung};
use crate::hub::{Channel, Counted, Hub, Items, Page, Place, Portion};
use crate::protocol::cursor::{Cursor, Start};
use crate::protocol::{ChannelName, GapReason, Refusal, Transport};

pub use self::stream::FeedStream;
pub use crate::hub::Item;

/// Where several channels have a backlog, so many times what one batch takes is read of them together: where they
/// are interleaved evenly twice would do, and all that is read beyond the batch is read again for the next one.
const SHARES_READ: usize = 4;
/// Of each channel at least so many events are read, so that a batch of one busy channel among many idle ones is
/// worth its write.
const SHARE_EVENTS_MIN: usize = 64;

/// Items read in one step, in the order of their ids, and the cursor after them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The items.
    pub items: Items,
    /// Everything up to here is read.
    pub cursor: Cursor,
    /// Whether more waits already.
    pub more: bool,
}

/// A cursor into some channels, that waits.
#[derive(Debug)]
pub struct Feed {
    hub: Arc<Hub>,
    bell: Arc<Bell>,
    joined: Slab<Joined>,
    /// Channels that are known to hold more than was read.
    again: Rung,
    /// Everything up to here is read in every channel, but for those that are replayed.
    read_up_to: u64,
    transport: Option<Transport>,
    /// Whether its batches are to be small.
    is_narrow: bool,
    /// The slot of a channel that somebody else watches.
    watched: Option<usize>,
}

#[derive(Debug)]
struct Joined {
    channel: Arc<Channel>,
    /// The registration in the channel; none while the feed rests.
    key: Option<usize>,
    place: Place,
}

/// A channel that joined late and is being replayed alone, up to where the feed is.
#[derive(Debug)]
pub struct Replay {
    slot: usize,
}

impl Replay {
    /// A replay of nothing, which is done at once.
    #[must_use]
    pub(crate) const fn done() -> Self {
        Self { slot: usize::MAX }
    }
}

impl Feed {
    /// Opens a feed. `transport` is how its reader is counted by `reached`; `None` is not counted.
    ///
    /// # Errors
    /// `too_many_channels` when the hub has no room for one of them.
    pub fn open(
        hub: &Arc<Hub>,
        channels: &[(ChannelName, Start)],
        transport: Option<Transport>,
    ) -> Result<Self, Refusal> {
        let (feed, mut refused) = Self::open_some(hub, channels, transport);
        match refused.pop() {
            Some((_, refusal)) => Err(refusal),
            None => Ok(feed),
        }
    }

    /// Opens a feed of the channels that the hub has room for; the others come with their refusals.
    pub(crate) fn open_some(
        hub: &Arc<Hub>,
        channels: &[(ChannelName, Start)],
        transport: Option<Transport>,
    ) -> (Self, Vec<(ChannelName, Refusal)>) {
        let mut feed = Self {
            hub: hub.clone(),
            bell: Arc::default(),
            joined: Slab::with_capacity(channels.len()),
            again: Rung::None,
            read_up_to: 0,
            transport,
            is_narrow: false,
            watched: None,
        };
        let mut refused = Vec::new();
        for (name, start) in channels {
            if let Err(refusal) = feed.register(name, *start) {
                refused.push((name.clone(), refusal));
            }
        }
        feed.begin();
        (feed, refused)
    }

    fn counted(&self) -> Counted {
        self.transport.map_or(Counted::Not, Counted::As)
    }

    fn register(&mut self, name: &ChannelName, start: Start) -> Result<usize, Refusal> {
        let counted = self.counted();
        let entry = self.joined.vacant_entry();
        let slot = entry.key();
        let (channel, key, place) = self.hub.join(name, start, &self.bell, slot, counted)?;
        entry.insert(Joined {
            channel,
            key: Some(key),
            place,
        });
        Ok(slot)
    }

    /// Leaves all channels, but remembers which they were.
    pub(crate) fn rest(&mut self) {
        self.watched = None;
        for (_, joined) in &mut self.joined {
            joined.leave();
        }
    }

    /// Joins them again after a rest, all from this cursor on.
    ///
    /// # Errors
    /// `too_many_channels` when the hub has no room for one of them any more.
    pub(crate) fn again(&mut self, cursor: Cursor) -> Result<(), Refusal> {
        self.rest();
        let counted = self.counted();
        for (slot, joined) in &mut self.joined {
            let (name, start) = (&joined.channel.name, Start::At(cursor));
            let (channel, key, place) =
                self.hub
                    .join(name, start, &self.bell, slot, counted.clone())?;
            *joined = Joined {
                channel,
                key: Some(key),
                place,
            };
        }
        self.begin();
        Ok(())
    }

    /// All channels are to be read, each from its place.
    fn begin(&mut self) {
        self.again = if self.joined.len() == 1 {
            Rung::One(0)
        } else {
            Rung::All
        };
        let places = self.joined.iter().map(|(_, joined)| joined.place.offset);
        self.read_up_to = places.min().unwrap_or_else(|| self.hub.head());
    }

    /// Everything up to here is read.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.hub.cursor(self.read_up_to)
    }

    /// The channels that are read.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.joined.iter().map(|(_, joined)| &joined.channel.name)
    }

    /// What a reader comes back with that is cut before it read anything: a cursor, and the places of the channels
    /// that begin elsewhere. Where the hole after another life is still to be told, this is the cursor of that
    /// life: with one of ours the hole would never be told.
    #[must_use]
    pub fn starts(&self) -> (Cursor, Vec<(ChannelName, Cursor)>) {
        let other_life = |joined: &Joined| match joined.place.hole {
            Some((cursor, GapReason::Restart)) => cursor,
            _ => None,
        };
        let begins = |joined: &Joined| {
            other_life(joined).unwrap_or_else(|| self.hub.cursor(joined.place.offset))
        };
        let joined = || self.joined.iter().map(|(_, joined)| joined);
        let cursor = joined().find_map(other_life).unwrap_or(self.cursor());
        let elsewhere = joined()
            .map(|joined| (joined.channel.name.clone(), begins(joined)))
            .filter(|(_, begins)| *begins != cursor);
        (cursor, elsewhere.collect())
    }

    /// The bell that wakes this feed.
    #[must_use]
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// The hub that is read.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Waits for the next batch; it is never empty.
    pub async fn next(&mut self) -> Batch {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next batch, where one is there, else registers the waker.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Batch> {
        // The head first, then the rings: an event rings before its head is stored, so that whatever lies at or
        // below this head is among these rings. The rings before reading: what comes later wakes us.
        let head = self.hub.head();
        let mut rung = std::mem::take(&mut self.again);
        rung.merge(self.bell.silence(cx.waker()));
        // The head once more, after the waker is registered: a nudge before that left nothing behind, and what it was
        // about may lie above the first head. It is then read the next time, since nothing above that head is read.
        if let Some(slot) = self.unrung(self.hub.head()) {
            rung.add(slot);
        }
        if let Some(batch) = self.read(&rung, head) {
            return Poll::Ready(batch);
        }
        if self.is_behind() {
            // Somebody has rung and is about to store the head.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Whether more is there already, or is about to be.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.again != Rung::None
    }

    /// What most readers find: one channel rang, and they are hardly behind.
    fn read_run(&mut self, rung: &Rung, head: u64) -> Option<Batch> {
        let Rung::One(slot) = rung else { return None };
        let portion = self.portion();
        let joined = self.joined.get_mut(*slot)?;
        let run = self
            .hub
            .read_run(&joined.channel, &mut joined.place, head, portion)?;
        self.read_up_to = self.read_up_to.max(head);
        Some(Batch {
            items: Items::Run(run),
            cursor: self.cursor(),
            more: false,
        })
    }

    /// Reads the channels that rang, up to `head`, merged in the order of ids.
    fn read(&mut self, rung: &Rung, head: u64) -> Option<Batch> {
        if let Some(batch) = self.read_run(rung, head) {
            return Some(batch);
        }
        let mut step = Step::default();
        match rung {
            Rung::None => {}
            Rung::One(slot) => self.read_slot(*slot, head, self.portion(), &mut step),
            Rung::Some(slots) => {
                let mut slots = slots.clone();
                slots.sort_unstable();
                slots.dedup();
                self.read_slots(&slots, head, &mut step);
            }
            Rung::All => {
                let slots: Vec<usize> = self.joined.iter().map(|(slot, _)| slot).collect();
                self.read_slots(&slots, head, &mut step);
            }
        }
        let cut = step.merge(self.portion());
        let more = cut.is_some();
        if more || step.unread {
            self.again = rung.clone();
        }
        let read_up_to = match cut {
            Some((cut, behind)) => {
                self.turn_back(&step.before, cut, &behind);
                cut
            }
            None => head,
        };
        self.read_up_to = self.read_up_to.max(read_up_to);
        if step.items.is_empty() {
            return None;
        }
        Some(Batch {
            items: Items::Own(step.items),
            cursor: self.cursor(),
            more,
        })
    }

    /// Reads some channels, of each no more than a batch will hardly leave behind.
    fn read_slots(&mut self, slots: &[usize], head: u64, step: &mut Step) {
        let share = SHARES_READ * self.portion().events / slots.len().max(1);
        let portion = Portion {
            events: share.max(SHARE_EVENTS_MIN).min(self.portion().events),
            ..self.portion()
        };
        for slot in slots {
            self.read_slot(*slot, head, portion, step);
        }
    }

    fn read_slot(&mut self, slot: usize, head: u64, portion: Portion, step: &mut Step) {
        // A ring of a channel that was left since.
        let Some(joined) = self.joined.get_mut(slot) else {
            return;
        };
        step.before.push((slot, joined.place));
        let page = self
            .hub
            .read(&joined.channel, &mut joined.place, head, portion);
        step.take(page);
    }

    /// Puts the places of channels that were read beyond the cut back to it; a gap that lies behind it is told
    /// another time.
    fn turn_back(&mut self, before: &[(usize, Place)], cut: u64, behind: &[Item]) {
        let gap_of = |item: &Item| match item {
            Item::Gap(gap) => Some(gap.channel.clone()),
            Item::Event(_) => None,
        };
        let untold: HashSet<ChannelName> = behind.iter().filter_map(gap_of).collect();
        for (slot, before) in before {
            let joined = &mut self.joined[*slot];
            if untold.contains(&joined.channel.name) {
                joined.place = *before;
            } else {
                joined.place.offset = joined.place.offset.min(cut.max(before.offset));
            }
        }
    }

    /// Reads one more channel. Its replay comes first, by [`Feed::replay`], until that says that it is done.
    ///
    /// # Errors
    /// `too_many_channels` when the hub has no room for it.
    pub fn join(&mut self, name: &ChannelName, start: Start) -> Result<Option<Replay>, Refusal> {
        if self.channels().any(|joined| joined == name) {
            return Ok(None);
        }
        self.register(name, start).map(|slot| Some(Replay { slot }))
    }

    /// The next page of a replay: events of that channel alone, up to where the feed is. When the page holds
    /// no more, the channel is part of the feed.
    pub fn replay(&mut self, replay: &Replay) -> Page {
        let portion = self.portion();
        let Some(joined) = self.joined.get_mut(replay.slot) else {
            return Page::default();
        };
        let head = self.read_up_to;
        let page = self
            .hub
            .read(&joined.channel, &mut joined.place, head, portion);
        if !page.more {
            // What lies beyond the feed's cursor may have rung already, or before this channel was registered.
            self.again.add(replay.slot);
        }
        page
    }

    /// Stops reading a channel. Returns whether it was read.
    pub fn leave(&mut self, name: &ChannelName) -> bool {
        let found = self
            .joined
            .iter()
            .find(|(_, joined)| joined.channel.name == *name)
            .map(|(slot, _)| slot);
        let Some(slot) = found else { return false };
        // Its slot may be another channel's next, which nobody else watches.
        self.watched = self.watched.filter(|watched| *watched != slot);
        self.joined.remove(slot).leave();
        true
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.rest();
    }
}

impl Joined {
    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            self.channel.leave(key);
        }
    }
}

/// What one step of reading found.
#[derive(Default)]
struct Step {
    items: Vec<Item>,
    /// The places before the step.
    before: Vec<(usize, Place)>,
    /// Beyond this offset one of the channels holds more than was read.
    cut: Option<u64>,
    /// Whether something above the head waits.
    unread: bool,
    pages: usize,
}

impl Step {
    fn take(&mut self, page: Page) {
        if page.more
            && let Some(last) = page.events.last().map(|event| event.id.offset)
        {
            self.cut = Some(self.cut.map_or(last, |cut| cut.min(last)));
        }
        self.unread |= page.beyond;
        self.pages += usize::from(page.gap.is_some() || !page.events.is_empty());
        self.items.extend(page.gap.map(Item::Gap));
        self.items.extend(page.events.into_iter().map(Item::Event));
    }

    /// Brings the items in order and within the limits of a batch. Returns the offset at which it had to cut,
    /// and what lay behind.
    fn merge(&mut self, portion: Portion) -> Option<(u64, Vec<Item>)> {
        if self.pages > 1 {
            // A gap comes before an event of the same id, which is another channel's.
            self.items
                .sort_by_key(|item| (item.id().offset, matches!(item, Item::Event(_))));
        }
        let (mut kept, mut bytes) = (0, 0);
        for item in &self.items {
            bytes += item.bytes_of(portion);
            let fits = kept == 0 || (kept < portion.events && bytes <= portion.bytes);
            if !fits || self.cut.is_some_and(|cut| item.id().offset > cut) {
                break;
            }
            kept += 1;
        }
        let behind = self.items.split_off(kept);
        mark_gaps_of_one_id(&mut self.items);
        let cut = if behind.is_empty() {
            self.cut?
        } else {
            self.items.last()?.id().offset
        };
        Some((cut, behind))
    }
}

/// Says of each gap whether another one of the same id follows. After a restart those of all channels have one id.
fn mark_gaps_of_one_id(items: &mut [Item]) {
    for index in 1..items.len() {
        let (before, after) = items.split_at_mut(index);
        if let (Some(Item::Gap(gap)), Some(Item::Gap(next))) = (before.last_mut(), after.first()) {
            gap.more = gap.id == next.id;
        }
    }
}

#[cfg(test)]
mod tests;
