//! The cost of idleness: an hour of heartbeats for many readers without events, in one process, on a clock that jumps
//! from one deadline to the next. There are no sockets here: `it/reader_cost.rs` and the benches measure those.
//!
//! This is a separate test binary, because it counts all allocations of the process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};
use tower::ServiceExt;
use triway::Hub;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The default heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Heartbeats in an hour.
const BEATS: u32 = 240;
/// Heartbeats until all one-time allocations are made: a little more than one turn of the timer wheel.
const WARM_BEATS: u32 = 10;
/// Readers of one channel.
const CHANNEL_READERS: usize = 100;
/// Highest number of allocations for one ping: its text, its block, its bytes, and the place of its waker in the timer
/// wheel.
const PING_ALLOCATIONS_MAX: f64 = 6.0;
/// Bytes per reader that may remain after an hour: less than the smallest state of a reader.
const LEFT_BYTES_MAX: f64 = 8.0;
/// Largest growth of the process in the hour, as a ratio to its resident memory before.
const GROWTH_MAX: f64 = 1.05;

#[test]
fn an_idle_hour_leaks_no_memory() {
    idle(400);
}

#[test]
#[ignore = "long: a hundred thousand readers"]
fn an_idle_hour_of_100_000_readers_leaks_no_memory() {
    idle(100_000);
}

fn idle(readers: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut builder = Hub::builder();
        // The sweep of unused channels follows the wall clock, which depends on the load of the machine. This limit
        // turns it off.
        builder.hub.sweep_idle = Duration::from_secs(86_400);
        let hub = builder.build();
        let pings = Arc::<AtomicU64>::default();
        for reader in 0..readers {
            open(&hub, reader, &pings).await;
        }
        pass(WARM_BEATS).await;
        let (before, stats, resident) = told(&pings);
        pass(BEATS).await;
        let (after, now, grown) = told(&pings);
        let pings = (after - before) as f64;
        let left = (held(now) - held(stats)) as f64 / readers as f64;
        let made = (now.allocations + now.reallocations) as f64
            - (stats.allocations + stats.reallocations) as f64;
        println!(
            "{readers} readers: {pings} pings in {BEATS} heartbeats, {:.2} allocations each; {left:.2} bytes left \
             for each reader, of {}; resident {resident} KiB, then {grown} KiB",
            made / pings,
            held(now) / readers as i64,
        );
        let due = f64::from(BEATS) * readers as f64;
        // The steps of the timer wheel delay each ping a little: by 25 ms of 15 s.
        assert!((due * 0.99..=due * 1.01).contains(&pings), "{pings} of {due}");
        assert!(made / pings <= PING_ALLOCATIONS_MAX, "{}", made / pings);
        assert!(left.abs() <= LEFT_BYTES_MAX, "{left} bytes for each reader");
        assert!(grown as f64 <= resident as f64 * GROWTH_MAX, "{resident} KiB became {grown}");
    });
}

/// Opens a reader with presence, and counts its pings.
async fn open(hub: &Hub, reader: usize, pings: &Arc<AtomicU64>) {
    let channel = reader / CHANNEL_READERS;
    let request = Request::get(format!(
        "/sse?channels=idle-{channel}&format=full&presence=1"
    ))
    .header("host", "localhost")
    .body(Body::empty())
    .unwrap();
    let answer = hub.router::<()>().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body();
    let hello = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(hello.windows(7).any(|bytes| bytes == b"\"hello\""));
    let pings = pings.clone();
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            let block = frame.into_data().unwrap();
            assert!(
                block.windows(6).any(|bytes| bytes == b"\"ping\""),
                "{block:?}"
            );
            pings.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Lets the clock jump over `beats` heartbeats.
async fn pass(beats: u32) {
    tokio::time::sleep(HEARTBEAT * beats).await;
}

fn told(pings: &AtomicU64) -> (u64, Stats, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    (pings.load(Ordering::Relaxed), ALLOCATOR.stats(), resident)
}

/// Returns the number of allocated bytes.
fn held(stats: Stats) -> i64 {
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}
