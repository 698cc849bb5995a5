//! Fan-out tasks: each one writes the newest events of one channel to many readers in turn. It serves readers that wait
//! for that one channel and for nothing else. Writing from one place costs a third less than waking the task of each
//! reader.
//!
//! A fan-out task owns one feed for many readers. It reads by cursor and log, as each of them would. It writes to each
//! subscriber that is exactly where the newest events begin and has nothing else to deliver. It notifies every other
//! subscriber, whose own task then reads for itself. So a fan-out task has no queue: if a socket does not accept the
//! whole write, the subscriber is notified and its own task writes the rest. A held poll is answered once and then
//! parked until its client sends the next poll.
//!
//! Knows no session and no wire.

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
use crate::hub::waker::FeedWaker;
use crate::hub::wheel::Timer;
use crate::hub::{HubState, Items, ReaderCounts, SharedBatch};
use crate::protocol::cursor::Cursor;
use crate::protocol::{ChannelName, Transport};
use crate::session::BURST_OVER_AFTER;

use subscriber::{Subscriber, Subscription};

pub(crate) use subscriber::{DelegatedWrites, SubscriberHandle};

/// From this number of readers of a channel on, a fan-out task is worth its cost.
const READERS_MIN: usize = 4;
/// The most subscribers of one fan-out task. Further readers get another task, which may run on another core.
const READERS_MAX: usize = 1_024;
/// Subscribers that are written to while the list is locked, about 100 µs. A reader that joins or leaves waits this
/// long.
const READERS_AT_ONCE: usize = 32;
/// Writes before other tasks get their turn, about 1 ms.
const WRITES_AT_ONCE: usize = 256;
/// How long a subscriber may stay parked between two polls. Most clients poll again within one round trip. If a client
/// does not, its own task must soon learn that the poll was answered.
const REST_MAX: Duration = Duration::from_millis(200);

/// Bytes of a response buffer that are kept for the next events: enough for usual responses. A fan-out task may wait
/// for a long time.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

/// All fan-out tasks of a hub.
pub(crate) struct Fanouts {
    hub: Arc<HubState>,
    by_channel: Mutex<HashMap<ChannelName, Vec<Arc<Fanout>>>>,
}

/// One fan-out task: some readers of one channel.
struct Fanout {
    subscribers: Mutex<Slab<Arc<Subscriber>>>,
    counts: Arc<ReaderCounts>,
    /// The waker of its feed.
    feed_waker: Arc<FeedWaker>,
    /// How many of its subscribers are parked between two polls.
    parked: AtomicUsize,
    /// Whether some of its subscribers get a ping after each burst.
    are_probed: AtomicBool,
    delivered: [Counter; Transport::ALL.len()],
    /// The gauge of readers that poll.
    polling: Gauge,
    writes: Counter,
}

/// What a fan-out task writes to all its subscribers.
struct FanoutBatch<'a> {
    /// `None` if the batch is not simply the newest events.
    run: Option<&'a SharedBatch>,
    /// The cursor after the batch.
    cursor: Cursor,
    now: Instant,
}

/// Buffers in which responses are built, one after the other.
#[derive(Default)]
struct Scratch {
    answer: Vec<u8>,
    out: Vec<u8>,
}

impl Scratch {
    /// Frees the room that a response of unusual size needed.
    fn shrink(&mut self) {
        for buffer in [&mut self.answer, &mut self.out] {
            buffer.clear();
            buffer.shrink_to(SCRATCH_BYTES_MAX);
        }
    }
}

/// The timers of a fan-out task for subscribers that it does not write to.
#[derive(Default)]
struct FanoutTimers {
    park_timer: Timer,
    ping: Timer,
    /// When the last event of a burst was written, if a subscriber gets a ping after it.
    burst: Option<Instant>,
}

/// The next step of a fan-out task.
enum FanoutStep {
    Batch(Batch),
    /// Events may be ready to read.
    Rung,
    /// No subscriber is left.
    Empty,
}

impl Fanouts {
    pub(crate) fn new(hub: &Arc<HubState>) -> Arc<Self> {
        Arc::new(Self {
            hub: hub.clone(),
            by_channel: Mutex::default(),
        })
    }

    /// Registers a reader of this channel with a fan-out task, and starts a task if none has room. Returns `None` if
    /// the hub has no room for the channel.
    fn join(
        self: &Arc<Self>,
        channel: &ChannelName,
        subscriber: Subscriber,
    ) -> Option<Subscription> {
        let mut by_channel = self.by_channel.lock();
        let fanouts = by_channel.entry(channel.clone()).or_default();
        let subscriber = Arc::new(subscriber);
        if let Some(member) = fanouts.iter().find_map(|fanout| fanout.add(&subscriber)) {
            return Some(member);
        }
        let counts: Arc<ReaderCounts> = Arc::default();
        let Ok(feed) = Feed::for_many(&self.hub, channel, counts.clone()) else {
            if fanouts.is_empty() {
                by_channel.remove(channel);
            }
            return None;
        };
        let fanout = Arc::new(Fanout::new(&self.hub, counts, &feed));
        let member = fanout.add(&subscriber);
        fanouts.push(fanout.clone());
        tokio::spawn(fanout.run(feed, self.clone()));
        member
    }

    /// Removes a fan-out task that has no subscribers. Returns whether it had none.
    fn remove_if_empty(&self, channel: &ChannelName, fanout: &Arc<Fanout>) -> bool {
        let mut by_channel = self.by_channel.lock();
        if !fanout.subscribers.lock().is_empty() {
            return false;
        }
        if let Some(fanouts) = by_channel.get_mut(channel) {
            fanouts.retain(|other| !Arc::ptr_eq(other, fanout));
            if fanouts.is_empty() {
                by_channel.remove(channel);
            }
        }
        true
    }
}

impl Fanout {
    fn new(hub: &HubState, counts: Arc<ReaderCounts>, feed: &Feed) -> Self {
        let metrics = hub.metrics();
        Self {
            subscribers: Mutex::default(),
            counts,
            feed_waker: feed.waker().clone(),
            parked: AtomicUsize::new(0),
            are_probed: AtomicBool::new(false),
            delivered: Transport::ALL.map(|transport| metrics.delivered(transport)),
            polling: metrics.readers(Transport::Poll),
            writes: metrics.writes.clone(),
        }
    }

    fn add(self: &Arc<Self>, subscriber: &Arc<Subscriber>) -> Option<Subscription> {
        let mut subscribers = self.subscribers.lock();
        if subscribers.len() >= READERS_MAX {
            return None;
        }
        self.counts[subscriber.transport as usize].fetch_add(1, Ordering::Relaxed);
        self.are_probed
            .fetch_or(subscriber.is_probed, Ordering::Relaxed);
        let key = subscribers.insert(subscriber.clone());
        Some(Subscription::new(self, subscriber.clone(), key))
    }

    /// Reads the channel as long as it has subscribers.
    async fn run(self: Arc<Self>, mut feed: Feed, fanouts: Arc<Fanouts>) {
        let channel = feed.channels().next().cloned();
        let mut timers = FanoutTimers::default();
        let mut scratch = Scratch::default();
        let mut are_many = false;
        loop {
            match self.next(&mut feed, &mut timers).await {
                FanoutStep::Batch(batch) => {
                    are_many = batch.items.len() > 1;
                    self.deliver(&batch, &mut scratch).await;
                    scratch.shrink();
                    timers.burst = self.are_probed.load(Ordering::Relaxed).then(Instant::now);
                    // Check here too: if events never pause, the task never reaches the check before a wait.
                    self.evict_overdue(&feed, &mut timers.park_timer);
                }
                // Let other publishers run first: their events then go out in the same writes. After a batch of several
                // events, also let the runtime check its sockets, since more publishers may be ready there.
                FanoutStep::Rung if are_many => tokio::task::yield_now().await,
                FanoutStep::Rung => yield_to_ready_tasks().await,
                FanoutStep::Empty
                    if channel
                        .as_ref()
                        .is_some_and(|name| fanouts.remove_if_empty(name, &self)) =>
                {
                    return;
                }
                FanoutStep::Empty => {}
            }
        }
    }

    async fn next(&self, feed: &mut Feed, timers: &mut FanoutTimers) -> FanoutStep {
        let mut has_waited = false;
        std::future::poll_fn(|cx| {
            if has_waited {
                return Poll::Ready(FanoutStep::Rung);
            }
            let next = self.poll_now(feed, timers, cx);
            has_waited = next.is_pending();
            next
        })
        .await
    }

    fn poll_now(
        &self,
        feed: &mut Feed,
        timers: &mut FanoutTimers,
        cx: &mut Context<'_>,
    ) -> Poll<FanoutStep> {
        if let Poll::Ready(batch) = feed.poll_next(cx) {
            return Poll::Ready(FanoutStep::Batch(batch));
        }
        self.evict_overdue(feed, &mut timers.park_timer);
        self.schedule_pings(feed, timers);
        // Check after the waker is registered: the last subscriber that leaves notifies it.
        if self.subscribers.lock().is_empty() {
            return Poll::Ready(FanoutStep::Empty);
        }
        Poll::Pending
    }

    /// Evicts subscribers that are parked for too long, and arms the timer for the next check.
    fn evict_overdue(&self, feed: &Feed, alarm: &mut Timer) {
        if self.parked.load(Ordering::Relaxed) > 0 {
            let now = Instant::now();
            if !alarm.is_armed(now) {
                self.evict_parked(now);
                alarm.arm(feed.hub().wheel(), &self.feed_waker, now + REST_MAX, now);
            }
        }
    }

    /// Notifies the subscribers that get a ping once the burst is over.
    fn schedule_pings(&self, feed: &Feed, timers: &mut FanoutTimers) {
        let Some(over) = timers.burst.map(|last| last + BURST_OVER_AFTER) else {
            return;
        };
        let now = Instant::now();
        if now < over {
            timers
                .ping
                .arm(feed.hub().wheel(), &self.feed_waker, over, now);
            return;
        }
        timers.burst = None;
        let subscribers = self.subscribers.lock();
        let nudged = subscribers
            .iter()
            .filter(|(_, subscriber)| subscriber.notify_for_ping());
        // Stored under the lock, so that a subscriber that joins meanwhile is not missed.
        self.are_probed.store(nudged.count() > 0, Ordering::Relaxed);
    }

    /// Evicts subscribers whose clients did not poll again in time.
    fn evict_parked(&self, now: Instant) {
        let then = now.checked_sub(REST_MAX).unwrap_or(now);
        let mut subscribers = self.subscribers.lock();
        subscribers.retain(|_, subscriber| !subscriber.evict_if_parked_before(then, now, self));
        if subscribers.is_empty() {
            subscribers.shrink_to_fit();
        }
    }

    async fn deliver(&self, batch: &Batch, scratch: &mut Scratch) {
        let batch = FanoutBatch {
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
        while let Some(next) = self.deliver_some(&batch, from, &mut written, scratch) {
            from = next;
            until_pause = until_pause.saturating_sub(READERS_AT_ONCE);
            if until_pause == 0 {
                tokio::task::yield_now().await;
                until_pause = WRITES_AT_ONCE;
            }
        }
        let events = batch.run.map_or(0, SharedBatch::events) as u64;
        for (count, delivered) in written.iter().zip(&self.delivered) {
            delivered.inc_by(count * events);
        }
        self.writes.inc_by(written.iter().sum());
    }

    /// Delivers to some subscribers, beginning at this key. Returns the key of the next ones, if there are any.
    fn deliver_some(
        &self,
        batch: &FanoutBatch<'_>,
        from: usize,
        written: &mut [u64; Transport::ALL.len()],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let subscribers = self.subscribers.lock();
        let end = subscribers.capacity().min(from + READERS_AT_ONCE);
        for key in from..end {
            if let Some(subscriber) = subscribers.get(key)
                && subscriber.write_or_notify(batch, self, scratch)
            {
                written[subscriber.transport as usize] += 1;
            }
        }
        (end < subscribers.capacity()).then_some(end)
    }
}

/// Waits until all tasks that are ready have run. A task that wakes itself is queued behind them. The runtime's own
/// `yield_now` also checks sockets, a system call that a single event does not need.
async fn yield_to_ready_tasks() {
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
