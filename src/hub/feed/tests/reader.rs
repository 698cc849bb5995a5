//! A reader that verifies everything: the model says what must be delivered to it next, and what must not be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::model::{World, name, number};
use crate::hub::ReadLimit;
use crate::hub::feed::{Batch, Feed, Item, Replay};
use crate::protocol::cursor::{Cursor, Since};
use crate::protocol::{BATCH_EVENTS_MAX, Event, Gap, GapReason, Transport};

/// What a reader knows of one channel.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Everything up to this offset was delivered.
    offset: u64,
    /// The gap that must be reported first, as the start requested it.
    owed: Option<(Since, GapReason)>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Reader {
    feed: Feed,
    woken: Arc<Woken>,
    /// Whether its last read found nothing, so that it waits for a wake-up.
    asleep: bool,
    /// The cursor that a client would resume with.
    cursor: Cursor,
    places: BTreeMap<usize, Place>,
    replay: Option<(usize, Replay)>,
}

impl Reader {
    pub(super) fn open(world: &World, starts: &[(usize, Since)]) -> Self {
        let wanted: Vec<_> = starts
            .iter()
            .map(|(channel, start)| (name(*channel), *start))
            .collect();
        // Streams and polls have different batch sizes.
        let transport = starts.len().is_multiple_of(2).then_some(Transport::Ws);
        let feed = Feed::open(&world.hub, &wanted, transport).unwrap();
        let places: BTreeMap<_, _> = starts
            .iter()
            .map(|(channel, start)| (*channel, place(world, *channel, *start)))
            .collect();
        let first = places
            .values()
            .map(|place| place.offset)
            .min()
            .unwrap_or_else(|| world.hub.head());
        assert_eq!(
            feed.cursor(),
            world.hub.cursor(first),
            "a feed begins at the first of its places"
        );
        Self {
            cursor: feed.starts().0,
            feed,
            woken: Arc::default(),
            asleep: false,
            places,
            replay: None,
        }
    }

    pub(super) fn reads(&self, channel: usize) -> bool {
        self.places.contains_key(&channel)
    }

    /// Verifies after an append that the reader was woken if it waits for this channel.
    pub(super) fn must_wake_for(&mut self, channel: usize) {
        if self.asleep && self.reads(channel) {
            assert!(
                self.woken.0.swap(false, Ordering::Relaxed),
                "a wake-up was lost"
            );
            self.asleep = false;
        }
    }

    /// Cuts the reader and opens it again with what a client knows.
    pub(super) fn come_back(&mut self, world: &World) {
        let (cursor, own) = self.feed.starts();
        // Nothing was read yet: hello says where each channel begins.
        let hello: BTreeMap<_, _> = if self.cursor == cursor {
            own.into_iter()
                .map(|(name, begins)| (number(&name), begins))
                .collect()
        } else {
            BTreeMap::new()
        };
        let replayed = self.replay.as_ref().map(|(channel, _)| *channel);
        let epoch = self.feed.cursor().epoch;
        let start = |channel: &usize, place: &Place| match place.owed {
            Some((start, GapReason::Unknown)) => start,
            _ if replayed == Some(*channel) && place.owed.is_some() => place.owed.unwrap().0,
            _ if replayed == Some(*channel) => Since::At(Cursor {
                epoch,
                offset: place.offset,
            }),
            _ if hello.contains_key(channel) => Since::At(hello[channel]),
            _ if place.owed.is_none()
                && self.cursor.epoch == epoch
                && place.offset > self.cursor.offset =>
            {
                Since::At(Cursor {
                    epoch,
                    offset: place.offset,
                })
            }
            _ => Since::At(self.cursor),
        };
        let starts: Vec<_> = self
            .places
            .iter()
            .map(|(channel, place)| (*channel, start(channel, place)))
            .collect();
        let before = std::mem::take(&mut self.places);
        *self = Self::open(world, &starts);
        for (channel, before) in before {
            let now = self
                .places
                .get_mut(&channel)
                .expect("it reads the same channels");
            let is_told_anew = world.kept(channel).forgotten() > now.offset;
            match (before.owed, now.owed) {
                (Some((_, GapReason::Restart)), None) => {
                    assert!(is_told_anew, "a hole is told, however often one is cut");
                }
                (None, None) => {
                    passes(world, channel, before.offset, now.offset);
                    now.offset = now.offset.min(before.offset);
                }
                _ => {}
            }
        }
    }

    /// Reads one batch, or the next page of a replay. With `cut`, the connection breaks after that many items. Returns
    /// whether there is more, or `None` if the reader waits.
    pub(super) fn read(&mut self, world: &World, cut: Option<usize>) -> Option<bool> {
        if self.replay.is_some() {
            self.read_replay(world);
            return Some(true);
        }
        self.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.woken.clone());
        let Poll::Ready(batch) = self.feed.poll_next(&mut Context::from_waker(&waker)) else {
            self.sleeps(world);
            return None;
        };
        self.asleep = false;
        assert_eq!(batch.cursor, self.feed.cursor());
        is_within_limits(&batch, self.feed.portion());
        let told = match cut {
            Some(cut) => whole_id(&batch.items, cut),
            None => batch.items.len(),
        };
        let mut last = Some(self.cursor)
            .filter(|cursor| world.is_ours(*cursor))
            .map_or(0, |cursor| cursor.offset);
        for item in &batch.items[..told] {
            let rises = match item {
                Item::Event(event) => event.id.offset > last,
                Item::Gap(gap) => gap.id.offset >= last,
            };
            assert!(rises, "{item:?} after {last}");
            last = item.id().offset;
            self.tell(world, item);
        }
        let is_whole = told == batch.items.len();
        self.cursor = if is_whole {
            batch.cursor
        } else {
            world.hub.cursor(last)
        };
        assert!(self.cursor.offset >= last && self.cursor.offset <= world.hub.head());
        self.all_move_to(world, self.cursor.offset);
        if !is_whole {
            self.come_back(world);
        }
        Some(batch.more)
    }

    /// Reads until nothing is left, and verifies that `more` was right each time.
    pub(super) fn read_all(&mut self, world: &World) {
        while self.replay.is_some() {
            self.read_replay(world);
        }
        let mut said_more = None;
        loop {
            let more = self.read(world, None);
            if let Some(said) = said_more {
                assert_eq!(
                    said,
                    more.is_some(),
                    "`more` says whether the next batch is there"
                );
            }
            if more.is_none() {
                return;
            }
            said_more = more;
        }
    }

    fn sleeps(&mut self, world: &World) {
        self.asleep = true;
        assert!(
            !self.woken.0.swap(false, Ordering::Relaxed),
            "nobody rings without an event"
        );
        assert_eq!(self.feed.cursor().offset, world.hub.head(), "all is read");
        self.cursor = self.feed.cursor();
        self.all_move_to(world, world.hub.head());
    }

    pub(super) fn join(&mut self, world: &World, channel: usize, start: Since) {
        if self.replay.is_some() {
            return;
        }
        let replay = self.feed.join(&name(channel), start).unwrap();
        assert_eq!(replay.is_none(), self.reads(channel));
        if let Some(replay) = replay {
            self.places.insert(channel, place(world, channel, start));
            self.replay = Some((channel, replay));
            self.asleep = false;
        }
    }

    pub(super) fn leave(&mut self, channel: usize) {
        if self.replay.is_none() {
            assert_eq!(
                self.feed.leave(&name(channel)),
                self.places.remove(&channel).is_some()
            );
        }
    }

    fn read_replay(&mut self, world: &World) {
        let Some((channel, replay)) = self.replay.take() else {
            return;
        };
        let before = self.feed.cursor();
        let page = self.feed.replay(&replay);
        assert_eq!(self.feed.cursor(), before, "a replay moves no cursor");
        assert!(page.events.len() <= BATCH_EVENTS_MAX);
        let items = page
            .gap
            .into_iter()
            .map(Item::Gap)
            .chain(page.events.into_iter().map(Item::Event));
        for item in items {
            assert_eq!(
                number(channel_of(&item)),
                channel,
                "a replay is of one channel"
            );
            assert!(
                item.id().offset <= before.offset,
                "a replay ends at the feed's cursor"
            );
            self.tell(world, &item);
        }
        if page.more {
            self.replay = Some((channel, replay));
            return;
        }
        let place = self.places[&channel];
        let forgotten = world.kept(channel).forgotten();
        match place.owed {
            Some(_) => assert!(
                forgotten > before.offset,
                "the hole is told before the replay ends"
            ),
            None => passes(world, channel, place.offset, before.offset),
        }
    }

    fn tell(&mut self, world: &World, item: &Item) {
        let channel = number(channel_of(item));
        let place = self
            .places
            .get_mut(&channel)
            .expect("of a channel that is read");
        match item {
            Item::Event(event) => tell_event(world, channel, place, event),
            Item::Gap(gap) => tell_gap(world, channel, place, gap),
        }
    }

    fn all_move_to(&mut self, world: &World, offset: u64) {
        for (channel, place) in &mut self.places {
            let forgotten = world.kept(*channel).forgotten();
            if place.owed.is_some() {
                assert!(forgotten > offset, "the hole comes in the order of ids");
            } else if place.offset < offset {
                passes(world, *channel, place.offset, offset);
                // The skipped events are still to be reported as one gap.
                if forgotten <= offset {
                    place.offset = offset;
                }
            }
        }
    }
}

fn place(world: &World, channel: usize, start: Since) -> Place {
    let owed = match start {
        Since::At(cursor) if world.is_ours(cursor) => None,
        Since::At(cursor) if cursor.epoch == world.hub.cursor(0).epoch => Some(GapReason::Unknown),
        Since::At(_) => Some(GapReason::Restart),
        Since::Unknown => Some(GapReason::Unknown),
        _ => None,
    };
    Place {
        offset: world.place(channel, start),
        owed: owed.map(|reason| (start, reason)),
    }
}

fn channel_of(item: &Item) -> &crate::protocol::ChannelName {
    match item {
        Item::Event(event) => &event.channel,
        Item::Gap(gap) => &gap.channel,
    }
}

/// Asserts that no event is skipped in silence. An event that the hub has forgotten may be skipped while the gap that
/// names it is still to come. That gap always comes, because it ends beyond the position that a client resumes with.
#[track_caller]
fn passes(world: &World, channel: usize, after: u64, up_to: u64) {
    let kept = world.kept(channel);
    if let Some(next) = kept.next_after(after) {
        let is_silent = next.offset <= up_to && kept.forgotten() <= up_to;
        assert!(
            !is_silent,
            "channel {channel}: {next:?} was passed between {after} and {up_to}"
        );
    }
}

fn tell_event(world: &World, channel: usize, place: &mut Place, event: &Event) {
    assert!(place.owed.is_none(), "the hole comes first");
    let next = world
        .kept(channel)
        .next_after(place.offset)
        .map(|next| next.offset);
    assert_eq!(
        Some(event.id.offset),
        next,
        "each event once and in order, after {place:?}"
    );
    place.offset = event.id.offset;
}

fn tell_gap(world: &World, channel: usize, place: &mut Place, gap: &Gap) {
    let kept = world.kept(channel);
    assert_eq!(
        gap.id,
        world.hub.cursor(kept.forgotten()),
        "a gap ends where the log begins"
    );
    if let Some((start, reason)) = place.owed.take() {
        let after = match start {
            Since::At(cursor) => Some(cursor),
            _ => None,
        };
        assert_eq!((gap.after, gap.reason), (after, reason));
    } else {
        let next = kept.next_after(place.offset);
        assert!(
            next.is_some_and(|next| next.offset <= gap.id.offset),
            "a needless gap: {gap:?}"
        );
        let after = gap.after.expect("this hub gave the cursor");
        assert!(after.offset < gap.id.offset, "a gap names something");
        let allowed = match (world.options().history_age, gap.reason) {
            (_, GapReason::Evicted) => true,
            (age, GapReason::Expired) => age.is_some(),
            (_, GapReason::Restart | GapReason::Unknown) => false,
        };
        assert!(allowed, "{gap:?}");
    }
    place.offset = place.offset.max(gap.id.offset);
}

fn is_within_limits(batch: &Batch, portion: ReadLimit) {
    assert!(!batch.items.is_empty(), "a batch is never empty");
    assert!(batch.items.len() <= portion.events);
    let bytes: usize = batch
        .items
        .iter()
        .map(|item| item.event().map_or(0, |event| event.data.len()))
        .sum();
    assert!(bytes <= portion.bytes || batch.items.len() == 1);
    assert!(
        batch
            .items
            .iter()
            .all(|item| item.id().offset <= batch.cursor.offset),
        "no item lies beyond the cursor"
    );
}

/// Returns a number of items that does not split an id: several channels may begin at one position after a restart.
fn whole_id(items: &[Item], cut: usize) -> usize {
    let cut = 1 + cut % items.len();
    let id = items[cut - 1].id();
    cut + items[cut..]
        .iter()
        .take_while(|item| item.id() == id)
        .count()
}
