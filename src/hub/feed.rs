//! A feed: a cursor into some channels that waits for events. Readers pull and nothing pushes, so there is no queue.
//!
//! Knows the hub and its feed wakers. Knows no session, no transport's wire and no encoding.

mod behind;
mod delegation;
mod read_limit;
mod stream;

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll};

use slab::Slab;

use crate::hub::waker::{FeedWaker, ReadyChannels};
use crate::hub::{Channel, HubState, Items, Page, ReadLimit, ReadPosition, ReaderCounting};
use crate::protocol::cursor::{Cursor, Since};
use crate::protocol::{ChannelName, GapReason, Refusal, Transport};

pub use self::stream::FeedStream;
pub use crate::hub::Item;

/// How many batches' worth of events one step reads if several channels have a backlog. A factor of 2 is enough for
/// channels that are interleaved evenly. A larger factor has a price: the next step reads again everything beyond the
/// batch.
const SHARES_READ: usize = 4;
/// The least number of events that are read of each channel. With fewer, a batch of one busy channel among many idle
/// ones would not be worth its write.
const SHARE_EVENTS_MIN: usize = 64;

/// Items that were read in one step, in the order of their ids, and the cursor after them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The items.
    pub items: Items,
    /// Everything up to here is read.
    pub cursor: Cursor,
    /// Whether more items are waiting already.
    pub more: bool,
}

/// A cursor into some channels that waits for events.
#[derive(Debug)]
pub struct Feed {
    hub: Arc<HubState>,
    feed_waker: Arc<FeedWaker>,
    joined: Slab<JoinedChannel>,
    /// Channels that are known to hold more than was read.
    again: ReadyChannels,
    /// Everything up to this offset is read in every channel, except in those that are being replayed.
    read_up_to: u64,
    transport: Option<Transport>,
    /// Whether its batches are kept small.
    is_narrow: bool,
    /// The slot of the channel that is delegated to a fan-out task.
    watched: Option<usize>,
}

#[derive(Debug)]
struct JoinedChannel {
    channel: Arc<Channel>,
    /// The registration in the channel; `None` while the feed is parked.
    key: Option<usize>,
    place: ReadPosition,
}

/// A channel that joined later and is replayed alone until it reaches the feed's cursor.
#[derive(Debug)]
pub struct Replay {
    slot: usize,
}

impl Replay {
    /// Returns a replay of nothing, which is complete at once.
    #[must_use]
    pub(crate) const fn mark_read() -> Self {
        Self { slot: usize::MAX }
    }
}

impl Feed {
    /// Opens a feed. `transport` says how `reached` counts its reader; with `None` the reader is not counted.
    ///
    /// # Errors
    /// `too_many_channels` if the hub has no room for one of the channels.
    pub fn open(
        hub: &Arc<HubState>,
        channels: &[(ChannelName, Since)],
        transport: Option<Transport>,
    ) -> Result<Self, Refusal> {
        let (feed, mut refused) = Self::open_some(hub, channels, transport);
        match refused.pop() {
            Some((_, refusal)) => Err(refusal),
            None => Ok(feed),
        }
    }

    /// Opens a feed of the channels that the hub has room for. Returns the other channels with their refusals.
    pub(crate) fn open_some(
        hub: &Arc<HubState>,
        channels: &[(ChannelName, Since)],
        transport: Option<Transport>,
    ) -> (Self, Vec<(ChannelName, Refusal)>) {
        let mut feed = Self {
            hub: hub.clone(),
            feed_waker: Arc::default(),
            joined: Slab::with_capacity(channels.len()),
            again: ReadyChannels::None,
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

    fn counted(&self) -> ReaderCounting {
        self.transport
            .map_or(ReaderCounting::Not, ReaderCounting::As)
    }

    fn register(&mut self, name: &ChannelName, start: Since) -> Result<usize, Refusal> {
        let counted = self.counted();
        let entry = self.joined.vacant_entry();
        let slot = entry.key();
        let (channel, key, place) = self
            .hub
            .join(name, start, &self.feed_waker, slot, counted)?;
        entry.insert(JoinedChannel {
            channel,
            key: Some(key),
            place,
        });
        Ok(slot)
    }

    /// Leaves all channels, but remembers which they were.
    pub(crate) fn remaining(&mut self) {
        self.watched = None;
        for (_, joined) in &mut self.joined {
            joined.leave();
        }
    }

    /// Joins the channels again after the feed was parked, all of them from this cursor.
    ///
    /// # Errors
    /// `too_many_channels` if the hub no longer has room for one of the channels.
    pub(crate) fn again(&mut self, cursor: Cursor) -> Result<(), Refusal> {
        self.remaining();
        let counted = self.counted();
        for (slot, joined) in &mut self.joined {
            let (name, start) = (&joined.channel.name, Since::At(cursor));
            let (channel, key, place) =
                self.hub
                    .join(name, start, &self.feed_waker, slot, counted.clone())?;
            *joined = JoinedChannel {
                channel,
                key: Some(key),
                place,
            };
        }
        self.begin();
        Ok(())
    }

    /// Marks all channels as ready to read, each from its own position.
    fn begin(&mut self) {
        self.again = if self.joined.len() == 1 {
            ReadyChannels::One(0)
        } else {
            ReadyChannels::All
        };
        let places = self.joined.iter().map(|(_, joined)| joined.place.offset);
        self.read_up_to = places.min().unwrap_or_else(|| self.hub.head());
    }

    /// Returns the cursor up to which everything is read.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.hub.cursor(self.read_up_to)
    }

    /// Returns the channels that are read.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.joined.iter().map(|(_, joined)| &joined.channel.name)
    }

    /// Returns what a reader resumes with if it is cut before it reads anything: a cursor, and the starts of the
    /// channels that begin elsewhere. While the gap after a restart is still to be reported, the cursor belongs to the
    /// earlier epoch. With a cursor of the present epoch, that gap would never be reported.
    #[must_use]
    pub fn starts(&self) -> (Cursor, Vec<(ChannelName, Cursor)>) {
        let other_life = |joined: &JoinedChannel| match joined.place.hole {
            Some((cursor, GapReason::Restart)) => cursor,
            _ => None,
        };
        let begins = |joined: &JoinedChannel| {
            other_life(joined).unwrap_or_else(|| self.hub.cursor(joined.place.offset))
        };
        let joined = || self.joined.iter().map(|(_, joined)| joined);
        let cursor = joined().find_map(other_life).unwrap_or(self.cursor());
        let elsewhere = joined()
            .map(|joined| (joined.channel.name.clone(), begins(joined)))
            .filter(|(_, begins)| *begins != cursor);
        (cursor, elsewhere.collect())
    }

    /// Returns the feed waker that wakes this feed.
    #[must_use]
    pub fn waker(&self) -> &Arc<FeedWaker> {
        &self.feed_waker
    }

    /// Returns the hub that is read.
    #[must_use]
    pub fn hub(&self) -> &Arc<HubState> {
        &self.hub
    }

    /// Waits for the next batch, which is never empty.
    pub async fn next(&mut self) -> Batch {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Returns the next batch if there is one. Otherwise, registers the waker.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Batch> {
        // Load the head before taking the ready channels. A publisher marks a channel as ready before it stores the
        // head, so the channel of every event up to this head is ready here. Take the ready channels before reading:
        // every later event wakes this task.
        let head = self.hub.head();
        let mut rung = std::mem::take(&mut self.again);
        rung.merge(self.feed_waker.take_ready(cx.waker()));
        // Load the head again after the waker is registered. An earlier notification leaves no trace, and its event may
        // lie above the first head. The next step reads that event, because this step reads nothing above the first
        // head.
        if let Some(slot) = self.none_ready(self.hub.head()) {
            rung.add(slot);
        }
        if let Some(batch) = self.read(&rung, head) {
            return Poll::Ready(batch);
        }
        if self.is_behind() {
            // A publisher marked a channel as ready and is about to store the head.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Returns whether more items are waiting already, or are about to be.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.again != ReadyChannels::None
    }

    /// Reads the case that most readers are in: one channel is ready, and the feed is hardly behind.
    fn read_run(&mut self, rung: &ReadyChannels, head: u64) -> Option<Batch> {
        let ReadyChannels::One(slot) = rung else {
            return None;
        };
        let portion = self.portion();
        let joined = self.joined.get_mut(*slot)?;
        let run = self
            .hub
            .read_shared_batch(&joined.channel, &mut joined.place, head, portion)?;
        self.read_up_to = self.read_up_to.max(head);
        Some(Batch {
            items: Items::Run(run),
            cursor: self.cursor(),
            more: false,
        })
    }

    /// Reads the ready channels up to `head`, merged in the order of ids.
    fn read(&mut self, rung: &ReadyChannels, head: u64) -> Option<Batch> {
        if let Some(batch) = self.read_run(rung, head) {
            return Some(batch);
        }
        let mut step = ReadStep::default();
        match rung {
            ReadyChannels::None => {}
            ReadyChannels::One(slot) => self.read_slot(*slot, head, self.portion(), &mut step),
            ReadyChannels::Some(slots) => {
                let mut slots = slots.clone();
                slots.sort_unstable();
                slots.dedup();
                self.read_slots(&slots, head, &mut step);
            }
            ReadyChannels::All => {
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

    /// Reads some channels, and of each one hardly more than fits into the batch.
    fn read_slots(&mut self, slots: &[usize], head: u64, step: &mut ReadStep) {
        let share = SHARES_READ * self.portion().events / slots.len().max(1);
        let portion = ReadLimit {
            events: share.max(SHARE_EVENTS_MIN).min(self.portion().events),
            ..self.portion()
        };
        for slot in slots {
            self.read_slot(*slot, head, portion, step);
        }
    }

    fn read_slot(&mut self, slot: usize, head: u64, portion: ReadLimit, step: &mut ReadStep) {
        // The feed left this channel after the channel became ready.
        let Some(joined) = self.joined.get_mut(slot) else {
            return;
        };
        step.before.push((slot, joined.place));
        let page = self
            .hub
            .read(&joined.channel, &mut joined.place, head, portion);
        step.take(page);
    }

    /// Moves the positions of channels that were read beyond the cut back to the cut. A gap behind the cut is reported
    /// in a later step.
    fn turn_back(&mut self, before: &[(usize, ReadPosition)], cut: u64, behind: &[Item]) {
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

    /// Starts to read one more channel. First deliver its replay: call [`Feed::replay`] until it reports that the
    /// replay is complete. Returns `None` if the channel is read already.
    ///
    /// # Errors
    /// `too_many_channels` if the hub has no room for the channel.
    pub fn join(&mut self, name: &ChannelName, start: Since) -> Result<Option<Replay>, Refusal> {
        if self.channels().any(|joined| joined == name) {
            return Ok(None);
        }
        self.register(name, start).map(|slot| Some(Replay { slot }))
    }

    /// Returns the next page of a replay: events of that channel alone, up to the feed's cursor. After a page without
    /// `more`, the channel is part of the feed.
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
            // The channel may hold events beyond the feed's cursor. They may have marked it as ready already, or may
            // have been appended before it was registered.
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
        // The slot may be used again for another channel, which is not delegated.
        self.watched = self.watched.filter(|watched| *watched != slot);
        self.joined.remove(slot).leave();
        true
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.remaining();
    }
}

impl JoinedChannel {
    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            self.channel.leave(key);
        }
    }
}

/// The outcome of one step of reading.
#[derive(Default)]
struct ReadStep {
    items: Vec<Item>,
    /// The positions before the step.
    before: Vec<(usize, ReadPosition)>,
    /// Beyond this offset, one of the channels holds more than was read.
    cut: Option<u64>,
    /// Whether an event above the head is waiting.
    unread: bool,
    pages: usize,
}

impl ReadStep {
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

    /// Sorts the items and cuts them to the limits of a batch. If it cuts, returns the offset of the cut and the items
    /// behind it.
    fn merge(&mut self, portion: ReadLimit) -> Option<(u64, Vec<Item>)> {
        if self.pages > 1 {
            // A gap sorts before an event of the same id, which belongs to another channel.
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

/// Marks each gap that another gap of the same id follows. After a restart, the gaps of all channels have one id.
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
