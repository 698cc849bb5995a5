//! Publishers in threads, feeds on several workers: no wake-up is lost, and no event is passed over because another
//! channel's bell rang first (see `Feed::poll_next`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::cursor::{Epoch, Start};
use crate::feed::{Feed, Item};
use crate::hub::{Hub, Options};
use crate::metrics::Metrics;
use crate::protocol::{ChannelName, Data, Draft, EventName};

/// Threads that publish at once.
const PUBLISHERS: usize = 3;
/// Events of each publisher, over all channels.
const EVENTS_EACH: usize = 8_000;
/// Channels, few enough that publishers meet in each.
const CHANNELS: usize = 6;
/// The last word in each channel, once all publishers are done: the newest event is always held.
const LAST: &[u8] = b"last";
/// A feed that hears nothing for this long has lost a wake-up; a loaded machine needs a fraction of it.
const LOST_AFTER: Duration = Duration::from_secs(20);

fn name(channel: usize) -> ChannelName {
    ChannelName::new(&format!("c{channel}")).unwrap()
}

fn append(hub: &Hub, channel: usize, data: &[u8]) -> u64 {
    let draft = Draft {
        channel: name(channel),
        name: EventName::default(),
        data: Data::Bytes(Bytes::copy_from_slice(data)),
        from: None,
        session: None,
        sent_bytes: data.len(),
    };
    hub.append(draft).unwrap().0.offset
}

/// Publishes in an order of its own; gives the offsets by channel.
fn publish(hub: &Hub, publisher: usize) -> BTreeMap<usize, Vec<u64>> {
    let mut appended: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let mut random = publisher as u64 + 1;
    for count in 0..EVENTS_EACH {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let channel = (random >> 33) as usize % CHANNELS;
        appended
            .entry(channel)
            .or_default()
            .push(append(hub, channel, b"x"));
        if count % 64 == 0 {
            // Readers fall asleep in between: only a wake-up that is not lost brings them back.
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    appended
}

/// What one reader was told, by channel: offsets, and the holes that gaps named.
#[derive(Default)]
struct Heard {
    events: BTreeMap<usize, Vec<u64>>,
    gaps: Vec<(usize, u64, u64)>,
}

/// Reads channels until the last word came in each.
async fn read(hub: Arc<Hub>, channels: Vec<usize>, started: watch::Sender<usize>) -> Heard {
    let starts: Vec<_> = channels
        .iter()
        .map(|channel| (name(*channel), Start::All))
        .collect();
    let mut feed = Feed::open(&hub, &starts, None).unwrap();
    started.send_modify(|count| *count += 1);
    let mut heard = Heard::default();
    let mut last_words = channels.len();
    while last_words > 0 {
        let head = hub.head();
        let batch = tokio::time::timeout(LOST_AFTER, feed.next())
            .await
            .expect("a wake-up was lost");
        let mut last = 0;
        for item in batch.items {
            let id = item.id().offset;
            assert!(
                id > last && id <= batch.cursor.offset,
                "ids rise up to the cursor"
            );
            last = id;
            match item {
                Item::Event(event) => {
                    let channel = number(&event.channel);
                    heard.events.entry(channel).or_default().push(id);
                    let is_last = matches!(&event.data, Data::Bytes(data) if data == LAST);
                    last_words -= usize::from(is_last);
                }
                Item::Gap(gap) => {
                    let after = gap.after.expect("this hub gave it").offset;
                    heard.gaps.push((number(&gap.channel), after, id));
                }
            }
        }
        assert!(
            batch.cursor.offset <= hub.head(),
            "no cursor lies above the head"
        );
        assert!(
            batch.more || batch.cursor.offset >= head,
            "all that was there is read"
        );
    }
    heard
}

fn number(name: &ChannelName) -> usize {
    name.as_str()[1..].parse().unwrap()
}

/// The events of a channel that were neither told nor named by a gap.
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

fn race(options: Options) -> usize {
    let hub = Hub::new(options, Epoch::from_random(7), Metrics::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    // Each channel alone, neighbours together, and all at once.
    let alone = (0..CHANNELS).map(|channel| vec![channel]);
    let pairs = (1..CHANNELS).map(|channel| vec![channel - 1, channel]);
    let groups: Vec<Vec<usize>> = alone
        .chain(pairs)
        .chain([(0..CHANNELS).collect()])
        .collect();
    let started = watch::Sender::new(0);
    let readers: Vec<_> = groups
        .iter()
        .map(|group| runtime.spawn(read(hub.clone(), group.clone(), started.clone())))
        .collect();
    runtime
        .block_on(async {
            started
                .subscribe()
                .wait_for(|count| *count == groups.len())
                .await
                .map(drop)
        })
        .unwrap();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let hub = hub.clone();
            std::thread::spawn(move || publish(&hub, publisher))
        })
        .collect();
    let mut appended: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for publisher in publishers {
        for (channel, offsets) in publisher.join().unwrap() {
            appended.entry(channel).or_default().extend(offsets);
        }
    }
    for channel in 0..CHANNELS {
        appended
            .entry(channel)
            .or_default()
            .push(append(&hub, channel, LAST));
    }
    let mut told = 0;
    for (group, reader) in groups.into_iter().zip(readers) {
        let heard = runtime.block_on(reader).unwrap();
        for channel in group {
            let missing = missing(&appended[&channel], &heard, channel);
            assert!(missing.is_empty(), "channel {channel}: {missing:?}");
        }
        told += heard.events.values().map(Vec::len).sum::<usize>();
    }
    told
}

#[test]
fn no_wake_up_is_lost_and_no_event_passed_over() {
    let told = race(Options {
        history_events: None,
        history_bytes: None,
        ..Options::default()
    });
    let copies = 1 + 2 + 1;
    assert!(told > (copies - 1) * PUBLISHERS * EVENTS_EACH, "{told}");
}

#[test]
fn what_is_evicted_in_a_race_is_named_by_a_gap() {
    race(Options {
        history_events: Some(3),
        ..Options::default()
    });
}
