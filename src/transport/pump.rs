//! Pumps: readers who wait for one and the same channel, and for nothing else, are written to in turn from one
//! place, which costs a third less than a wake-up of each one's task.
//!
//! A pump is one feed for many: it pulls by cursor and log as each of them would. It writes to whoever is just where
//! the newest events begin and has nothing else to be told; everybody else it nudges, to go his own way. So it has
//! no queue: who takes less than he is given is nudged with what is left of that. Knows no session and no wire.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use slab::Slab;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Wording;
use crate::bell::Bell;
use crate::feed::{Batch, Feed};
use crate::hub::{Hub, Items, Run, Tally};
use crate::protocol::{ChannelName, Transport};
use crate::session::Attach;

/// Readers of a channel from which on a pump is worth its task.
const READERS_MIN: usize = 4;
/// Readers of one pump: further ones get another pump, which may run on another core.
const READERS_MAX: usize = 1_024;
/// Readers who are written to while the list is locked, some 100 µs: who joins or leaves waits so long.
const READERS_AT_ONCE: usize = 32;
/// Writes until other tasks get their turn, some 1 ms.
const WRITES_AT_ONCE: usize = 256;

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
    delivered: [Counter; Transport::ALL.len()],
    writes: Counter,
}

/// One reader, as its pump sees it.
struct Slot {
    stream: Arc<TcpStream>,
    bell: Arc<Bell>,
    transport: Transport,
    wording: Wording,
    state: Mutex<State>,
}

/// Where a reader is, while it leaves the writing to its pump.
#[derive(Default)]
struct State {
    /// Whether its own task writes nothing for now.
    is_left: bool,
    /// Everything up to here was told.
    offset: u64,
    /// When it was last written to by the pump.
    written: Option<Instant>,
    /// What the socket did not take of the last write.
    rest: Option<Box<Bytes>>,
}

/// What a pump writes to all of its readers.
struct Load<'a> {
    /// Absent where it is not simply the newest events.
    run: Option<&'a Run>,
    head: u64,
    now: Instant,
}

/// What a pump comes to.
enum Next {
    Batch(Batch),
    /// Something may be there to read.
    Rung,
    /// Nobody is left to read for.
    Empty,
}

/// A reader's place at a pump; leaves it when dropped.
struct Member {
    pump: Arc<Pump>,
    slot: Arc<Slot>,
    key: usize,
}

/// A reader's side: whether a pump writes for it.
#[derive(Default)]
pub(crate) struct Berth(Option<Member>);

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
            delivered: Transport::ALL.map(|transport| metrics.delivered(transport)),
            writes: metrics.writes.clone(),
        }
    }

    fn add(self: &Arc<Self>, slot: &Arc<Slot>) -> Option<Member> {
        let mut slots = self.slots.lock();
        if slots.len() >= READERS_MAX {
            return None;
        }
        self.tally[slot.transport as usize].fetch_add(1, Ordering::Relaxed);
        let key = slots.insert(slot.clone());
        Some(Member {
            pump: self.clone(),
            slot: slot.clone(),
            key,
        })
    }

    /// Reads its channel for as long as it has readers.
    async fn run(self: Arc<Self>, mut feed: Feed, pumps: Arc<Pumps>) {
        let channel = feed.channels().next().cloned();
        let mut are_many = false;
        loop {
            match self.next(&mut feed).await {
                Next::Batch(batch) => {
                    are_many = batch.items.len() > 1;
                    self.deliver(&batch).await;
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

    async fn next(&self, feed: &mut Feed) -> Next {
        let mut has_waited = false;
        std::future::poll_fn(|cx| {
            if has_waited {
                return Poll::Ready(Next::Rung);
            }
            match feed.poll_next(cx) {
                Poll::Ready(batch) => Poll::Ready(Next::Batch(batch)),
                // Looked at after the waker is registered: the last reader to leave nudges the bell.
                Poll::Pending if self.slots.lock().is_empty() => Poll::Ready(Next::Empty),
                Poll::Pending => {
                    has_waited = true;
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn deliver(&self, batch: &Batch) {
        let load = Load {
            run: match &batch.items {
                Items::Run(run) => Some(run),
                Items::Own(_) => None,
            },
            head: batch.cursor.offset,
            now: Instant::now(),
        };
        let mut written = [0; Transport::ALL.len()];
        let mut from = 0;
        let mut until_pause = WRITES_AT_ONCE;
        while let Some(next) = self.deliver_some(&load, from, &mut written) {
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
    ) -> Option<usize> {
        let slots = self.slots.lock();
        let end = slots.capacity().min(from + READERS_AT_ONCE);
        for key in from..end {
            if let Some(slot) = slots.get(key)
                && slot.take(load)
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

impl Slot {
    /// Writes, where nothing speaks against it, or else wakes the reader's own task, which writes the rest too. Whether
    /// it was written to.
    fn take(&self, load: &Load<'_>) -> bool {
        let mut state = self.state.lock();
        let mut is_told = false;
        if let Some(run) = load.run
            && state.is_left
        {
            if state.offset >= run.last() {
                // It has read this by itself.
                return false;
            }
            is_told = run.begins_at(state.offset) && self.write(run, load, &mut state);
            if is_told && state.rest.is_none() {
                return true;
            }
        }
        state.is_left = false;
        drop(state);
        self.bell.nudge();
        is_told
    }

    fn write(&self, run: &Run, load: &Load<'_>, state: &mut State) -> bool {
        let bytes = (self.wording)(run);
        // Past the runtime, which would look first whether it knows the socket to be ready. Where it is not, or is
        // gone, the reader's own task finds out when it tries again.
        let Ok(taken) = SockRef::from(&*self.stream).send(&bytes) else {
            return false;
        };
        state.offset = load.head;
        state.written = Some(load.now);
        let is_whole = taken == bytes.len();
        state.rest = (!is_whole).then(|| Box::new(bytes.slice(taken..)));
        true
    }
}

impl Berth {
    /// The reader's own task goes on: what its pump did until now is taken over, and what is left of a write is given.
    pub(crate) fn rise(&mut self, attach: &mut Attach) -> Option<Bytes> {
        let member = self.0.as_ref()?;
        let mut state = member.slot.state.lock();
        state.is_left = false;
        if let Some(at) = state.written.take() {
            attach.told(state.offset, at);
        }
        state.rest.take().map(|rest| *rest)
    }

    /// The reader's own task has nothing more to do: what comes next is left to a pump, where that is enough.
    pub(crate) fn leave_it(
        &mut self,
        pumps: &Arc<Pumps>,
        attach: &mut Attach,
        stream: &Arc<TcpStream>,
        wording: Wording,
    ) {
        if !attach.is_watched() {
            // It left the channel of that pump, and perhaps reads another one.
            self.0 = None;
        }
        let Some((channel, offset)) = attach.calm() else {
            if self.0.is_some() {
                attach.watch();
                // What the pump was about to nudge it for, it looks for itself.
                attach.bell().nudge();
                self.0 = None;
            }
            return;
        };
        if self.0.is_none() {
            if !channel.is_crowded(READERS_MIN) {
                return;
            }
            let slot = Slot {
                stream: stream.clone(),
                bell: attach.bell().clone(),
                transport: attach.transport(),
                wording,
                state: Mutex::default(),
            };
            self.0 = pumps.join(&channel.name, slot);
            if self.0.is_some() {
                attach.let_watch();
            }
        }
        if let Some(member) = &self.0 {
            let mut state = member.slot.state.lock();
            state.is_left = true;
            state.offset = offset;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut slots = self.pump.slots.lock();
        slots.remove(self.key);
        self.pump.tally[self.slot.transport as usize].fetch_sub(1, Ordering::Relaxed);
        if slots.is_empty() {
            drop(slots);
            self.pump.bell.nudge();
        }
    }
}
