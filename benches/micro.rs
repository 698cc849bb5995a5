//! Micro-benchmarks of log, hub, feed and encoding: `cargo bench --bench micro`. `docs/benchmarks.md` holds the
//! figures.
//!
//! They end at the feed. The cross-transport bench measures the further cost of a transport.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]
#![allow(missing_docs, reason = "criterion makes public functions")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use triway::internal::{Bounds, Draft, Feed, HubState, Ledger, Log};
use triway::{ChannelName, Data, Epoch, Event, EventName, HubOptions, Metrics, Since};

/// Size of the data of one event, in bytes. The comparison of the transports uses the same size.
const DATA_BYTES: usize = 32;
/// The default bounds of a log.
const BOUNDS: Bounds = Bounds {
    events: Some(1_000),
    bytes: Some(1024 * 1024),
    age_ms: Some(3_600_000),
};

fn name(channel: usize) -> ChannelName {
    ChannelName::new(&format!("channel-{channel}")).unwrap()
}

fn draft(channel: &ChannelName, data: &Data) -> Draft {
    Draft {
        channel: channel.clone(),
        name: EventName::default(),
        data: data.clone(),
        from: None,
        session: None,
        sent_bytes: data.len(),
    }
}

fn data(bytes: usize) -> Data {
    Data::text(&"x".repeat(bytes))
}

fn event(offset: u64, bytes: usize) -> Arc<Event> {
    let draft = draft(&name(0), &data(bytes));
    Arc::new(Event::new(
        draft,
        Epoch::from_random(7),
        offset,
        1_000_000,
        &Ledger::default(),
    ))
}

fn hub() -> Arc<HubState> {
    HubState::new(
        HubOptions::default(),
        Epoch::from_random(7),
        Metrics::default(),
    )
}

fn full_log() -> Log {
    let mut log = Log::default();
    (1..=1_000).for_each(|offset| log.push(event(offset, DATA_BYTES), &BOUNDS, 1_000_000));
    log
}

fn log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    group.bench_function("push and evict one", |bencher| {
        let mut log = full_log();
        let mut offset = 1_000;
        bencher.iter_batched(
            || {
                offset += 1;
                event(offset, DATA_BYTES)
            },
            |event| log.push(event, &BOUNDS, 1_000_000),
            BatchSize::SmallInput,
        );
    });
    let log = full_log();
    for newest in [1, 100] {
        group.bench_function(BenchmarkId::new("read the newest", newest), |bencher| {
            bencher.iter(|| {
                log.after(1_000 - newest, 1_000)
                    .cloned()
                    .collect::<Vec<_>>()
            });
        });
    }
    group.bench_function("evict 500", |bencher| {
        bencher.iter_batched(full_log, |mut log| log.forget_half(), BatchSize::SmallInput);
    });
    group.finish();
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub");
    for readers in [0, 1, 1_000] {
        group.bench_function(
            BenchmarkId::new("append, readers asleep", readers),
            |bencher| {
                let (hub, name, data) = (hub(), name(0), data(DATA_BYTES));
                let starts = [(name.clone(), Since::Now)];
                let mut feeds: Vec<_> = (0..readers)
                    .map(|_| Feed::open(&hub, &starts, None).unwrap())
                    .collect();
                let mut cx = Context::from_waker(Waker::noop());
                bencher.iter_custom(|rounds| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..rounds {
                        // Poll until each feed waits, so that the append wakes each of them.
                        for feed in &mut feeds {
                            while feed.poll_next(&mut cx).is_ready() {}
                        }
                        let began = Instant::now();
                        hub.append(draft(&name, &data)).unwrap();
                        spent += began.elapsed();
                    }
                    spent
                });
            },
        );
    }
    group.finish();
}

/// Feeds that each run as a task on one worker, and count their deliveries.
struct Crowd {
    runtime: Runtime,
    hub: Arc<HubState>,
    names: Vec<ChannelName>,
    told: Arc<AtomicU64>,
    appended: usize,
}

impl Crowd {
    /// Starts one feed for each list of channels.
    fn new(channels: usize, feeds: impl Iterator<Item = Vec<usize>>) -> Self {
        let (hub, told) = (hub(), Arc::<AtomicU64>::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for list in feeds {
            let starts: Vec<_> = list
                .iter()
                .map(|channel| (name(*channel), Since::Now))
                .collect();
            let mut feed = Feed::open(&hub, &starts, None).unwrap();
            let told = told.clone();
            runtime.spawn(async move {
                loop {
                    let batch = feed.next().await;
                    told.fetch_add(batch.items.len() as u64, Ordering::Relaxed);
                }
            });
        }
        let names = (0..channels).map(name).collect();
        Self {
            runtime,
            hub,
            names,
            told,
            appended: 0,
        }
    }

    /// Appends events to the channels in turn and waits until all are delivered. Returns the elapsed time.
    fn deliver(&mut self, events: usize, deliveries: u64, data: &Data) -> Duration {
        let due = self.told.load(Ordering::Relaxed) + deliveries;
        let began = Instant::now();
        // Run inside the runtime, as a publisher's request does: a wake-up from outside would use the runtime's locked
        // queue.
        self.runtime.block_on(async {
            for _ in 0..events {
                let name = &self.names[self.appended % self.names.len()];
                self.appended += 1;
                self.hub.append(draft(name, data)).unwrap();
            }
            while self.told.load(Ordering::Relaxed) < due {
                tokio::task::yield_now().await;
            }
        });
        began.elapsed()
    }
}

fn feed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feed, per delivery");
    let mut bench = |label: &str, mut crowd: Crowd, events: usize, deliveries: u64| {
        let data = data(DATA_BYTES);
        group.throughput(Throughput::Elements(1));
        group.bench_function(label, |bencher| {
            bencher.iter_custom(|rounds| {
                let steps = rounds.div_ceil(deliveries);
                let step = |_| crowd.deliver(events, deliveries, &data);
                let spent: Duration = (0..steps).map(step).sum();
                spent.mul_f64(rounds as f64 / (steps * deliveries) as f64)
            });
        });
    };
    let one = Crowd::new(1, (0..5_000).map(|_| vec![0]));
    bench("1 channel, 5,000 feeds", one, 1, 5_000);
    let many = Crowd::new(1_000, (0..5_000).map(|feed| vec![feed % 1_000]));
    bench("1,000 channels, 5 feeds each", many, 1_000, 5_000);
    let wide = || Crowd::new(100, (0..50).map(|_| (0..100).collect()));
    bench("50 feeds of 100 channels, one event", wide(), 1, 50);
    bench("50 feeds of 100 channels, one in each", wide(), 100, 5_000);
    group.finish();
}

/// A reader that attaches to many full logs: a batch must not cost as much as all of them.
fn backlog(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("backlog of 50,000, per event");
    group.sample_size(10);
    for channels in [50, 500] {
        let (hub, data) = (hub(), data(DATA_BYTES));
        let starts: Vec<_> = (0..channels)
            .map(|channel| (name(channel), Since::All))
            .collect();
        for count in 0..50_000 {
            hub.append(draft(&starts[count % channels].0, &data))
                .unwrap();
        }
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("over {channels} channels"), |bencher| {
            bencher.iter_custom(|rounds| {
                let (mut told, mut spent) = (0, Duration::ZERO);
                while told < rounds {
                    let mut feed = Feed::open(&hub, &starts, None).unwrap();
                    let mut cx = Context::from_waker(Waker::noop());
                    let began = Instant::now();
                    while let Poll::Ready(batch) = feed.poll_next(&mut cx) {
                        told += black_box(batch.items).len() as u64;
                    }
                    spent += began.elapsed();
                }
                spent.mul_f64(rounds as f64 / told as f64)
            });
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode an event");
    for bytes in [DATA_BYTES, 16 * 1024] {
        let event = event(42, bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("{bytes} bytes"), |bencher| {
            bencher.iter(|| event.encode_json(true))
        });
    }
    group.bench_function("the second time", |bencher| {
        let event = event(42, DATA_BYTES);
        bencher.iter(|| event.json());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3)).sample_size(30);
    targets = log, append, feed, backlog, encode
}
criterion_main!(benches);
