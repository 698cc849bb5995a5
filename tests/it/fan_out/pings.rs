//! Pings to many readers of one channel: each ping counts the events that its reader received, from the fan-out task
//! and from the reader's own task.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use triway::Data;

use super::{FORMS, LARGE_BYTES, LARGE_EVENTS, remembering};
use crate::every_transport::events;
use crate::support::{Ask, Reader, Server, in_time, parts};

/// Reads until the ping that counts `count`. Each ping must count the events that were received before it.
async fn counted(mut reader: Reader, count: u64) {
    let (mut told, mut last) = (0, String::new());
    loop {
        let frame = reader.expect().await;
        match frame["type"].as_str().unwrap() {
            "event" | "gap" => {
                told += 1;
                last = frame["id"].as_str().unwrap().to_owned();
            }
            "ping" => {
                assert_eq!(frame["count"], told, "{:?}: {frame}", reader.via);
                let id = frame["id"].as_str().unwrap();
                assert!(told == 0 || parts(id) >= parts(&last), "{frame} < {last}");
                if told == count {
                    return;
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pings_come_each_heartbeat_while_events_flow_and_count_them() {
    let server = remembering();
    let flowing = tokio::spawn({
        let hub = server.hub.clone();
        async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            for number in 0_u32.. {
                ticks.tick().await;
                let text = Data::text(&number.to_string());
                hub.publish("lobby", text).await.unwrap();
            }
        }
    });
    let mut reading = JoinSet::new();
    for (via, _) in [FORMS[0], FORMS[2]].into_iter().cycle().take(12) {
        for probe in [0, 1] {
            let ask = Ask::of(["lobby"]).with("heartbeat", 1).with("probe", probe);
            let mut reader = server.wire.open(via, &ask).await;
            reading.spawn(async move {
                let (mut told, mut pings) = (0, 0);
                while pings < 4 {
                    let frame = reader.expect().await;
                    match frame["type"].as_str().unwrap() {
                        "event" => told += 1,
                        "ping" => {
                            assert_eq!(frame["count"], told, "{:?} {probe}", reader.via);
                            pings += u32::from(told > 0);
                        }
                        _ => {}
                    }
                }
            });
        }
    }
    in_time("four heartbeats", reading.join_all()).await;
    flowing.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_ping_to_a_late_reader_counts_its_events() {
    let server = remembering();
    let mut readers = Vec::new();
    for (via, _) in [FORMS[0], FORMS[2]].into_iter().cycle().take(12) {
        let ask = Ask::of(["lobby"]).with("heartbeat", 5);
        let mut reader = server.wire.open(via, &ask).await;
        reader.expect_type("hello").await;
        readers.push(reader);
    }
    // More data than any socket accepts at once.
    for number in 0..LARGE_EVENTS {
        let text = format!("{number} {}", "x".repeat(LARGE_BYTES));
        server
            .hub
            .publish("lobby", Data::text(&text))
            .await
            .unwrap();
    }
    let mut reading = JoinSet::new();
    for reader in readers {
        reading.spawn(counted(reader, LARGE_EVENTS));
    }
    in_time("the last pings", reading.join_all()).await;
}

#[tokio::test]
async fn a_ping_follows_each_burst_where_the_client_probes() {
    let server = Server::start();
    let mut readers = Vec::new();
    for (via, _) in [FORMS[0], FORMS[2]].into_iter().cycle().take(8) {
        let ask = Ask::of(["lobby"]).with("heartbeat", 60).with("probe", 1);
        let mut reader = server.wire.open(via, &ask).await;
        assert_eq!(reader.expect_type("ping").await["count"], 0);
        readers.push(reader);
    }
    for burst in 1..=2 {
        let began = Instant::now();
        for number in 0..3 {
            server.wire.publish("lobby", &number.to_string()).await;
        }
        let mut reading = JoinSet::new();
        for mut reader in readers {
            reading.spawn(async move {
                events(&mut reader, 3).await;
                let ping = reader.expect().await;
                assert_eq!(ping["type"], "ping", "{:?}", reader.via);
                assert_eq!(ping["count"], 3 * burst, "{:?}", reader.via);
                reader
            });
        }
        readers = in_time("the pings", reading.join_all()).await;
        let waited = began.elapsed();
        assert!(waited >= Duration::from_secs(1), "{waited:?}");
        // The repeated probe would arrive after five seconds.
        assert!(waited < Duration::from_secs(3), "{waited:?}");
    }
}
