//! Pings: when they arrive, and how they count the frames before them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::paths;
use crate::support::{Ask, Reader, Server, Via, Wire, in_time};

/// Reads up to the next ping. Returns the number of events and gaps before it, and the ping.
async fn up_to_ping(reader: &mut Reader) -> (u64, Value) {
    let mut told = 0;
    loop {
        let frame = reader.expect().await;
        match frame["type"].as_str().unwrap() {
            "event" | "gap" => told += 1,
            "ping" => return (told, frame),
            _ => {}
        }
    }
}

#[tokio::test]
async fn must_frame_8_a_ping_counts_the_events_and_gaps_before_it() {
    let mut running = JoinSet::new();
    for path in paths::all(|builder| builder.hub.history_events = Some(2)) {
        running.spawn(async move {
            for via in [Via::Ws, Via::Sse] {
                counts(&path.wire, path.name, via).await;
            }
        });
    }
    in_time("all paths", running.join_all()).await;
}

async fn counts(wire: &Wire, name: &str, via: Via) {
    let first = wire.publish("a", "1").await;
    for text in ["2", "3", "4"] {
        wire.publish("a", text).await;
    }
    let ask = Ask::of(["a"]).with("format", "full").with("heartbeat", 1);
    let mut reader = wire.open(via, &ask.since(&first)).await;
    let (mut told, ping) = up_to_ping(&mut reader).await;
    assert_eq!((told, &ping["count"]), (3, &json!(3)), "{name} {via:?}");
    wire.publish("a", "5").await;
    if via == Via::Ws {
        wire.publish("b", "6").await;
        reader
            .send(&json!({"type":"subscribe","channel":"b","since":"all"}))
            .await;
    }
    // The frames of both may arrive before or after the next ping.
    let expected = if via == Via::Ws { 5 } else { 4 };
    while told < expected {
        let (more, ping) = up_to_ping(&mut reader).await;
        told += more;
        assert_eq!(ping["count"], told, "{name} {via:?}");
    }
}

#[tokio::test]
async fn must_frame_9_a_ping_comes_each_heartbeat_though_events_flow() {
    let server = Server::start();
    let wire = server.wire.clone();
    let flowing = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            wire.publish("a", "x").await;
        }
    });
    for via in [Via::Ws, Via::Sse] {
        let ask = Ask::of(["a"]).with("format", "full").with("heartbeat", 1);
        let mut reader = server.wire.open(via, &ask).await;
        let mut sum = 0;
        for _ in 0..3 {
            let (told, ping) = up_to_ping(&mut reader).await;
            sum += told;
            assert!(told > 0, "{via:?}: events flow");
            assert_eq!(ping["count"], sum, "{via:?}");
        }
    }
    flowing.abort();
}

#[tokio::test]
async fn must_probe_1_and_2_a_ping_stands_alone_after_hello_and_after_each_burst() {
    let mut running = JoinSet::new();
    for path in paths::all(|_| {}) {
        running.spawn(async move {
            for via in [Via::Ws, Via::Sse] {
                stands_alone(&path.wire, path.name, via).await;
            }
        });
    }
    in_time("all paths", running.join_all()).await;
}

async fn stands_alone(wire: &Wire, name: &str, via: Via) {
    let ask = Ask::of(["a"]).with("format", "full").with("heartbeat", 60);
    let mut reader = wire.open(via, &ask.with("probe", 1)).await;
    assert_eq!(reader.expect().await["type"], "hello");
    let opened = Instant::now();
    let (told, ping) = up_to_ping(&mut reader).await;
    assert_eq!((told, &ping["count"]), (0, &json!(0)), "{name} {via:?}");
    // The next regular ping would arrive five seconds after hello.
    assert!(opened.elapsed() < Duration::from_secs(3), "{name} {via:?}");
    let began = Instant::now();
    for text in ["1", "2"] {
        wire.publish("a", text).await;
    }
    let (told, ping) = up_to_ping(&mut reader).await;
    assert_eq!((told, &ping["count"]), (2, &json!(2)), "{name} {via:?}");
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(1),
        "{name} {via:?}: {waited:?}"
    );
    assert!(
        waited < Duration::from_secs(3),
        "{name} {via:?}: {waited:?}"
    );
}
