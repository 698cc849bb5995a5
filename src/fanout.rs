//! Pumps: readers who wait for one and the same channel, and for nothing else, are written to in turn from one
//! place, which costs a third less than a wake-up of each one's task.
//!
//! A pump is one feed for many: it pulls by cursor and log as each of them would. It writes to whoever is just where
//! the newest events begin and has nothing else to be told; everybody else it nudges, to go his own way. So it has
//! no queue: who takes less than he is given is nudged with what is left of that. A held poll is told once, and rests
//! until its client asks again. Knows no session and no wire.

mod subscriber;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use slab::Slab;
use tokio::time::Instant;

use crate::hub::feed::{Batch, Feed};
use crate::hub::waker::Bell;
use crate::hub::wheel::Alarm;
use crate::hub::{Hub, Items, Run, Tally};
use crate::protocol::cursor::Cursor;
use crate::protocol::{ChannelName, Transport};
use crate::session::BURST_OVER_AFTER;

use subscriber::{Member, Slot};

pub(crate) use subscriber::{Berth, Risen};

/// Readers of a channel from which on a pump is worth its task.
const READERS_MIN: usize = 4;
/// Readers of one pump: further ones get another pump, which may run on another core.
const READERS_MAX: usize = 1_024;
/// Readers who are written to while the list is locked, some 100 µs: who joins or leaves waits so long.
const READERS_AT_ONCE: usize = 32;
/// Writes until other tasks get their turn, some 1 ms.
const WRITES_AT_ONCE: usize = 256;
/// How long a reader may be between two polls and keep its place: most come back within the way there and back, and
/// whoever does not must hear soon that its poll was answered.
const REST_MAX: Duration = Duration::from_millis(200);

/// Bytes of a buffer for answers that is kept for the next events: those of usual ones. A pump may wait for long.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

/// All pumps of a hub.
pub(crate) struct Pumps {
    hub: Arc<Hub>,
    by_channel: Mutex<HashMap<ChannelName, Vec<Arc<Pump>>>>,
}

/// Some readers of one channel.
struct Pump {
    slots: Mutex<Slab<Arc<Slot>>>,
    tally: Arc<Tally>,
    /// That of its feed.
    bell: Arc<Bell>,
    /// How many of its readers are between two polls.
    resting: AtomicUsize,
    /// Whether some of its readers are sent a ping after each burst.
    are_probed: AtomicBool,
    delivered: [Counter; Transport::ALL.len()],
    /// The gauge of those who poll.
    polling: Gauge,
    writes: Counter,
}

/// What a pump writes to all of its readers.
struct Load<'a> {
    /// Absent where it is not simply the newest events.
    run: Option<&'a Run>,
    /// After it.
    cursor: Cursor,
    now: Instant,
}

/// Where answers are put together, one after the other.
#[derive(Default)]
struct Scratch {
    answer: Vec<u8>,
    out: Vec<u8>,
}

impl Scratch {
    /// Keeps no room for what was larger than usual.
    fn give_back(&mut self) {
        for buffer in [&mut self.answer, &mut self.out] {
            buffer.clear();
            buffer.shrink_to(SCRATCH_BYTES_MAX);
        }
    }
}

/// When a pump looks after readers to whom it writes nothing.
#[derive(Default)]
struct Alarms {
    rest: Alarm,
    ping: Alarm,
    /// When the last event of a burst was written, where somebody is to be sent a ping after it.
    burst: Option<Instant>,
}

/// What a pump comes to.
enum Next {
    Batch(Batch),
    /// Something may be there to read.
    Rung,
    /// Nobody is left to read for.
    Empty,
}

impl Pumps {
    pub(crate) fn new(hub: &Arc<Hub>) -> Arc<Self> {
        Arc::new(Self {
            hub: hub.clone(),
            by_channel: Mutex::default(),
        })
    }

    /// A place for a reader of this channel; `None` where a pump would not be worth it.
    fn join(self: &Arc<Self>, channel: &ChannelName, slot: Slot) -> Option<Member> {
        let mut by_channel = self.by_channel.lock();
        let pumps = by_channel.entry(channel.clone()).or_default();
        let slot = Arc::new(slot);
        if let Some(member) = pumps.iter().find_map(|pump| pump.add(&slot)) {
            return Some(member);
        }
        let tally: Arc<Tally> = Arc::default();
        let Ok(feed) = Feed::for_many(&self.hub, channel, tally.clone()) else {
            if pumps.is_empty() {
                by_channel.remove(channel);
            }
            return None;
        };
        let pump = Arc::new(Pump::new(&self.hub, tally, &feed));
        let member = pump.add(&slot);
        pumps.push(pump.clone());
        tokio::spawn(pump.run(feed, self.clone()));
        member
    }

    /// Forgets a pump without readers. Whether it had none.
    fn bury(&self, channel: &ChannelName, pump: &Arc<Pump>) -> bool {
        let mut by_channel = self.by_channel.lock();
        if !pump.slots.lock().is_empty() {
            return false;
        }
        if let Some(pumps) = by_channel.get_mut(channel) {
            pumps.retain(|other| !Arc::ptr_eq(other, pump));
            if pumps.is_empty() {
                by_channel.remove(channel);
            }
        }
        true
    }
}

impl Pump {
    fn new(hub: &Hub, tally: Arc<Tally>, feed: &Feed) -> Self {
        let metrics = hub.metrics();
        Self {
            slots: Mutex::default(),
            tally,
            bell: feed.bell().clone(),
            resting: AtomicUsize::new(0),
            are_probed: AtomicBool::new(false),
            delivered: Transport::ALL.map(|transport| metrics.delivered(transport)),
            polling: metrics.readers(Transport::Poll),
            writes: metrics.writes.clone(),
        }
    }

    fn add(self: &Arc<Self>, slot: &Arc<Slot>) -> Option<Member> {
        let mut slots = self.slots.lock();
        if slots.len() >= READERS_MAX {
            return None;
        }
        self.tally[slot.transport as usize].fetch_add(1, Ordering::Relaxed);
        self.are_probed.fetch_or(slot.is_probed, Ordering::Relaxed);
        let key = slots.insert(slot.clone());
        Some(Member::new(self, slot.clone(), key))
    }

    /// Reads its channel for as long as it has readers.
    async fn run(self: Arc<Self>, mut feed: Feed, pumps: Arc<Pumps>) {
        let channel = feed.channels().next().cloned();
        let mut alarms = Alarms::default();
        let mut scratch = Scratch::default();
        let mut are_many = false;
        loop {
            match self.next(&mut feed, &mut alarms).await {
                Next::Batch(batch) => {
                    are_many = batch.items.len() > 1;
                    self.deliver(&batch, &mut scratch).await;
                    scratch.give_back();
                    alarms.burst = self.are_probed.load(Ordering::Relaxed).then(Instant::now);
                    // Here too: where events never pause, it waits for nothing.
                    self.mind_resting(&feed, &mut alarms.rest);
                }
                // Whoever publishes beside the one who rang goes first: what they publish goes out in the same writes.
                // Where several do, those too whose sockets were not looked at yet.
                Next::Rung if are_many => tokio::task::yield_now().await,
                Next::Rung => behind_the_others().await,
                Next::Empty if channel.as_ref().is_some_and(|name| pumps.bury(name, &self)) => {
                    return;
                }
                Next::Empty => {}
            }
        }
    }

    async fn next(&self, feed: &mut Feed, alarms: &mut Alarms) -> Next {
        let mut has_waited = false;
        std::future::poll_fn(|cx| {
            if has_waited {
                return Poll::Ready(Next::Rung);
            }
            let next = self.poll_now(feed, alarms, cx);
            has_waited = next.is_pending();
            next
        })
        .await
    }

    fn poll_now(&self, feed: &mut Feed, alarms: &mut Alarms, cx: &mut Context<'_>) -> Poll<Next> {
        if let Poll::Ready(batch) = feed.poll_next(cx) {
            return Poll::Ready(Next::Batch(batch));
        }
        self.mind_resting(feed, &mut alarms.rest);
        self.mind_burst(feed, alarms);
        // Looked at after the waker is registered: the last reader to leave nudges the bell.
        if self.slots.lock().is_empty() {
            return Poll::Ready(Next::Empty);
        }
        Poll::Pending
    }

    /// Looks every now and then for readers who rest for long.
    fn mind_resting(&self, feed: &Feed, alarm: &mut Alarm) {
        if self.resting.load(Ordering::Relaxed) > 0 {
            let now = Instant::now();
            if !alarm.is_armed(now) {
                self.cast_off(now);
                alarm.arm(feed.hub().wheel(), &self.bell, now + REST_MAX, now);
            }
        }
    }

    /// Wakes those who are to be sent a ping once the burst is over.
    fn mind_burst(&self, feed: &Feed, alarms: &mut Alarms) {
        let Some(over) = alarms.burst.map(|last| last + BURST_OVER_AFTER) else {
            return;
        };
        let now = Instant::now();
        if now < over {
            alarms.ping.arm(feed.hub().wheel(), &self.bell, over, now);
            return;
        }
        alarms.burst = None;
        let slots = self.slots.lock();
        let nudged = slots.iter().filter(|(_, slot)| slot.nudge_for_ping());
        // Under the lock, so that nobody who joins meanwhile is overlooked.
        self.are_probed.store(nudged.count() > 0, Ordering::Relaxed);
    }

    /// Forgets readers who did not come back from their rest.
    fn cast_off(&self, now: Instant) {
        let then = now.checked_sub(REST_MAX).unwrap_or(now);
        let mut slots = self.slots.lock();
        slots.retain(|_, slot| !slot.cast_off(then, now, self));
        if slots.is_empty() {
            slots.shrink_to_fit();
        }
    }

    async fn deliver(&self, batch: &Batch, scratch: &mut Scratch) {
        let load = Load {
            run: match &batch.items {
                Items::Run(run) => Some(run),
                Items::Own(_) => None,
            },
            cursor: batch.cursor,
            now: Instant::now(),
        };
        let mut written = [0; Transport::ALL.len()];
        let mut from = 0;
        let mut until_pause = WRITES_AT_ONCE;
        while let Some(next) = self.deliver_some(&load, from, &mut written, scratch) {
            from = next;
            until_pause = until_pause.saturating_sub(READERS_AT_ONCE);
            if until_pause == 0 {
                tokio::task::yield_now().await;
                until_pause = WRITES_AT_ONCE;
            }
        }
        let events = load.run.map_or(0, Run::events) as u64;
        for (count, delivered) in written.iter().zip(&self.delivered) {
            delivered.inc_by(count * events);
        }
        self.writes.inc_by(written.iter().sum());
    }

    /// Goes on from this key. Gives the key to go on from, where there are more.
    fn deliver_some(
        &self,
        load: &Load<'_>,
        from: usize,
        written: &mut [u64; Transport::ALL.len()],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let slots = self.slots.lock();
        let end = slots.capacity().min(from + READERS_AT_ONCE);
        for key in from..end {
            if let Some(slot) = slots.get(key)
                && slot.take(load, self, scratch)
            {
                written[slot.transport as usize] += 1;
            }
        }
        (end < slots.capacity()).then_some(end)
    }
}

/// Until all tasks that are ready had their turn. A task that wakes itself goes behind them; the runtime's own
/// `yield_now` looks for sockets too, a call of the kernel that an event by itself need not cost.
async fn behind_the_others() {
    let mut has_waited = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
