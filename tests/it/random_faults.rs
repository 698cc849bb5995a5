//! Long randomized runs: a million deliveries under faults of every kind, and a hundred restarts. `./scripts/test
//! --all` runs them. `TRIWAY_SEED` repeats a run.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;
use triway::Data;
use triway::Hub;

use crate::support::{Dice, End, Fate, Follower, Program, Relay, Server, Tally, Told, Via};

const CHANNELS: [&str; 3] = ["first", "second", "third"];
/// Silence after which a reader considers its connection half open.
const SILENCE: Duration = Duration::from_millis(300);
/// Longest time for a run. A slower run has failed.
const WHOLE_RUN: Duration = Duration::from_secs(900);

/// Readers of the run with a million deliveries.
const READERS: u64 = 20;
/// Events of each channel. Each reader receives three times this number.
const EVENTS: u64 = 17_000;

/// Returns the data of an event: its number and, sometimes, padding that makes it long.
fn numbered(number: u64, dice: &mut Dice) -> Data {
    let padding = match dice.below(1_000) {
        0 => 60_000,
        1..20 => dice.below(5_000),
        _ => return Data::from_json(number.to_string().as_bytes()).unwrap(),
    };
    Data::from_json(json!([number, "x".repeat(padding)]).to_string().as_bytes()).unwrap()
}

async fn publish(hub: Hub, mut dice: Dice) {
    let mut numbers = [0; CHANNELS.len()];
    while numbers.iter().any(|number| *number < EVENTS) {
        let which = dice.below(CHANNELS.len());
        if numbers[which] == EVENTS {
            continue;
        }
        let data = numbered(numbers[which], &mut dice);
        hub.publish(CHANNELS[which], data).await.unwrap();
        numbers[which] += 1;
        if dice.below(6) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Reads all channels to their ends. The other two channels are joined whenever a WebSocket is open.
async fn read(wire: crate::support::Wire, mut dice: Dice, attaches: Arc<AtomicU64>) -> Tally {
    let mut follower = Follower::new(&wire, &CHANNELS[..1], |ask| {
        ask.since("all").with("wait", 5)
    });
    let mut tally = Tally::default();
    let mut waiting = CHANNELS[1..].to_vec();
    let mut via = dice.one_of(&Via::ALL);
    while CHANNELS.iter().any(|channel| tally.next(channel) < EVENTS) {
        via = via.next();
        attaches.fetch_add(1, Ordering::Relaxed);
        let Ok(Ok(())) = tokio::time::timeout(SILENCE, follower.attach(via)).await else {
            continue;
        };
        while let Ok(Ok(told)) = tokio::time::timeout(SILENCE, follower.next()).await {
            tally.take(&told);
            if via == Via::Ws && !waiting.is_empty() && dice.below(100) == 0 {
                follower.subscribe(waiting.remove(0), "all").await;
            }
        }
    }
    tally
}

fn fates(mut dice: Dice) -> impl FnMut() -> Fate + Send + 'static {
    move || {
        // Some connections carry enough bytes for the longest event and the longest response to a poll.
        let bytes = match dice.below(8) {
            0 => 200_000 + dice.below(1_000_000),
            1 => dice.below(2_000),
            _ => dice.below(60_000),
        };
        dice.one_of(&[Fate::Cut(bytes), Fate::Reset(bytes), Fate::Swallow(bytes)])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: a million deliveries take minutes"]
async fn a_million_deliveries_survive_every_fault() {
    let mut dice = Dice::new();
    let server = Server::with(|builder| {
        builder.hub.history_events = None;
        builder.hub.history_bytes = None;
        builder.hub.history_total = None;
    });
    let relay = Relay::with(&server.wire, fates(dice.split())).await;
    let attaches = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        readers.spawn(read(relay.wire.clone(), dice.split(), attaches.clone()));
    }
    let publishing = tokio::spawn(publish(server.hub.clone(), dice.split()));
    let all = tokio::time::timeout(WHOLE_RUN, readers.join_all()).await;
    publishing.await.unwrap();
    let tallies = all.unwrap_or_else(|_| panic!("not all of it came in {WHOLE_RUN:?}"));
    let delivered: u64 = tallies.iter().map(|tally| tally.events).sum();
    let needless: usize = tallies.iter().map(|tally| tally.gaps.len()).sum();
    println!(
        "{delivered} deliveries over {} attaches in {:?}: 0 lost, 0 twice, 0 out of order, {needless} needless gaps",
        attaches.load(Ordering::Relaxed),
        began.elapsed()
    );
    assert_eq!(
        needless,
        0,
        "{:?}",
        tallies.iter().find(|tally| !tally.gaps.is_empty())
    );
    assert_eq!(delivered, READERS * CHANNELS.len() as u64 * EVENTS);
    assert!(delivered >= 1_000_000);
}

/// Restarts of the hub in this run.
const RESTARTS: usize = 100;
/// Time after the port opens within which a constantly retrying reader is back.
const BACK: Duration = Duration::from_secs(1);
/// Pause of such a reader between two attempts.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The observable state of one reader in the run of restarts.
#[derive(Default)]
struct Seen {
    tally: Tally,
    /// Epochs of the hub runs from which the reader received events.
    lives: Vec<String>,
}

impl Seen {
    fn take(&mut self, told: &Told) {
        let (Told::Event(frame) | Told::Gap(frame)) = told;
        let epoch = frame["id"].as_str().unwrap().split_once('-').unwrap().0;
        if self.lives.last().is_none_or(|last| last != epoch) {
            self.lives.push(epoch.to_owned());
        }
        self.tally.take(told);
    }
}

/// Reads forever. Each new attachment uses another transport.
async fn read_lives(wire: crate::support::Wire, mut via: Via, seen: Arc<Mutex<Seen>>) -> End {
    let mut follower = Follower::new(&wire, &["lobby"], |ask| ask.since("all"));
    loop {
        via = via.next();
        match follower.attach(via).await {
            Ok(()) => {}
            Err(refused @ End::Refused(..)) => return refused,
            Err(End::Broken(_) | End::Closed(..)) => {
                tokio::time::sleep(TRY_EVERY).await;
                continue;
            }
        }
        loop {
            match follower.next().await {
                Ok(told) => seen.lock().take(&told),
                Err(refused @ End::Refused(..)) => return refused,
                Err(End::Broken(_) | End::Closed(..)) => break,
            }
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
}

/// Publishes numbers until `stop` is set, even while the hub is down. Returns the next number.
async fn publish_on(wire: crate::support::Wire, stop: Arc<AtomicBool>) -> u64 {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return number;
        }
        let request = wire.request("POST", "/pub/lobby").body(number.to_string());
        let request = request.header("content-type", "application/json");
        if wire.try_ask(request).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    unreachable!("numbers do not end")
}

/// Waits until the condition holds for every reader. Returns the time that this took.
async fn all_are(readers: &[Arc<Mutex<Seen>>], is_so: impl Fn(&Seen) -> bool) -> Duration {
    let began = Instant::now();
    crate::support::until("all readers are so", async || {
        readers.iter().all(|seen| is_so(&seen.lock()))
    })
    .await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: a hundred restarts take a minute"]
async fn a_hundred_restarts_lose_no_event_without_a_gap() {
    let mut dice = Dice::new();
    let arguments = ["--publish-rate", "0"];
    let mut program = Program::start(&arguments).await;
    let wire = program.wire.clone();
    let readers: Vec<Arc<Mutex<Seen>>> = (0..6).map(|_| Arc::default()).collect();
    let mut reading = JoinSet::new();
    for (via, seen) in Via::ALL.iter().cycle().zip(&readers) {
        reading.spawn(read_lives(wire.clone(), *via, seen.clone()));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn(publish_on(wire.clone(), stop.clone()));
    let mut slowest = Duration::ZERO;
    for restart in 0..=RESTARTS {
        let back = all_are(&readers, |seen| seen.lives.len() > restart).await;
        assert!(back < BACK, "{back:?} after restart {restart}");
        slowest = slowest.max(back);
        if restart < RESTARTS {
            tokio::time::sleep(Duration::from_millis(dice.below(60) as u64)).await;
            program.kill_9().await;
            program = Program::start_at(wire.address, &arguments).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let last = publishing.await.unwrap();
    wire.publish_json("lobby", &json!(last)).await;
    all_are(&readers, |seen| seen.tally.next("lobby") == last + 1).await;
    assert!(
        reading.try_join_next().is_none(),
        "a reader was refused, or fell over"
    );
    println!("{RESTARTS} restarts, {last} events; all readers back within {slowest:?}");
    for seen in &readers {
        let seen = seen.lock();
        // There is exactly one gap for each run of the hub except the first.
        let reasons = seen
            .tally
            .gaps
            .iter()
            .filter(|gap| gap["reason"] == "restart");
        assert_eq!(
            (reasons.count(), seen.tally.gaps.len()),
            (RESTARTS, RESTARTS)
        );
        assert_eq!(seen.lives.len(), RESTARTS + 1);
    }
}
