//! Channels that join and leave an open WebSocket: their replay, and cuts in the middle of it.

use serde_json::{Value, json};

use super::told;
use crate::every_transport::{data, events, offset};
use crate::support::{Ask, Fate, Follower, Reader, Relay, Server, Tally, Told, Via, in_time};

/// Events of the channel that joins late: more than a cut can miss.
const OLD: u64 = 80;
/// Number of these events that the reader requests.
const ASKED: u64 = 50;

async fn subscribe(reader: &mut Reader, channel: &str, since: Option<&str>) {
    let mut asked = json!({"type": "subscribe", "channel": channel, "ref": channel});
    if let Some(since) = since {
        asked["since"] = json!(since);
    }
    reader.send(&asked).await;
}

/// Returns the frames before the reply with this `ref`, and the reply.
async fn until_reply(reader: &mut Reader, reference: &str) -> (Vec<Value>, Value) {
    let mut before = Vec::new();
    loop {
        let frame = reader.expect().await;
        if frame["type"] == "reply" {
            assert_eq!(frame["ref"], reference, "{frame}");
            return (before, frame);
        }
        before.push(frame);
    }
}

async fn open(server: &Server, channel: &str) -> Reader {
    let mut reader = server.wire.open(Via::Ws, &Ask::of([channel])).await;
    reader.expect_type("hello").await;
    reader
}

#[tokio::test]
async fn the_replay_comes_before_the_reply_and_the_channel_after_it() {
    let server = Server::start();
    for number in 0..5 {
        server.wire.publish_json("old", &json!(number)).await;
    }
    let mut reader = open(&server, "busy").await;
    server.wire.publish_json("busy", &json!("b0")).await;
    assert_eq!(events(&mut reader, 1).await[0]["data"], "b0");
    let before = reader.cursor().to_owned();
    subscribe(&mut reader, "old", Some("last:3")).await;
    let (replay, reply) = until_reply(&mut reader, "old").await;
    assert_eq!(data(&replay), [2, 3, 4]);
    assert!(replay.iter().all(|event| offset(event) < 6), "{before}");
    assert_eq!(
        reply,
        json!({"type": "reply", "ref": "old", "ok": true, "channel": "old"})
    );
    server.wire.publish_json("old", &json!(5)).await;
    server.wire.publish_json("busy", &json!("b1")).await;
    assert_eq!(data(&events(&mut reader, 2).await), [json!(5), json!("b1")]);
    // The attachment already reads this channel, so a second subscribe brings no replay.
    subscribe(&mut reader, "old", Some("all")).await;
    let (replay, reply) = until_reply(&mut reader, "old").await;
    assert!(replay.is_empty() && reply["ok"] == true, "{replay:?}");
}

#[tokio::test]
async fn a_channel_joins_from_every_start() {
    for (start, expected) in [
        (None, vec![]),
        (Some("now"), vec![]),
        (Some("all"), vec![json!(2), json!(3), json!(4)]),
        (Some("last:1"), vec![json!(4)]),
        (Some("1h"), vec![json!(2), json!(3), json!(4)]),
    ] {
        let server = Server::with(|builder| builder.hub.history_events = Some(3));
        for number in 0..5 {
            server.wire.publish_json("old", &json!(number)).await;
        }
        let mut reader = open(&server, "busy").await;
        subscribe(&mut reader, "old", start).await;
        let (replay, _) = until_reply(&mut reader, "old").await;
        assert_eq!(data(&replay), expected, "{start:?}");
        server.wire.publish_json("old", &json!(5)).await;
        assert_eq!(events(&mut reader, 1).await[0]["data"], 5);
    }
}

#[tokio::test]
async fn a_channel_that_joins_by_a_cursor_gets_its_gap() {
    let server = Server::with(|builder| builder.hub.history_events = Some(3));
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(server.wire.publish_json("old", &json!(number)).await);
    }
    for (since, reason) in [(ids[0].as_str(), "evicted"), ("k3x9q2-1", "restart")] {
        let mut reader = open(&server, "busy").await;
        subscribe(&mut reader, "old", Some(since)).await;
        let frames = told(&mut reader, 4).await;
        assert_eq!(
            frames[0],
            json!({"type": "gap", "channel": "old", "after": since, "reason": reason, "id": ids[1]})
        );
        assert_eq!(data(&frames[1..]), [2, 3, 4]);
        assert_eq!(reader.expect().await["type"], "reply");
    }
    let mut reader = open(&server, "busy").await;
    subscribe(&mut reader, "old", Some("yesterday")).await;
    let (_, reply) = until_reply(&mut reader, "old").await;
    assert_eq!(reply["error"]["code"], "bad_cursor");
}

#[tokio::test]
async fn no_event_of_a_channel_arrives_after_it_left() {
    let server = Server::start();
    let mut reader = server.wire.open(Via::Ws, &Ask::of(["a", "b"])).await;
    reader.expect_type("hello").await;
    for round in 0..20 {
        for channel in ["a", "b"] {
            server.wire.publish_json(channel, &json!(round)).await;
        }
        reader
            .send(&json!({"type": "unsubscribe", "channel": "a", "ref": "u"}))
            .await;
        let (_, reply) = until_reply(&mut reader, "u").await;
        assert_eq!(
            (&reply["ok"], &reply["channel"]),
            (&json!(true), &json!("a"))
        );
        for channel in ["a", "b"] {
            server.wire.publish_json(channel, &json!("after")).await;
        }
        loop {
            let frame = reader.expect_told().await;
            assert_eq!(frame["channel"], "b", "{frame}");
            if frame["data"] == "after" {
                break;
            }
        }
        // The channel joins again with a replay. No event from the time between is lost.
        subscribe(&mut reader, "a", Some("last:1")).await;
        let (replay, _) = until_reply(&mut reader, "a").await;
        assert_eq!(data(&replay), ["after"]);
    }
}

#[tokio::test]
async fn subscribing_needs_a_websocket() {
    let server = Server::start();
    for via in [Via::Sse, Via::Poll] {
        let mut reader = server.wire.open(via, &Ask::of(["a"])).await;
        reader.expect_type("hello").await;
        let key = reader.session_key.clone().unwrap();
        let asked =
            json!([{"type": "subscribe", "channel": "b"}, {"type": "unsubscribe", "channel": "a"}]);
        for reply in server.wire.send(&key, &asked).await {
            assert_eq!(
                (&reply["ok"], &reply["error"]["code"]),
                (&json!(false), &json!("bad_command"))
            );
        }
    }
}

/// A reader that waits on a quiet channel is behind the hub's head. The replay of a joining channel also covers the
/// events since then.
#[tokio::test]
async fn events_before_a_channel_joined_follow_its_since() {
    for (start, first) in [
        ("all", 0),
        ("last:2", 3),
        ("last:4", 1),
        ("1h", 0),
        ("now", 5),
    ] {
        let server = Server::start();
        for number in 0..3 {
            server.wire.publish_json("old", &json!(number)).await;
        }
        let mut reader = open(&server, "quiet").await;
        for number in 3..5 {
            server.wire.publish_json("old", &json!(number)).await;
        }
        subscribe(&mut reader, "old", Some(start)).await;
        // These arrive without any new event that would wake the reader.
        let mut numbers = Vec::new();
        while numbers.len() < 5 - first {
            let frame = reader.expect().await;
            if frame["type"] == "event" {
                numbers.push(frame["data"].clone());
            }
        }
        let expected: Vec<Value> = (first..5).map(|number| json!(number)).collect();
        assert_eq!(numbers, expected, "{start}");
        server.wire.publish_json("old", &json!(5)).await;
        assert_eq!(reader.expect_type("event").await["data"], 5, "{start}");
    }
}

/// Publishes to the busy channel until `stop` is set. Returns the number of events.
fn keep_busy(
    server: &Server,
) -> (
    tokio::sync::oneshot::Sender<()>,
    tokio::task::JoinHandle<u64>,
) {
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let hub = server.hub.clone();
    let publishing = tokio::spawn(async move {
        for number in 0.. {
            if stopped.try_recv().is_ok() {
                return number;
            }
            let data = triway::Data::from_json(number.to_string().as_bytes()).unwrap();
            hub.publish("busy", data).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        unreachable!("numbers do not end")
    });
    (stop, publishing)
}

/// A channel joins an attachment that also reads a busy one. The connection is cut after `bytes` bytes, anywhere in the
/// replay. Then the client attaches again over another transport.
async fn cut_in_mid_replay(bytes: usize, next: Via) -> bool {
    let server = Server::with(|builder| builder.hub.history_events = None);
    for number in 0..OLD {
        server.wire.publish_json("old", &json!(number)).await;
    }
    let relay = Relay::start(&server.wire).await;
    let (stop, publishing) = keep_busy(&server);
    let mut follower = Follower::new(&relay.wire, &["busy"], |ask| ask.since("all"));
    relay.choose(move || Fate::Cut(bytes));
    follower.attach(Via::Ws).await.unwrap();
    relay.choose(|| Fate::Carry);
    let mut tally = Tally::default();
    tally.begin("old", OLD - ASKED);
    tally.take(&in_time("a busy event", follower.next()).await.unwrap());
    follower.subscribe("old", &format!("last:{ASKED}")).await;
    let mut replayed = 0;
    while let Ok(told) = in_time("the replay, or the cut", follower.next()).await {
        replayed += u64::from(matches!(&told, Told::Event(event) if event["channel"] == "old"));
        tally.take(&told);
    }
    follower.attach(next).await.unwrap();
    stop.send(()).unwrap();
    let busy = publishing.await.unwrap();
    while tally.next("busy") < busy || tally.next("old") < OLD {
        tally.take(&in_time("what is left", follower.next()).await.unwrap());
    }
    assert!(tally.gaps.is_empty(), "needless: {:?}", tally.gaps);
    0 < replayed && replayed < ASKED
}

#[tokio::test]
async fn a_cut_in_mid_replay_loses_nothing() {
    let mut in_the_middle = 0;
    for (turn, bytes) in (1_000..9_000).step_by(400).enumerate() {
        let next = Via::ALL[turn % 3];
        in_the_middle += u64::from(cut_in_mid_replay(bytes, next).await);
    }
    assert!(
        in_the_middle >= 5,
        "{in_the_middle} cuts fell into the replay"
    );
}

/// The replay of a long log takes many pages. No event of another channel is lost meanwhile.
#[tokio::test]
async fn a_replay_of_many_pages_loses_no_event_of_a_busy_channel() {
    const LONG: u64 = 5_000;
    let server = Server::with(|builder| {
        builder.hub.history_events = None;
        builder.hub.history_bytes = None;
    });
    for number in 0..LONG {
        let data = triway::Data::from_json(number.to_string().as_bytes()).unwrap();
        server.hub.publish("long", data).await.unwrap();
    }
    let (stop, publishing) = keep_busy(&server);
    let mut follower = Follower::new(&server.wire, &["busy"], |ask| ask.since("all"));
    follower.attach(Via::Ws).await.unwrap();
    let mut tally = Tally::default();
    tally.take(&in_time("a busy event", follower.next()).await.unwrap());
    follower.subscribe("long", "all").await;
    while tally.next("long") < LONG {
        tally.take(&in_time("the replay", follower.next()).await.unwrap());
    }
    stop.send(()).unwrap();
    let busy = publishing.await.unwrap();
    while tally.next("busy") < busy {
        tally.take(&in_time("what is left", follower.next()).await.unwrap());
    }
    assert!(tally.gaps.is_empty());
}
