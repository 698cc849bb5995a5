//! Readers who wait for one channel and nothing else, which a pump writes to: each event once and in order, whatever
//! else they do in between, and whoever comes and goes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use futures_util::future::join_all;
use serde_json::{Value, json};
use triway::protocol::Data;

use crate::support::{Ask, PATIENCE, Reader, Server, Via, until};

/// Far more than a pump begins with, and some of each kind.
const READERS: usize = 40;

/// Nothing is forgotten while somebody reads slowly.
fn remember_all(builder: &mut triway::embed::Builder) {
    builder.hub.history_events = None;
    builder.hub.history_bytes = None;
}

async fn open_some(server: &Server, count: usize) -> Vec<Reader> {
    let open = |number: usize| async move {
        let via = [Via::Ws, Via::Sse][number % 2];
        let mut reader = server.wire.open(via, &Ask::of(["lobby"])).await;
        reader.expect_type("hello").await;
        reader
    };
    join_all((0..count).map(open)).await
}

/// Publishes so many numbers from three tasks at once.
async fn publish(server: &Server, count: usize) {
    let publisher = |from: usize| {
        let hub = server.hub.clone();
        tokio::spawn(async move {
            for number in (from..count).step_by(3) {
                hub.publish("lobby", Data::text(&number.to_string()))
                    .await
                    .unwrap();
            }
        })
    };
    for published in join_all((0..3).map(publisher)).await {
        published.unwrap();
    }
}

/// The offset within an id.
fn offset(frame: &Value) -> u64 {
    let id = frame["id"].as_str().unwrap();
    id.split_once('-').unwrap().1.parse().unwrap()
}

/// Reads so many events of the lobby, which must be all there are; replies are counted.
async fn read_all(reader: &mut Reader, count: usize) -> usize {
    let (mut seen, mut replies, mut last) = (0, 0, 0);
    while seen < count {
        let frame = reader.expect().await;
        match frame["type"].as_str().unwrap() {
            "event" if frame["channel"] == "lobby" => {
                assert!(offset(&frame) > last, "{frame} after {last}");
                last = offset(&frame);
                seen += 1;
            }
            "reply" => {
                assert_eq!(frame["ok"], true, "{frame}");
                replies += 1;
            }
            "event" | "ping" => {}
            _ => panic!("{frame}"),
        }
    }
    replies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_reader_gets_every_event_once_and_in_order() {
    const EVENTS: usize = 1_500;
    let server = Server::with(remember_all);
    let mut readers = open_some(&server, READERS).await;
    let reading = join_all(readers.iter_mut().map(|reader| read_all(reader, EVENTS)));
    tokio::join!(publish(&server, EVENTS), reading);
    // Nothing comes twice: the next event is the next one that is published.
    let id = server.wire.publish("lobby", "last").await;
    for reader in &mut readers {
        assert_eq!(reader.expect_type("event").await["id"], id.as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_in_between_change_nothing() {
    const EVENTS: usize = 600;
    let server = Server::with(remember_all);
    let mut readers = Vec::new();
    for _ in 0..12 {
        let mut reader = server.wire.open(Via::Ws, &Ask::of(["lobby"])).await;
        reader.expect_type("hello").await;
        readers.push(reader);
    }
    let commands = [
        json!({"type": "ping", "ref": 1}),
        json!({"type": "subscribe", "ref": 2, "channel": "beside", "since": "now"}),
        json!({"type": "publish", "ref": 3, "channel": "beside", "data": 1}),
        json!({"type": "unsubscribe", "ref": 4, "channel": "beside"}),
    ];
    let told = join_all(readers.iter_mut().map(|reader| async {
        let mut replies = 0;
        for command in commands.iter().cycle().take(20) {
            reader.send(command).await;
            replies += read_all(reader, EVENTS / 20).await;
        }
        // Commands are answered in order, so that the last reply is the last frame but for events.
        while replies < 20 {
            let frame = reader.expect_type("reply").await;
            assert_eq!(frame["ok"], true, "{frame}");
            replies += 1;
        }
    }));
    tokio::join!(publish(&server, EVENTS), told);
}

#[tokio::test]
async fn whoever_takes_less_than_all_gets_the_rest_whole() {
    const EVENTS: usize = 400;
    let server = Server::with(remember_all);
    let mut readers = open_some(&server, 6).await;
    // Enough that no socket takes all of it from one who does not read.
    let text = "x".repeat(40_000);
    let mut slow = readers.split_off(4);
    for number in 0..EVENTS {
        let data = Data::text(&format!("{number} {text}"));
        server.hub.publish("lobby", data).await.unwrap();
        for reader in &mut readers {
            reader.expect_type("event").await;
        }
    }
    for reader in &mut slow {
        for number in 0..EVENTS {
            let frame = reader.expect_type("event").await;
            let data = frame["data"].as_str().unwrap();
            assert_eq!(data.len(), text.len() + number.to_string().len() + 1);
            assert!(data.starts_with(&format!("{number} ")), "{number}");
        }
    }
}

#[tokio::test]
async fn reached_counts_who_is_there() {
    let server = Server::start();
    let reached = async || {
        let answer = server.wire.publish_as("lobby", "", "text/plain", "x").await;
        let reached = &answer["reached"];
        (
            reached["ws"].as_u64().unwrap(),
            reached["sse"].as_u64().unwrap(),
        )
    };
    for _ in 0..2 {
        let mut readers = open_some(&server, 14).await;
        for _ in 0..3 {
            assert_eq!(reached().await, (7, 7));
        }
        for reader in &mut readers {
            for _ in 0..3 {
                reader.expect_type("event").await;
            }
        }
        readers.truncate(5);
        until("nine have left", async || reached().await == (3, 2)).await;
        drop(readers);
        until("all have left", async || reached().await == (0, 0)).await;
    }
}

#[tokio::test]
async fn more_readers_than_one_pump_has_are_told_and_told_to_go() {
    const MANY: usize = 1_200;
    let server = Server::start();
    let mut readers = Vec::new();
    // Some at a time: each opens a connection of its own.
    while readers.len() < MANY {
        readers.extend(open_some(&server, 100).await);
    }
    for text in ["one", "two"] {
        let id = server.wire.publish("lobby", text).await;
        for reader in &mut readers {
            assert_eq!(reader.expect_type("event").await["id"], id.as_str());
        }
    }
    let draining = server.drain();
    let ends = join_all(readers.iter_mut().map(|reader| async {
        let (frames, _) = reader.expect_end().await;
        let bye = frames.last().unwrap();
        assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!(3001)));
    }));
    ends.await;
    drop(readers);
    let drained = tokio::time::timeout(PATIENCE, draining).await.unwrap();
    assert_eq!(drained.unwrap().unwrap().cut, 0);
}
