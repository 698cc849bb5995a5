//! Many readers of one channel that share a fan-out task: each receives the same events that it would receive alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod pings;

use std::collections::HashMap;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use triway::Data;
use triway::Hub;
use triway::server::Options;

use crate::every_transport::events;
use crate::support::{Ask, Reader, Server, Tally, Told, Via, Wire, in_time, parts, until};

const PUBLISHERS: usize = 3;
const EVENTS: u64 = 2_000;
/// Enough readers that every form of reading uses a fan-out task.
const READERS: usize = 60;
/// Events that fill the socket of a reader that does not read.
const LARGE_EVENTS: u64 = 250;
const LARGE_BYTES: usize = 60_000;
/// More readers than one fan-out task accepts.
const CROWD: usize = 1_100;

/// Every encoding that a fan-out task writes.
const FORMS: [(Via, &str); 4] = [
    (Via::Ws, "full"),
    (Via::Ws, "data"),
    (Via::Sse, "full"),
    (Via::Sse, "data"),
];

/// Starts a hub whose logs have no bound.
fn remembering() -> Server {
    Server::with(|builder| {
        builder.hub.history_events = None;
        builder.hub.history_bytes = None;
        builder.hub.history_total = None;
    })
}

/// Opens readers of the lobby, in these forms in turn, and waits until the hub counts all of them.
async fn open(server: &Server, count: usize, forms: &[(Via, &str)]) -> Vec<Reader> {
    let mut readers = Vec::new();
    for (via, format) in forms.iter().cycle().take(count) {
        let ask = Ask::of(["lobby"]).with("format", format);
        readers.push(server.wire.open(*via, &ask).await);
    }
    until("all are counted", async || {
        let open = count_of(&server.wire, Via::Ws).await + count_of(&server.wire, Via::Sse).await;
        open == count as u64
    })
    .await;
    readers
}

/// Returns the data of an event in any form, or `None` if the frame is not an event.
fn data_of(frame: &Value) -> Option<Value> {
    match frame["type"].as_str().unwrap() {
        "event" => Some(frame["data"].clone()),
        "text" | "block" => serde_json::from_str(frame["data"].as_str()?).ok(),
        "gap" | "bye" => panic!("{frame}"),
        _ => None,
    }
}

/// Returns the data of the next `count` events of any form.
async fn told(reader: &mut Reader, count: usize) -> Vec<Value> {
    let mut told = Vec::with_capacity(count);
    while told.len() < count {
        told.extend(data_of(&reader.expect().await));
    }
    told
}

async fn publish(hub: Hub, publisher: usize) {
    for number in 0..EVENTS {
        let data = Data::from_json(format!("[{publisher},{number}]").as_bytes()).unwrap();
        hub.publish("lobby", data).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Asserts that the events of each publisher arrived once and in order.
#[track_caller]
fn assert_each_once(told: &[Value]) {
    let mut next: HashMap<u64, u64> = HashMap::new();
    for data in told {
        let next = next.entry(data[0].as_u64().unwrap()).or_default();
        assert_eq!(data[1], *next, "lost, twice or out of order: {data}");
        *next += 1;
    }
}

/// Returns the value of a metric, or 0 if `/metrics` does not list it.
async fn metric(wire: &Wire, name: &str, via: Via) -> u64 {
    let name = format!("triway_{name}{{transport=\"{}\"}}", via.name());
    let text = wire.get("/metrics").await.text();
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

async fn count_of(wire: &Wire, via: Via) -> u64 {
    metric(wire, "readers", via).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_reader_gets_every_event_once_and_in_order() {
    let server = remembering();
    let mut reading = JoinSet::new();
    for mut reader in open(&server, READERS, &FORMS).await {
        reading.spawn(async move { told(&mut reader, PUBLISHERS * EVENTS as usize).await });
    }
    for publisher in 0..PUBLISHERS {
        tokio::spawn(publish(server.hub.clone(), publisher));
    }
    let all = reading.join_all().await;
    assert_each_once(&all[0]);
    assert!(all.iter().all(|told| *told == all[0]), "one order for all");
    for via in [Via::Ws, Via::Sse] {
        let each = READERS as u64 / 2;
        until("all are counted as delivered", async || {
            let delivered = metric(&server.wire, "delivered_total", via).await;
            delivered == each * PUBLISHERS as u64 * EVENTS
        })
        .await;
    }
}

/// Sends commands of every kind while events flow, until the last event of the lobby arrives. Returns the lobby's
/// events.
async fn converse(mut reader: Reader, number: usize) -> Vec<Value> {
    let mine = format!("mine {number}");
    let commands = [
        json!({"type": "ping"}),
        json!({"type": "subscribe", "channel": mine}),
        json!({"type": "publish", "channel": mine, "data": "own"}),
        json!({"type": "unsubscribe", "channel": mine}),
    ];
    let mut commands = commands.into_iter().cycle().enumerate();
    let (mut lobby, mut own, mut asked) = (Vec::new(), 0, 0);
    let mut is_answered = true;
    while lobby.len() < PUBLISHERS * EVENTS as usize || !is_answered {
        if is_answered && lobby.len() < PUBLISHERS * EVENTS as usize {
            let (reference, mut command) = commands.next().unwrap();
            command["ref"] = json!(reference);
            asked = reference;
            reader.send(&command).await;
            is_answered = false;
        }
        let frame = reader.expect().await;
        match frame["type"].as_str().unwrap() {
            "reply" => {
                assert_eq!(frame["ok"], true, "{frame}");
                assert_eq!(frame["ref"], asked, "{frame}");
                is_answered = true;
            }
            "event" if frame["channel"] == "lobby" => lobby.push(frame["data"].clone()),
            "event" => own += 1,
            "gap" => panic!("{frame}"),
            _ => {}
        }
    }
    assert!(own <= asked / 4 + 1, "{own} own events, {asked} commands");
    lobby
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_command_while_events_flow() {
    let server = remembering();
    let mut reading = JoinSet::new();
    let readers = open(&server, 12, &FORMS[..1]).await;
    for (number, reader) in readers.into_iter().enumerate() {
        reading.spawn(converse(reader, number));
    }
    for publisher in 0..PUBLISHERS {
        tokio::spawn(publish(server.hub.clone(), publisher));
    }
    for told in reading.join_all().await {
        assert_each_once(&told);
    }
}

/// Reads the next frame: a gap, or an event whose data is a number followed by padding.
async fn tell(reader: &mut Reader) -> Told {
    let frame = reader.expect_told().await;
    match frame["type"].as_str().unwrap() {
        "gap" => Told::Gap(frame),
        _ => Told::Event(frame),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stopped_reader_affects_no_other_and_gets_a_gap() {
    let server = Server::start();
    let full = [FORMS[0], FORMS[2]];
    let mut readers = open(&server, 10, &full).await;
    let slow = readers.split_off(8);
    let mut tallies: Vec<Tally> = readers.iter().map(|_| Tally::default()).collect();
    for number in 0..LARGE_EVENTS {
        let data = json!([number, "x".repeat(LARGE_BYTES)]).to_string();
        let data = Data::from_json(data.as_bytes()).unwrap();
        server.hub.publish("lobby", data).await.unwrap();
        for (reader, tally) in readers.iter_mut().zip(&mut tallies) {
            tally.take(&tell(reader).await);
            assert_eq!(tally.gaps, [json!(null); 0]);
            assert_eq!(tally.next("lobby"), number + 1);
        }
    }
    for mut reader in slow {
        let mut tally = Tally::default();
        while tally.next("lobby") < LARGE_EVENTS {
            tally.take(&tell(&mut reader).await);
        }
        assert!(!tally.gaps.is_empty(), "its socket was full");
    }
}

#[tokio::test]
async fn a_late_reader_gets_each_event_whole() {
    let server = remembering();
    let mut readers = open(&server, 6, &[FORMS[0], FORMS[2]]).await;
    let mut late = readers.split_off(4);
    let text = |number| format!("{number} {}", "x".repeat(LARGE_BYTES));
    for number in 0..LARGE_EVENTS {
        let data = Data::text(&text(number));
        server.hub.publish("lobby", data).await.unwrap();
        for reader in &mut readers {
            reader.expect_told().await;
        }
    }
    for reader in &mut late {
        for number in 0..LARGE_EVENTS {
            let frame = reader.expect_told().await;
            assert!(frame["data"] == text(number), "{number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_in_two_writes_counts_as_delivered_once() {
    let server = remembering();
    let mut readers = open(&server, 8, &FORMS[..1]).await;
    for number in 0..LARGE_EVENTS {
        let data = json!([number, "x".repeat(LARGE_BYTES)]).to_string();
        let data = Data::from_json(data.as_bytes()).unwrap();
        server.hub.publish("lobby", data).await.unwrap();
    }
    let count = readers.len() as u64;
    for reader in &mut readers {
        events(reader, LARGE_EVENTS as usize).await;
    }
    let delivered = metric(&server.wire, "delivered_total", Via::Ws).await;
    assert_eq!(delivered, LARGE_EVENTS * count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_come_and_go_are_counted() {
    let server = remembering();
    let flowing = tokio::spawn(publish(server.hub.clone(), 0));
    let mut stay = Vec::new();
    let last = json!([0, EVENTS - 1]);
    for round in 0..100 {
        let (via, format) = FORMS[round % FORMS.len()];
        let ask = Ask::of(["lobby"]).with("format", format);
        let mut reader = server.wire.open(via, &ask.since("last:1")).await;
        let (seen, sees_last) = watch::channel(false);
        let last = last.clone();
        let reading = tokio::spawn(async move {
            while let Ok(frame) = reader.frame().await {
                if data_of(&frame).as_ref() == Some(&last) {
                    seen.send_replace(true);
                }
            }
        });
        stay.push((via, reading, sees_last));
        if round % 3 == 0 {
            let (_, gone, _) = stay.swap_remove(round * 7 % stay.len());
            gone.abort();
        }
    }
    in_time("the end of the flow", flowing).await.unwrap();
    let there = |via| stay.iter().filter(|(other, ..)| *other == via).count() as u64;
    let (ws, sse) = (there(Via::Ws), there(Via::Sse));
    until("who went is gone", async || {
        let open = [Via::Ws, Via::Sse].map(|via| count_of(&server.wire, via));
        let [open_ws, open_sse] = open;
        (open_ws.await, open_sse.await) == (ws, sse)
    })
    .await;
    let counts = async || {
        let ws = metric(&server.wire, "delivered_total", Via::Ws).await;
        (ws, metric(&server.wire, "delivered_total", Via::Sse).await)
    };
    for (.., sees_last) in &mut stay {
        let sees = sees_last.wait_for(|sees| *sees);
        in_time("the last event", sees).await.unwrap();
    }
    // A count follows the write at once, but not before a reader may see the event.
    let mut before = counts().await;
    until("the flow is over", async || {
        let now = counts().await;
        std::mem::replace(&mut before, now) == now
    })
    .await;
    let answer = server.wire.publish_as("lobby", "", "text/plain", "x").await;
    let reached = &answer["reached"];
    assert_eq!((&reached["ws"], &reached["sse"]), (&json!(ws), &json!(sse)));
    until("they are counted as delivered", async || {
        counts().await == (before.0 + ws, before.1 + sse)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_readers_than_one_fan_out_task_accepts_are_served() {
    let _ = rlimit::increase_nofile_limit(rlimit::INFINITY);
    let options = Options {
        address_connections: None,
        ..Options::default()
    };
    let server = Server::with_options(|_| {}, options);
    let request = "GET /sse/lobby?format=data HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut crowd = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        let connected = TcpStream::connect(server.wire.address);
        let mut stream = in_time("a connection", connected).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        crowd.push(stream);
    }
    until("all are read to", async || {
        count_of(&server.wire, Via::Sse).await == CROWD as u64
    })
    .await;
    for number in 0..3 {
        let text = format!("to all {number}");
        let answer = server
            .wire
            .publish_as("lobby", "", "text/plain", text.clone());
        assert_eq!(answer.await["reached"]["sse"], CROWD);
        for stream in &mut crowd {
            let mut read = Vec::new();
            while !String::from_utf8_lossy(&read).contains(&text) {
                let more = in_time("an event", stream.read_buf(&mut read)).await;
                assert!(more.unwrap() > 0, "closed");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_receives_the_bye_of_a_drain() {
    let server = remembering();
    let readers = open(&server, 40, &[FORMS[0], FORMS[2]]).await;
    let mut flowing = JoinSet::new();
    flowing.spawn(publish(server.hub.clone(), 0));
    let mut reading = JoinSet::new();
    for mut reader in readers {
        events(&mut reader, 1).await;
        reading.spawn(async move { reader.expect_end().await.0 });
    }
    let serving = server.drain();
    for mut frames in reading.join_all().await {
        let bye = frames.pop().unwrap();
        assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!(3001)));
        let before = frames.iter().rev().find(|frame| frame["type"] == "event");
        if let Some(event) = before {
            let id = parts(bye["id"].as_str().unwrap());
            assert!(parts(event["id"].as_str().unwrap()) <= id, "{bye}");
        }
    }
    in_time("the end", serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reader_that_swaps_channels_in_one_write_reads_only_the_new_one() {
    for next in ["other", "lobby"] {
        let server = Server::start();
        let mut others = open(&server, 8, &FORMS[..1]).await;
        let url = format!("ws://{}/ws/lobby", server.wire.address);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut frame = async |commands: &[Value]| {
            for command in commands {
                let message = Message::text(command.to_string());
                socket.feed(message).await.unwrap();
            }
            socket.flush().await.unwrap();
            let message = in_time("a frame", socket.next()).await.unwrap().unwrap();
            serde_json::from_str::<Value>(message.to_text().unwrap()).unwrap()
        };
        assert_eq!(frame(&[]).await["type"], "hello");
        server.wire.publish("lobby", "first").await;
        assert_eq!(frame(&[]).await["data"], "first");
        // The hub reads both commands at once, so that the reader is not idle between them.
        let commands = [
            json!({"type": "unsubscribe", "channel": "lobby"}),
            json!({"type": "subscribe", "channel": next}),
        ];
        assert_eq!(frame(&commands).await["channel"], "lobby");
        assert_eq!(frame(&[]).await["channel"], next);
        let reached = server.wire.publish_as("lobby", "", "text/plain", "second");
        let is_there = u64::from(next == "lobby");
        assert_eq!(reached.await["reached"]["ws"], 8 + is_there, "{next}");
        for other in &mut others {
            assert_eq!(events(other, 2).await[1]["data"], "second");
        }
        server.wire.publish(next, "third").await;
        let due = if next == "lobby" { "second" } else { "third" };
        assert_eq!(frame(&[]).await["data"], due, "{next}");
    }
}
