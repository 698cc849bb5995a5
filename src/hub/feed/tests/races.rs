//! Publishers in threads and feeds on several workers. No wake-up is lost, and no event is skipped because another
//! channel became ready first (see `Feed::poll_next`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::hub::feed::{Feed, Item};
use crate::hub::{HubOptions, HubState, ReadLimit, now_ms};
use crate::metrics::Metrics;
use crate::protocol::cursor::{Epoch, Since};
use crate::protocol::{ChannelName, Data, Draft, EventName};

/// Threads that publish at once.
const PUBLISHERS: usize = 3;
/// Number of rounds. A reader that does not reach the end after a round has lost a wake-up.
const ROUNDS: usize = 250;
/// Events of each publisher in one round, over all channels.
const EVENTS_EACH: usize = 40;
/// Few enough channels that publishers meet in each of them.
const CHANNELS: usize = 6;
/// Feeds in each channel whose only purpose is to lengthen the time between a wake and its head.
const SLEEPERS: usize = 150;
/// A feed that does not reach the end within this time has lost a wake-up. Even a loaded machine needs only a fraction
/// of it.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// Events that race with a sweep.
const SWEPT_EVENTS: usize = 40_000;

fn name(channel: usize) -> ChannelName {
    ChannelName::new(&format!("c{channel}")).unwrap()
}

fn append(hub: &HubState, channel: usize) -> u64 {
    let draft = Draft {
        channel: name(channel),
        name: EventName::default(),
        data: Data::Bytes(Bytes::new()),
        from: None,
        session: None,
        sent_bytes: 0,
    };
    hub.append(draft).unwrap().0.offset
}

/// The offsets that were appended, by channel.
type Appended = BTreeMap<usize, Vec<u64>>;

/// Publishes in an order that depends on `random`.
fn publish(hub: &HubState, mut random: u64) -> Appended {
    let mut appended = Appended::new();
    for _ in 0..EVENTS_EACH {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let channel = (random >> 33) as usize % CHANNELS;
        appended
            .entry(channel)
            .or_default()
            .push(append(hub, channel));
    }
    appended
}

/// One reader: the cursor that it reports, and a task that returns what was delivered to it.
struct Racer {
    channels: Vec<usize>,
    cursor: Arc<AtomicU64>,
    task: JoinHandle<Heard>,
}

/// What was delivered to a reader, by channel: the offsets of events, and the ranges that gaps named.
#[derive(Default)]
struct Heard {
    events: Appended,
    gaps: Vec<(usize, u64, u64)>,
}

impl Racer {
    fn start(
        runtime: &Runtime,
        hub: &Arc<HubState>,
        channels: &[usize],
        over: &Arc<AtomicU64>,
    ) -> Self {
        let starts: Vec<_> = channels
            .iter()
            .map(|channel| (name(*channel), Since::All))
            .collect();
        let feed = Feed::open(hub, &starts, None).unwrap();
        let cursor: Arc<AtomicU64> = Arc::default();
        Self {
            channels: channels.to_vec(),
            task: runtime.spawn(Self::read(feed, cursor.clone(), over.clone())),
            cursor,
        }
    }

    /// Reads up to the final offset, once that is set.
    async fn read(mut feed: Feed, cursor: Arc<AtomicU64>, over: Arc<AtomicU64>) -> Heard {
        let mut heard = Heard::default();
        let mut last = 0;
        while last < over.load(Ordering::Acquire) {
            let head = feed.hub().head();
            let batch = feed.next().await;
            for item in batch.items {
                let id = item.id().offset;
                assert!(
                    id > last,
                    "ids rise, and none lies below a cursor that was given"
                );
                last = id;
                heard.take(item);
            }
            assert!(batch.cursor.offset >= last && batch.cursor.offset <= feed.hub().head());
            assert!(
                batch.more || batch.cursor.offset >= head,
                "all that was there is read"
            );
            last = batch.cursor.offset;
            cursor.store(last, Ordering::Release);
        }
        heard
    }
}

impl Heard {
    fn take(&mut self, item: Item) {
        match item {
            Item::Event(event) => {
                let told = self.events.entry(number(&event.channel)).or_default();
                told.push(event.id.offset);
            }
            Item::Gap(gap) => {
                let after = gap.after.expect("this hub gave it").offset;
                self.gaps.push((number(&gap.channel), after, gap.id.offset));
            }
        }
    }
}

fn number(name: &ChannelName) -> usize {
    name.as_str()[1..].parse().unwrap()
}

/// Returns the events of a channel that were neither delivered nor named by a gap.
fn missing(appended: &[u64], heard: &Heard, channel: usize) -> Vec<u64> {
    let told = heard.events.get(&channel).map_or(&[][..], Vec::as_slice);
    assert!(told.is_sorted_by(|a, b| a < b), "each once and in order");
    let named = |offset: u64| {
        heard
            .gaps
            .iter()
            .any(|(of, after, id)| *of == channel && *after < offset && offset <= *id)
    };
    let is_missing = |offset: &u64| told.binary_search(offset).is_err() && !named(*offset);
    appended.iter().copied().filter(is_missing).collect()
}

/// Runs one round: all publishers publish at once.
fn round(hub: &Arc<HubState>, round: usize, appended: &mut Appended) {
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let hub = hub.clone();
            std::thread::spawn(move || publish(&hub, (round * PUBLISHERS + publisher) as u64))
        })
        .collect();
    for publisher in publishers {
        for (channel, offsets) in publisher.join().unwrap() {
            appended.entry(channel).or_default().extend(offsets);
        }
    }
}

/// Waits until every reader has read everything that was appended to its channels.
fn all_arrive(racers: &[Racer], appended: &Appended) {
    let deadline = Instant::now() + LOST_AFTER;
    for racer in racers {
        let of_channel = |channel| {
            appended
                .get(channel)
                .and_then(|offsets| offsets.iter().max())
        };
        let end = racer
            .channels
            .iter()
            .filter_map(of_channel)
            .max()
            .copied()
            .unwrap_or(0);
        while racer.cursor.load(Ordering::Acquire) < end {
            let is_alive = Instant::now() < deadline && !racer.task.is_finished();
            assert!(
                is_alive,
                "{:?}: a wake-up was lost before {end}",
                racer.channels
            );
            std::thread::yield_now();
        }
    }
}

fn race(options: HubOptions) -> usize {
    let hub = HubState::new(options, Epoch::from_random(7), Metrics::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    // Each channel alone, each pair of neighbours, and all channels together.
    let alone = (0..CHANNELS).map(|channel| vec![channel]);
    let pairs = (1..CHANNELS).map(|channel| vec![channel - 1, channel]);
    let groups: Vec<Vec<usize>> = alone
        .chain(pairs)
        .chain([(0..CHANNELS).collect()])
        .collect();
    let over = Arc::new(AtomicU64::new(u64::MAX));
    let racers: Vec<_> = groups
        .iter()
        .map(|group| Racer::start(&runtime, &hub, group, &over))
        .collect();
    let everything: Vec<_> = (0..CHANNELS)
        .map(|channel| (name(channel), Since::Now))
        .collect();
    let _sleepers: Vec<_> = (0..SLEEPERS)
        .map(|_| Feed::open(&hub, &everything, None).unwrap())
        .collect();
    let mut appended = Appended::new();
    for count in 0..ROUNDS {
        round(&hub, count, &mut appended);
        all_arrive(&racers, &appended);
    }
    over.store(hub.head(), Ordering::Release);
    for channel in 0..CHANNELS {
        appended
            .entry(channel)
            .or_default()
            .push(append(&hub, channel));
    }
    let mut told = 0;
    for racer in racers {
        let heard = runtime.block_on(racer.task).unwrap();
        for channel in racer.channels {
            let last = heard
                .events
                .get(&channel)
                .and_then(|offsets| offsets.last())
                .copied();
            let due: Vec<u64> = appended[&channel]
                .iter()
                .copied()
                .filter(|offset| Some(*offset) <= last)
                .collect();
            let missing = missing(&due, &heard, channel);
            assert!(missing.is_empty(), "channel {channel}: {missing:?}");
        }
        told += heard.events.values().map(Vec::len).sum::<usize>();
    }
    told
}

#[test]
fn no_wake_up_is_lost_and_no_event_passed_over() {
    let told = race(HubOptions {
        history_events: None,
        history_bytes: None,
        ..HubOptions::default()
    });
    // Each event was delivered to the reader of its channel alone, to the reader of all channels, and to one or two
    // readers of a pair.
    assert!(told >= 3 * PUBLISHERS * ROUNDS * EVENTS_EACH, "{told}");
}

#[test]
fn what_is_evicted_in_a_race_is_named_by_a_gap() {
    race(HubOptions {
        history_events: Some(3),
        ..HubOptions::default()
    });
}

/// Readers come and go and events arrive, while everything without a reader is swept.
#[test]
fn a_sweep_swallows_no_event_and_no_reader() {
    let hub = HubState::new(
        HubOptions::default(),
        Epoch::from_random(7),
        Metrics::default(),
    );
    let is_over = Arc::new(AtomicBool::new(false));
    let sweeper = std::thread::spawn({
        let (hub, is_over) = (hub.clone(), is_over.clone());
        let far_ms = now_ms() * 2;
        move || {
            let mut swept = 0_usize;
            while !is_over.load(Ordering::Relaxed) {
                hub.sweep(far_ms);
                swept += 1;
            }
            swept
        }
    });
    for count in 0..SWEPT_EVENTS {
        let channel = count % CHANNELS;
        let id = append(&hub, channel);
        let before = Since::At(hub.cursor(id - 1));
        let one = ReadLimit {
            events: 1,
            bytes: 1,
            of_frames: false,
        };
        let (page, _) = hub.history(&name(channel), before, one);
        let told = page
            .events
            .first()
            .map(|event| event.id)
            .or(page.gap.map(|gap| gap.id));
        assert_eq!(told, Some(hub.cursor(id)), "an event or its gap");

        let mut feed = Feed::open(&hub, &[(name(channel), Since::Now)], None).unwrap();
        let id = append(&hub, channel);
        let Poll::Ready(batch) = feed.poll_next(&mut Context::from_waker(Waker::noop())) else {
            panic!("a reader waits for a channel that was swept away");
        };
        assert!(matches!(&batch.items[..], [Item::Event(event)] if event.id.offset == id));
    }
    is_over.store(true, Ordering::Relaxed);
    assert!(sweeper.join().unwrap() > 0);
}
