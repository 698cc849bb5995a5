//! The hub: all logs, the offset counter and the readers' feed wakers.
//!
//! Only a broker appends. Knows no wire format, no HTTP, no credentials and no JSON.

mod channel;
pub mod feed;
pub mod log;
mod memory;
mod paged_read;
mod shared_batch;
mod table;
pub mod waker;
pub mod wheel;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};

use crate::hub::log::{Bounds, Log};
use crate::hub::waker::FeedWaker;
use crate::hub::wheel::Wheel;
use crate::metrics::Metrics;
use crate::protocol::cursor::{Cursor, Epoch, Since};
use crate::protocol::{ChannelName, Draft, Event, Gap, GapReason, Ledger, Reached, Refusal};
use channel::ChannelReader;
use table::Table;

pub use channel::{Channel, ReaderCounting, ReaderCounts};
pub use paged_read::PagedRead;
pub use shared_batch::{Item, Items, SharedBatch};

/// The most events in a shared batch: enough for a burst to readers that are hardly behind.
const RUN_EVENTS_MAX: usize = 256;
/// The fraction of `history_total` for forgotten events that responses in progress still need: one part in this many.
const KEPT_FRACTION: usize = 16;
/// The interval at which idle channels are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The bounds of the hub's memory. `None` means no bound.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// The most events in one log.
    pub history_events: Option<usize>,
    /// The most bytes of data in one log.
    pub history_bytes: Option<usize>,
    /// The greatest age of an event in one log.
    pub history_age: Option<Duration>,
    /// The most bytes of all logs, including encoded forms.
    pub history_total: Option<usize>,
    /// The most channels.
    pub hub_channels: Option<usize>,
    /// How long a channel without readers keeps its newest event at least, even if `history_age` is shorter. Presence
    /// channels keep it no longer than this.
    pub sweep_idle: Duration,
    /// The most swept channels that are remembered one by one, at about 40 bytes each. Beyond it, the older ones are
    /// remembered together, which causes needless gaps.
    pub tombstones: usize,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            history_events: Some(1_000),
            history_bytes: Some(1024 * 1024),
            history_age: Some(Duration::from_secs(3_600)),
            history_total: Some(256 * 1024 * 1024),
            hub_channels: Some(100_000),
            sweep_idle: Duration::from_secs(60),
            // The same as the limit of channels.
            tombstones: 100_000,
        }
    }
}

impl HubOptions {
    fn bounds(&self) -> Bounds {
        Bounds {
            events: self.history_events,
            bytes: self.history_bytes,
            age_ms: self.history_age.map(|age| age.as_millis() as u64),
        }
    }
}

/// All logs, the offset counter and the readers' feed wakers.
#[derive(Debug)]
pub struct HubState {
    options: HubOptions,
    bounds: Bounds,
    epoch: Epoch,
    /// The append lock: guards the numbering and everything up to the stored head.
    counter: Mutex<Counter>,
    /// The newest offset that may be read.
    head: AtomicU64,
    channels: RwLock<Table>,
    ledger: Ledger,
    /// Held while memory is freed, so that only one publisher does it.
    shrinking: Mutex<()>,
    metrics: Metrics,
    wheel: Arc<Wheel>,
    /// Returns milliseconds since 1970: [`now_ms`], except in tests that control the time.
    clock: fn() -> u64,
}

#[derive(Debug, Default)]
struct Counter {
    offset: u64,
    time_ms: u64,
    /// Kept between appends, so that an append allocates nothing for the wakers.
    wakers: Vec<Waker>,
}

/// The position of a reader in a channel, and the gap before it that is still to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPosition {
    /// Everything up to this offset is read.
    pub offset: u64,
    /// If the reader's cursor does not belong to this hub: that cursor, and the reason for the gap.
    pub hole: Option<(Option<Cursor>, GapReason)>,
}

/// The limits of one read. A read always includes at least one event.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// The most events.
    pub events: usize,
    /// The most bytes.
    pub bytes: usize,
    /// Whether `bytes` counts whole frames instead of their data alone.
    pub of_frames: bool,
}

impl ReadLimit {
    fn bytes_of(&self, event: &Event) -> usize {
        if self.of_frames {
            event.frame_bytes()
        } else {
            event.data.len()
        }
    }
}

/// The result of one read of a channel.
#[derive(Debug, Default)]
pub struct Page {
    /// A gap before the first event.
    pub gap: Option<Gap>,
    /// Events, oldest first.
    pub events: Vec<Arc<Event>>,
    /// Whether the channel holds more events, up to the head, than the limit allowed.
    pub more: bool,
    /// Whether the channel holds, or has already forgotten, an event beyond the head.
    pub beyond: bool,
}

impl HubState {
    /// Creates an empty hub with this epoch.
    #[must_use]
    pub fn new(options: HubOptions, epoch: Epoch, metrics: Metrics) -> Arc<Self> {
        Self::with_clock(options, epoch, metrics, now_ms)
    }

    /// Creates an empty hub that reads the time from `clock`.
    pub(crate) fn with_clock(
        options: HubOptions,
        epoch: Epoch,
        metrics: Metrics,
        clock: fn() -> u64,
    ) -> Arc<Self> {
        let kept_max = options.history_total.map(|most| most / KEPT_FRACTION);
        let kept_max = kept_max.unwrap_or(usize::MAX);
        Arc::new(Self {
            bounds: options.bounds(),
            channels: RwLock::new(Table::new(options.tombstones)),
            options,
            epoch,
            counter: Mutex::default(),
            head: AtomicU64::new(0),
            ledger: Ledger::keeping(kept_max),
            shrinking: Mutex::new(()),
            metrics,
            wheel: Arc::default(),
            clock,
        })
    }

    /// Starts the hub's tasks: the timer wheel and the sweep. They end when the hub is dropped.
    pub fn start(self: &Arc<Self>) {
        tokio::spawn(Wheel::turn(Arc::downgrade(&self.wheel)));
        let hub = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(SWEEP_EVERY);
            loop {
                ticks.tick().await;
                let Some(hub) = hub.upgrade() else { return };
                hub.sweep((hub.clock)());
            }
        });
    }

    /// Returns the timer wheel, which notifies feed wakers.
    #[must_use]
    pub fn wheel(&self) -> &Arc<Wheel> {
        &self.wheel
    }

    /// Returns the metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the cursor at this offset.
    #[must_use]
    pub fn cursor(&self, offset: u64) -> Cursor {
        Cursor {
            epoch: self.epoch,
            offset,
        }
    }

    /// Returns the newest offset that may be read.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Returns whether the cursor has this hub's epoch and is not above the head. Such a cursor is valid in every
    /// channel.
    pub(crate) fn has_been_at(&self, cursor: Cursor) -> bool {
        cursor.epoch == self.epoch && cursor.offset <= self.head()
    }

    /// Appends an event and wakes the readers that wait for it. Only brokers call this.
    ///
    /// # Errors
    /// `too_many_channels` if the channel is new and the hub has no room for it.
    pub fn append(&self, draft: Draft) -> Result<(Cursor, Reached), Refusal> {
        let mut counter = self.counter.lock();
        // Look up the channel under the append lock. A sweep in between would leave the event in a removed log.
        let channel = self.channel(&draft.channel)?;
        let time_ms = (self.clock)().max(counter.time_ms);
        let event = Event::new(draft, self.epoch, counter.offset + 1, time_ms, &self.ledger);
        let id = event.id;
        channel.push(Arc::new(event), &self.bounds, time_ms);
        // Mark the channel as ready before the head is stored, so that every event at or below a head is marked. Wake
        // the tasks only after that, when they can read the event.
        let mut wakers = std::mem::take(&mut counter.wakers);
        let reached = channel.ring(&mut wakers);
        counter.offset = id.offset;
        counter.time_ms = time_ms;
        self.head.store(id.offset, Ordering::Release);
        drop(counter);
        wakers.drain(..).for_each(Waker::wake);
        self.counter.lock().wakers = wakers;
        self.metrics.published.inc();
        self.shrink();
        Ok((id, reached))
    }

    /// Resolves `start` to a position in a channel, with this head.
    fn place(&self, log: &Log, start: Since, head: u64) -> ReadPosition {
        let lost = |cursor, reason| ReadPosition {
            offset: log.forgotten(),
            hole: Some((cursor, reason)),
        };
        let offset = match start {
            Since::Now => head,
            Since::All => log.forgotten(),
            Since::Last(count) => log.before_newest(count as usize),
            Since::Within(age) => {
                // Exclude the millisecond itself: an event of this millisecond is not younger than 0 ms.
                let oldest_ms = (self.clock)().saturating_sub(age.as_millis() as u64);
                log.before_time(oldest_ms.saturating_add(1))
            }
            Since::At(cursor) if cursor.epoch != self.epoch => {
                return lost(Some(cursor), GapReason::Restart);
            }
            Since::At(cursor) if cursor.offset > head => {
                return lost(Some(cursor), GapReason::Unknown);
            }
            Since::At(cursor) => cursor.offset,
            Since::Unknown => return lost(None, GapReason::Unknown),
        };
        ReadPosition { offset, hole: None }
    }

    /// Reads all events between a position and `head` as a batch that all readers at that position share. Moves the
    /// position to the head. Returns `None` if the batch would not be all of it: nothing is new, a gap comes first,
    /// there is too much, or the newest event lies beyond the head.
    pub fn read_shared_batch(
        &self,
        channel: &Channel,
        place: &mut ReadPosition,
        head: u64,
        portion: ReadLimit,
    ) -> Option<Arc<SharedBatch>> {
        if place.hole.is_some() || place.offset >= head {
            return None;
        }
        let known = channel.newest.lock().clone();
        let follows = |run: &Arc<SharedBatch>| run.follows(place.offset, head, portion);
        let run = known.filter(follows).or_else(|| {
            self.make_shared_batch(channel, place.offset)
                .filter(follows)
        })?;
        place.offset = head;
        Some(run)
    }

    fn make_shared_batch(&self, channel: &Channel, offset: u64) -> Option<Arc<SharedBatch>> {
        let mut log = channel.log.lock();
        log.forget(&self.bounds, (self.clock)());
        if log.forgotten() > offset || log.last() <= offset {
            return None;
        }
        let after = log.before(offset);
        let newest = log
            .after(offset, RUN_EVENTS_MAX + 1)
            .cloned()
            .map(Item::Event);
        let items: Vec<Item> = newest.collect();
        if items.len() > RUN_EVENTS_MAX {
            return None;
        }
        let run = Arc::new(SharedBatch::new(items, after, &self.ledger));
        *channel.newest.lock() = Some(run.clone());
        Some(run)
    }

    /// Reads the events after a position, up to `head` and within the limit. Moves the position to the end of what was
    /// read.
    pub fn read(
        &self,
        channel: &Channel,
        place: &mut ReadPosition,
        head: u64,
        portion: ReadLimit,
    ) -> Page {
        let mut log = channel.log.lock();
        log.forget(&self.bounds, (self.clock)());
        self.read_log(&channel.name, &log, place, head, portion)
    }

    /// Returns what remains of a limit after everything that a reader at this position receives up to `head`. Returns
    /// `None` if that exceeds the limit.
    pub(crate) fn within(
        &self,
        channel: &Channel,
        place: ReadPosition,
        head: u64,
        portion: ReadLimit,
    ) -> Option<ReadLimit> {
        let mut left = portion;
        let mut log = channel.log.lock();
        log.forget(&self.bounds, (self.clock)());
        if place.hole.is_some() || log.forgotten() > place.offset {
            left.events = left.events.checked_sub(1)?;
        }
        let events = log.after(place.offset, left.events + 1);
        for event in events.take_while(|event| event.id.offset <= head) {
            left.events = left.events.checked_sub(1)?;
            left.bytes = left.bytes.checked_sub(event.data.len())?;
        }
        Some(left)
    }

    fn read_log(
        &self,
        name: &ChannelName,
        log: &Log,
        place: &mut ReadPosition,
        head: u64,
        portion: ReadLimit,
    ) -> Page {
        let forgotten = log.forgotten();
        if forgotten > head {
            // Events beyond this head are already forgotten. The reader reads again with a newer head.
            return Page {
                beyond: true,
                ..Page::default()
            };
        }
        let mut page = Page::default();
        if place.hole.is_some() || forgotten > place.offset {
            let (after, reason) = place
                .hole
                .take()
                .unwrap_or_else(|| (Some(self.cursor(place.offset)), log.reason()));
            page.gap = Some(Gap {
                channel: name.clone(),
                after,
                reason,
                id: self.cursor(forgotten),
                more: false,
            });
            place.offset = forgotten;
        }
        let mut bytes = 0;
        for event in log.after(place.offset, portion.events.saturating_add(1)) {
            if event.id.offset > head {
                page.beyond = true;
                break;
            }
            bytes += portion.bytes_of(event);
            let is_large = bytes > portion.bytes && !page.events.is_empty();
            if page.events.len() == portion.events || is_large {
                page.more = true;
                break;
            }
            page.events.push(event.clone());
        }
        if !page.more {
            place.offset = place.offset.max(head);
        } else if let Some(last) = page.events.last() {
            place.offset = last.id.offset;
        }
        page
    }

    /// Returns a page of what a channel's log still holds, and the cursor to continue from. Does not wait, count
    /// anything or create a channel.
    #[must_use]
    pub fn history(&self, name: &ChannelName, start: Since, portion: ReadLimit) -> (Page, Cursor) {
        let (page, cursor, _) = self.history_read(name, start, portion);
        (page, cursor)
    }

    /// Does the same as [`Self::history`]. Also returns a paged read, which finds the events again while a response
    /// with them is written.
    pub(crate) fn history_read(
        &self,
        name: &ChannelName,
        start: Since,
        portion: ReadLimit,
    ) -> (Page, Cursor, Option<PagedRead>) {
        let channels = self.channels.read();
        let absent;
        let channel = channels.find(name);
        let mut held = channel.map(|channel| channel.log.lock());
        let log = match &mut held {
            Some(log) => {
                log.forget(&self.bounds, (self.clock)());
                &**log
            }
            None => {
                absent = channels.new_log(name);
                &absent
            }
        };
        // Load the head after the log is locked. Otherwise, the log could have forgotten events beyond that head.
        let head = self.head();
        let mut place = self.place(log, start, head);
        let page = self.read_log(name, log, &mut place, head, portion);
        let ends = page.events.first().zip(page.events.last());
        let ends = ends.map(|(first, last)| (first.id.offset - 1, last.id.offset));
        let reading = channel.zip(held.as_mut()).zip(ends);
        let reading = reading
            .map(|((channel, log), (after, end))| PagedRead::begin(channel, log, after, end));
        (page, self.cursor(place.offset), reading)
    }

    /// Registers a feed waker in a channel, which is created if it does not exist. Returns the channel, the key of the
    /// registration, and the position that `start` means.
    pub(crate) fn join(
        &self,
        name: &ChannelName,
        start: Since,
        feed_waker: &Arc<FeedWaker>,
        slot: usize,
        counted: ReaderCounting,
    ) -> Result<(Arc<Channel>, usize, ReadPosition), Refusal> {
        let reader = ChannelReader {
            feed_waker: feed_waker.clone(),
            slot,
            counted,
        };
        let (channel, key) = self.enter(name, reader)?;
        // Load the head after the registration: every later event wakes the feed.
        let place = {
            let mut log = channel.log.lock();
            log.forget(&self.bounds, (self.clock)());
            self.place(&log, start, self.head())
        };
        Ok((channel, key, place))
    }
}

/// Returns the current Unix time in milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
