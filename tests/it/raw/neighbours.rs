//! Ordinary readers during an attack: their events arrive as fast as before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::exact_bytes::{Wire, get, in_time, post};
use super::memory::{Scene, Wish};
use super::process::Process;
use super::ws_client::handshake;

const READERS: usize = 100;
/// Events of one measurement, and the time between two of them.
const EVENTS: usize = 300;
const EVERY: Duration = Duration::from_millis(10);
/// A delay that is acceptable, even if the quiet hub was faster.
const UNMINDED: Duration = Duration::from_millis(5);

/// The time at which each event was published, and its delay at each reader.
#[derive(Default)]
struct Log {
    published: Vec<Instant>,
    took: Vec<Duration>,
    told: usize,
}

/// Reads events to the end. The data of an event is a number between two marks.
async fn follow(mut wire: Wire, log: Arc<Mutex<Log>>) {
    let mut next = 0;
    loop {
        let text = wire.until("|>").await;
        let number = text.rsplit_once("<|").unwrap().1;
        let number: usize = number.trim_end_matches("|>").parse().unwrap();
        assert_eq!(number, next, "each event once, in order");
        next += 1;
        let mut log = log.lock();
        let took = log.published[number].elapsed();
        log.took.push(took);
        log.told += 1;
    }
}

/// Publishes events and returns the p99 of their delays.
async fn p99(process: &Process, log: &Arc<Mutex<Log>>) -> Duration {
    let mut writer = process.connect().await;
    log.lock().took.clear();
    let first = log.lock().published.len();
    for number in first..first + EVENTS {
        log.lock().published.push(Instant::now());
        let body = format!("<|{number}|>");
        writer.send(post("/pub/n", &[], body.as_bytes())).await;
        assert_eq!(writer.answer().await.status, 201);
        tokio::time::sleep(EVERY).await;
    }
    super::exact_bytes::eventually("each reader received its event", async || {
        log.lock().told == (first + EVENTS) * READERS
    })
    .await;
    let mut took = std::mem::take(&mut log.lock().took);
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: latencies, which want a quiet machine"]
async fn peers_that_do_not_read_do_not_delay_other_readers() {
    let scene = Scene::new(false).await;
    let log = Arc::<Mutex<Log>>::default();
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let request = if number % 2 == 0 {
            get("/sse/n")
        } else {
            handshake("/ws/n?format=data", "")
        };
        let mut wire = scene.process.send(request).await;
        wire.head().await;
        readers.spawn(follow(wire, log.clone()));
    }
    super::exact_bytes::eventually("all read", async || {
        let metrics = scene.process.get("/metrics").await;
        let of = |name: &str| metrics.sample(&format!("triway_readers{{transport=\"{name}\"}}"));
        of("ws") + of("sse") >= (READERS + 200) as f64
    })
    .await;
    let quiet = p99(&scene.process, &log).await;
    for wish in Wish::ALL {
        let attack = async {
            let h1 = scene.over_h1(wish, 100).await;
            let h2 = if wish.is_over_h2() {
                scene.over_h2(wish, 2, 100).await
            } else {
                0
            };
            (h1, h2)
        };
        let (attacked, costs) = tokio::join!(p99(&scene.process, &log), attack);
        println!("{wish:?}: p99 {attacked:?}, quiet {quiet:?}; KiB for each peer {costs:?}");
        assert!(
            attacked <= UNMINDED.max(quiet * 2),
            "{wish:?}: {attacked:?} against {quiet:?}"
        );
        assert_eq!(readers.len(), READERS);
        assert!(readers.try_join_next().is_none(), "nobody was cut");
    }
    assert_eq!(scene.process.errors(), "");
    in_time(readers.shutdown()).await;
}
