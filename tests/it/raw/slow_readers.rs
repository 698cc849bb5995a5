//! Readers that stop reading, more clients than descriptors, and storms of clients.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpSocket;

use super::exact_bytes::{Wire, eventually, get, in_time};
use super::process::Process;
use super::ws_client::handshake;

/// Largest memory for a reader that reads nothing, in KiB: a batch, a copy of it in flight, and its connection.
const STALLED_KIB: u64 = 64;

/// Connects a client with a tiny receive buffer in the kernel.
pub(super) async fn stalled(process: &Process, request: impl AsRef<[u8]>) -> Wire {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = in_time(socket.connect(process.address)).await.unwrap();
    let mut wire = Wire::over(stream);
    wire.send(request).await;
    wire
}

/// Publishes to all readers while one of them keeps up. Returns its longest delay and the most memory.
async fn publish_beside(process: &Process, healthy: &mut Wire) -> (Duration, u64) {
    let text = vec![b'x'; 30_000];
    let (mut slowest, mut most) = (Duration::ZERO, 0);
    for number in 0..300 {
        let began = Instant::now();
        let answer = process.publish("a", &text).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        loop {
            let frame = healthy.block_json().await;
            if frame["type"] == "event" {
                break;
            }
            assert_eq!(frame["type"], "ping", "{number}: no gap for who keeps up");
        }
        slowest = slowest.max(began.elapsed());
        most = most.max(process.resident_kib());
    }
    (slowest, most)
}

#[tokio::test]
async fn readers_that_stop_reading_cost_one_batch_and_affect_no_other() {
    const READERS: usize = 150;
    let process = Process::start(&[
        "--write-timeout",
        "2s",
        "--publish-rate",
        "0",
        "--history-events",
        "50",
    ])
    .await;
    let first = process.publish("a", b"first").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut healthy = process.send(get("/sse/a?format=full")).await;
    healthy.head().await;
    assert_eq!(healthy.block_json().await["type"], "hello");
    let before = process.resident_kib();
    let mut readers = Vec::new();
    for number in 0..READERS {
        let request = if number % 2 == 0 {
            get("/sse/a?format=full")
        } else {
            handshake("/ws/a", "")
        };
        readers.push(stalled(&process, request).await);
    }
    eventually("all read", async || {
        process.metric("triway_readers{transport=\"sse\"}").await
            + process.metric("triway_readers{transport=\"ws\"}").await
            > READERS as f64
    })
    .await;
    let (slowest, most) = publish_beside(&process, &mut healthy).await;
    let allowed = before + STALLED_KIB * READERS as u64 + 16 * 1024;
    assert!(
        most < allowed,
        "{before} KiB before, {most} with {READERS} stalled readers, {allowed} allowed"
    );
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // The stalled readers are cut. Their cursors still work, and gaps name the missing events.
    eventually("cut", async || {
        process.metric("triway_readers{transport=\"ws\"}").await == 0.0
    })
    .await;
    eventually("cut", async || {
        process.metric("triway_readers{transport=\"sse\"}").await == 1.0
    })
    .await;
    let slow = process.metric("triway_byes_total{code=\"slow\"}").await;
    assert_eq!(slow, READERS as f64, "each is counted, by either way");
    let rest = readers.swap_remove(0).rest().await;
    let rest = String::from_utf8_lossy(&rest);
    let seen = rest
        .split("\nid: ")
        .filter_map(|block| block.split_once("\ndata:"))
        .map(|(id, _)| id)
        .last();
    for cursor in [seen.expect("it saw something"), &first] {
        let answer = process.get(&format!("/poll/a?since={cursor}")).await.json();
        assert_eq!(
            (&answer["frames"][0]["type"], &answer["frames"][0]["reason"]),
            (&"gap".into(), &"evicted".into())
        );
        assert_eq!(answer["frames"][0]["after"], cursor);
    }
    assert_eq!(process.errors(), "");
}

#[tokio::test]
async fn without_descriptors_the_hub_keeps_serving_and_recovers() {
    let process = Process::limited(&["--publish-rate", "0"], "ulimit -n 64").await;
    let mut reader = process.send(get("/sse/a")).await;
    reader.head().await;
    let mut writer = process.connect().await;
    let publish = async |writer: &mut Wire, text: &str| {
        writer
            .send(super::exact_bytes::post("/pub/a", &[], text.as_bytes()))
            .await;
        assert_eq!(writer.answer().await.status, 201);
    };
    publish(&mut writer, "before").await;
    reader.until("data: before\n").await;
    let mut flood = Vec::new();
    for _ in 0..200 {
        flood.push(process.connect().await);
    }
    let began = Instant::now();
    let spent = process.cpu();
    while began.elapsed() < Duration::from_millis(1_500) {
        publish(&mut writer, "during").await;
        reader.until("data: during\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let spent = process.cpu() - spent;
    assert!(
        spent < began.elapsed() / 3,
        "it spins: {spent:?} in {:?}",
        began.elapsed()
    );
    // The server accepts a connection as soon as a descriptor is free.
    flood.truncate(100);
    drop(flood);
    let began = Instant::now();
    assert_eq!(process.get("/healthz").await.status, 200);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert!(process.metric("triway_accept_failures_total").await > 0.0);
    let told = process.errors();
    assert!(
        told.contains("cannot accept connections") && told.lines().count() < 10,
        "told, and not too often: {told}"
    );
}

/// Connects `clients` clients at once, a third of them over each transport. Each receives its hello, and then the same
/// event.
async fn storm(clients: usize) {
    let process = Process::start(&["--publish-rate", "0"]).await;
    let cursor = process.publish("a", b"before").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let before = process.resident_kib();
    let address = process.address;
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..clients {
        let (request, expected) = match number % 3 {
            0 => (handshake("/ws/a", ""), "\"type\":\"hello\""),
            1 => (get("/sse/a?format=full"), "\"type\":\"hello\""),
            _ => (get(&format!("/poll/a?wait=60&since={cursor}")), ""),
        };
        opening.spawn(async move {
            let mut wire = Wire::to(address).await;
            wire.send(request).await;
            if !expected.is_empty() {
                wire.until(expected).await;
            }
            wire
        });
    }
    let mut all = in_time(opening.join_all()).await;
    let readers = async || {
        let mut sum = 0.0;
        for transport in ["ws", "sse", "poll"] {
            sum += process
                .metric(&format!("triway_readers{{transport=\"{transport}\"}}"))
                .await;
        }
        sum as usize
    };
    eventually("all are readers", async || readers().await == clients).await;
    let reached: Value = process.publish("a", b"to all of you").await.json();
    let sum: u64 = ["ws", "sse", "poll"]
        .iter()
        .map(|transport| reached["reached"][transport].as_u64().unwrap())
        .sum();
    assert_eq!(sum, clients as u64);
    for wire in &mut all {
        wire.until("to all of you").await;
    }
    drop(all);
    eventually("all are gone", async || readers().await == 0).await;
    assert_eq!(process.get("/healthz").await.status, 200);
    let after = process.resident_kib();
    assert!(
        after < before + 50 * 1024,
        "{before} KiB before, {after} after"
    );
    assert_eq!(process.errors(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_at_once_are_all_served() {
    storm(2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: a storm of 5,000"]
async fn five_thousand_at_once_are_all_served() {
    storm(5_000).await;
}

#[tokio::test]
async fn the_counted_history_bytes_match_the_resident_memory() {
    const TOTAL_KIB: u64 = 16 * 1024;
    let total = format!("{TOTAL_KIB}KiB");
    let process = Process::start(&["--publish-rate", "0", "--history-total", &total]).await;
    let mut writer = process.send(handshake("/ws/unread", "")).await;
    writer.until("hello").await;
    let before = process.resident_kib();
    let text = "x".repeat(1_100);
    // Twice the bytes that the hub may hold, over many channels, and each event encoded once.
    for batch in 0..30 {
        let mut commands = Vec::new();
        for number in 0..1_000 {
            let channel = (batch * 1_000 + number) % 100;
            let command = format!(
                "{{\"type\":\"publish\",\"channel\":\"c{channel}\",\"data\":\"{text}\",\"ref\":{number}}}"
            );
            commands.extend(super::ws_client::text(&command));
        }
        writer.send(commands).await;
        writer.until("\"ref\":999,").await;
        process.get(&format!("/history/c{batch}?limit=1000")).await;
    }
    let counted = process.metric("triway_history_bytes").await as u64 / 1024;
    assert!((TOTAL_KIB / 2..=TOTAL_KIB).contains(&counted), "{counted}");
    let held = process.resident_kib() - before;
    assert!(
        held < counted * 3 / 2 + 8 * 1024,
        "{held} KiB held, {counted} counted"
    );
}

#[tokio::test]
async fn tiny_frames_behind_the_rate_limit_cost_little_more_than_their_bytes() {
    const WRITERS: usize = 50;
    const WRITER_KIB: u64 = 128;
    let process = Process::start(&["--publish-rate", "1", "--publish-burst", "1"]).await;
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let mut wire = process.send(handshake("/ws/a?format=data", "")).await;
        assert_eq!(wire.answer().await.status, 101);
        writers.push(wire);
    }
    let before = process.resident_kib();
    let frames = super::ws_client::text("x").repeat(8_000);
    for wire in &mut writers {
        wire.send(&frames).await;
    }
    eventually("each was read and rests", async || {
        process.metric("triway_published_total").await >= WRITERS as f64
    })
    .await;
    let held = process.resident_kib().saturating_sub(before);
    let allowed = WRITERS as u64 * WRITER_KIB + 4 * 1024;
    assert!(held < allowed, "{held} KiB held, {allowed} allowed");
}
