//! One story that runs over each of the three transports: everything a reader may request and everything it receives.
//!
//! Nothing here depends on the transport, except where the protocol itself differs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod asking;
mod people;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Ask, End, Reader, Server, Via, in_time, parts, until};

/// Defines three tests of a story, one for each transport.
macro_rules! over_each_transport {
    ($($story:ident),* $(,)?) => {$(
        mod $story {
            use crate::support::Via;

            #[tokio::test]
            async fn over_ws() {
                super::$story(Via::Ws).await;
            }

            #[tokio::test]
            async fn over_sse() {
                super::$story(Via::Sse).await;
            }

            #[tokio::test]
            async fn over_poll() {
                super::$story(Via::Poll).await;
            }
        }
    )*};
}
pub(crate) use over_each_transport;

over_each_transport![
    hello_proves_the_hub,
    every_form_of_data_arrives,
    numbers_arrive_as_they_were_sent,
    readers_are_counted_by_transport,
    several_channels_come_in_one_order,
    names_of_every_kind_are_read,
    own_events_are_left_out_when_asked,
    silence_is_broken_by_pings,
    readers_are_told_of_the_drain,
];

/// Returns the `data` of these frames.
pub(crate) fn data(frames: &[Value]) -> Vec<Value> {
    frames.iter().map(|frame| frame["data"].clone()).collect()
}

/// Returns the next `count` events. Only pings may come between them.
pub(crate) async fn events(reader: &mut Reader, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    while events.len() < count {
        let told = reader.expect_told().await;
        assert_eq!(told["type"], "event", "{told}");
        events.push(told);
    }
    events
}

/// Sends a command of this reader's session, over its own transport or by a separate request. Returns the reply.
pub(crate) async fn command(server: &Server, reader: &mut Reader, mut command: Value) -> Value {
    command["ref"] = json!("r");
    if reader.via == Via::Ws {
        reader.send(&command).await;
        return reader.expect_type("reply").await;
    }
    let key = reader.session_key.clone().unwrap();
    let replies = server.wire.send(&key, &json!([command])).await;
    assert_eq!(replies.len(), 1);
    replies[0].clone()
}

async fn hello_proves_the_hub(via: Via) {
    let server = Server::start();
    let first = server.wire.publish("lobby", "before").await;
    let ask = Ask::of(["lobby", "other"]).with("nonce", "1");
    let mut reader = server.wire.open(via, &ask).await;
    let hello = reader.expect().await;
    assert_eq!(hello["type"], "hello");
    assert_eq!(hello["magic"], "triway/1");
    assert_eq!(hello["nonce"], "1");
    assert_eq!(
        hello["id"], first,
        "the place before the first frame that follows"
    );
    assert_eq!(hello["channels"], json!(["lobby", "other"]));
    assert_eq!(hello["heartbeat"], 15);
    assert_eq!(hello["build"], env!("CARGO_PKG_VERSION"));
    assert!(!hello["network"].as_str().unwrap().is_empty());
    let session = &hello["session"];
    let id = session["id"].as_str().unwrap();
    assert!(id.len() == 26 && id.starts_with('s'), "{id}");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let lifetime = session["expires"].as_u64().unwrap() - now;
    assert!((3_590..=3_600).contains(&lifetime), "{lifetime}");

    // Its key continues the same session. A key that this hub did not sign gets a new session.
    let again = ask.clone().session(session["key"].as_str().unwrap());
    let hello = server.wire.open(via, &again).await.expect().await;
    assert_eq!(hello["session"]["id"], id);
    let stranger = ask.session("not.a-key");
    let hello = server.wire.open(via, &stranger).await.expect().await;
    assert_ne!(hello["session"]["id"], id);
}

async fn every_form_of_data_arrives(via: Via) {
    let server = Server::start();
    let mut reader = server.wire.open(via, &Ask::of(["lobby"])).await;
    reader.expect_type("hello").await;
    let wire = &server.wire;
    let forms: [(&str, &str, &[u8], Value); 9] = [
        (
            "text/plain",
            "",
            "hä\r\n\u{2028}\0".as_bytes(),
            json!("hä\r\n\u{2028}\0"),
        ),
        ("", "", b"no type", json!("no type")),
        (
            "application/x-www-form-urlencoded",
            "",
            b"a=1&b=%20",
            json!("a=1&b=%20"),
        ),
        ("text/plain", "", b"", json!("")),
        (
            "application/json",
            "name=chat",
            b"{\"a\":\n[1, null]}",
            json!({"a": [1, null]}),
        ),
        ("application/json; charset=utf-8", "", b"null", json!(null)),
        (
            "application/octet-stream",
            "",
            &[0, 10, 13, 255],
            json!("AAoN/w=="),
        ),
        ("image/png", "name=picture", b"\n\n", json!("Cgo=")),
        ("application/octet-stream", "", b"", json!("")),
    ];
    let mut last = 0;
    for (media_type, query, body, expected) in forms {
        let answer = wire.publish_as("lobby", query, media_type, body).await;
        assert_eq!(answer["channel"], "lobby");
        let event = events(&mut reader, 1).await.remove(0);
        assert_eq!(event["id"], answer["id"]);
        assert_eq!(event["channel"], "lobby");
        assert_eq!(
            event["name"],
            query.strip_prefix("name=").unwrap_or("message")
        );
        let is_bytes = media_type.ends_with("octet-stream") || media_type.starts_with("image");
        let (field, other) = if is_bytes {
            ("data64", "data")
        } else {
            ("data", "data64")
        };
        assert_eq!(event.get(field), Some(&expected), "{media_type}: {event}");
        assert_eq!(event.get(other), None, "{media_type}: {event}");
        assert_eq!(event.get("from"), None, "nobody to name: {event}");
        let time = event["time"].as_u64().unwrap();
        assert!(time >= last, "the time never falls");
        last = time;
    }
}

/// JSON is kept as the text that was sent, except for line ends between tokens.
async fn numbers_arrive_as_they_were_sent(via: Via) {
    let server = Server::start();
    let mut reader = server.wire.open(via, &Ask::of(["lobby"])).await;
    reader.expect_type("hello").await;
    let sent =
        "{ \"n\":1.0, \"big\":\n 12345678901234567890123, \"e\":1E+2,\r\n\"s\":\"\\u0041\\n\"}";
    let wire = &server.wire;
    wire.publish_as("lobby", "", "application/json", sent).await;
    events(&mut reader, 1).await;
    let kept = sent.replace(['\r', '\n'], "");
    assert!(reader.raw().contains(&kept), "{}", reader.raw());
}

async fn readers_are_counted_by_transport(via: Via) {
    let server = Server::start();
    let mut reader = server.wire.open(via, &Ask::of(["lobby"])).await;
    reader.expect_type("hello").await;
    // A poll is counted while it is held, which begins some time after the response with its hello.
    let reading = tokio::spawn(async move { while reader.frame().await.is_ok() {} });
    until("the reader is reached, and nobody else", async || {
        let answer = server.wire.publish_as("lobby", "", "", "x").await;
        let reached = &answer["reached"];
        let all: u64 = ["ws", "sse", "poll"]
            .iter()
            .map(|name| reached[name].as_u64().unwrap())
            .sum();
        assert!(all <= 1, "{reached}");
        reached[via.name()] == 1
    })
    .await;
    reading.abort();
}

async fn several_channels_come_in_one_order(via: Via) {
    let server = Server::start();
    let ask = Ask::of(["a", "b", "a", "c"]).since("all");
    for number in 0..3 {
        server.wire.publish("b", &format!("b{number}")).await;
        server.wire.publish("nobody", "x").await;
        server.wire.publish("a", &format!("a{number}")).await;
    }
    let mut reader = server.wire.open(via, &ask).await;
    let hello = reader.expect().await;
    assert_eq!(hello["channels"], json!(["a", "b", "c"]), "none twice");
    let told = events(&mut reader, 6).await;
    assert_eq!(data(&told), ["b0", "a0", "b1", "a1", "b2", "a2"]);
    server.wire.publish("c", "c0").await;
    server.wire.publish("nobody", "x").await;
    server.wire.publish("a", "a3").await;
    let live = events(&mut reader, 2).await;
    assert_eq!(data(&live), ["c0", "a3"]);
    let ids: Vec<u64> = told.iter().chain(&live).map(offset).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
}

/// Returns the offset of a frame.
pub(crate) fn offset(frame: &Value) -> u64 {
    parts(frame["id"].as_str().unwrap()).1
}

async fn names_of_every_kind_are_read(via: Via) {
    let server = Server::start();
    let names = [
        "a/b/c",
        "grüße",
        "50%",
        "sp ace",
        "?#&=+",
        "\"quoted\"",
        "🚀",
    ];
    let mut reader = server.wire.open(via, &Ask::of(names)).await;
    assert_eq!(reader.expect().await["channels"], json!(names));
    // Names that a path would change are in the query.
    let odd = ["//", "..", "./x"];
    let ask = Ask::of([]).with("channels", odd.join(","));
    let mut by_query = server.wire.open(via, &ask).await;
    assert_eq!(by_query.expect().await["channels"], json!(odd));
    for name in names {
        server.wire.publish(name, name).await;
        let event = events(&mut reader, 1).await.remove(0);
        assert_eq!(
            (&event["channel"], &event["data"]),
            (&json!(name), &json!(name))
        );
    }
    for name in odd {
        let path = format!("/pub?channel={}", crate::support::encode(name));
        assert_eq!(server.wire.post(&path, "", name).await.status, 201);
        let event = events(&mut by_query, 1).await.remove(0);
        assert_eq!(
            (&event["channel"], &event["data"]),
            (&json!(name), &json!(name))
        );
    }
}

async fn own_events_are_left_out_when_asked(via: Via) {
    let server = Server::start();
    let ask = Ask::of(["lobby"]).with("echo", 0).with("wait", 1);
    let mut reader = server.wire.open(via, &ask).await;
    reader.expect_type("hello").await;
    let own = json!({"type": "publish", "channel": "lobby", "data": "mine"});
    let reply = command(&server, &mut reader, own.clone()).await;
    assert_eq!(reply["ok"], true, "{reply}");
    assert_eq!(reply["ref"], "r");
    if via == Via::Poll {
        // An own event moves the cursor and does not end a poll: the hold of one second ends without a frame.
        let own_id = reply["id"].as_str().unwrap();
        let silent = tokio::time::timeout(std::time::Duration::from_millis(800), reader.frame());
        assert!(silent.await.is_err(), "an own event ended a poll");
        until("the cursor moves", async || {
            let _ =
                tokio::time::timeout(std::time::Duration::from_millis(1_500), reader.frame()).await;
            reader.cursor() == own_id
        })
        .await;
    }
    server.wire.publish("lobby", "theirs").await;
    let event = events(&mut reader, 1).await.remove(0);
    assert_eq!(event["data"], "theirs");

    // Without this parameter own events arrive, with the session as their author.
    let echoing = Ask::of(["lobby"]);
    let mut reader = server.wire.open(via, &echoing).await;
    reader.expect_type("hello").await;
    let id = reader.session_id.clone().unwrap();
    if via == Via::Ws {
        reader.send(&own).await;
    } else {
        command(&server, &mut reader, own).await;
    }
    let event = reader.expect_type("event").await;
    assert_eq!(
        (&event["data"], &event["from"]),
        (&json!("mine"), &json!(id))
    );
}

async fn silence_is_broken_by_pings(via: Via) {
    let server = Server::start();
    let ask = Ask::of(["lobby"]).with("heartbeat", 1).with("wait", 1);
    let mut reader = server.wire.open(via, &ask).await;
    let hello = reader.expect_type("hello").await;
    if via == Via::Poll {
        // The hold of a poll ends with a newer cursor.
        server.wire.publish("other", "x").await;
        until("a held poll answers", async || {
            let _ =
                tokio::time::timeout(std::time::Duration::from_millis(1_300), reader.frame()).await;
            parts(reader.cursor()).1 == 1
        })
        .await;
        return;
    }
    assert_eq!(hello["heartbeat"], 1);
    let id = server.wire.publish("other", "x").await;
    let mut ping = reader.expect().await;
    if ping["id"] != id {
        // The first ping was sent before the publish.
        ping = reader.expect().await;
    }
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    assert_eq!((&ping["type"], &ping["id"]), (&json!("ping"), &json!(id)));
    assert!(
        ping["time"].as_u64().unwrap().abs_diff(now) < 5_000,
        "{ping}"
    );
    assert_eq!(reader.expect().await["type"], "ping", "and again");
    if via == Via::Ws {
        // A Pong of the peer needs no reply, but a command gets one.
        reader.send_raw(Message::Pong("x".into())).await.unwrap();
        let reply = command(&server, &mut reader, json!({"type": "ping"})).await;
        assert!(
            reply["time"].as_u64().unwrap().abs_diff(now) < 20_000,
            "{reply}"
        );
    }
}

async fn readers_are_told_of_the_drain(via: Via) {
    let server = Server::start();
    let mut reader = server.wire.open(via, &Ask::of(["lobby"])).await;
    reader.expect_type("hello").await;
    let id = server.wire.publish("lobby", "last words").await;
    events(&mut reader, 1).await;
    let reading = tokio::spawn(async move {
        let bye = reader.expect_type("bye").await;
        let end = match via {
            // Its loop of polls ends because the hub no longer listens.
            Via::Poll => None,
            Via::Ws | Via::Sse => Some(reader.expect_end().await),
        };
        (bye, end)
    });
    if via == Via::Poll {
        until("the poll is held", async || {
            let answer = server.wire.publish_as("lobby", "", "", "x").await;
            answer["reached"]["poll"] == 1
        })
        .await;
    }
    let head = server.wire.get_json("/history/lobby").await["cursor"].clone();
    let drained = server.drain();
    let (bye, end) = in_time("the end of a reader", reading).await.unwrap();
    assert_eq!(
        (&bye["code"], &bye["reason"]),
        (&json!(3001), &json!("drain"))
    );
    assert_eq!(bye["reconnect"], true);
    assert!(
        (100..2_100).contains(&bye["after_ms"].as_u64().unwrap()),
        "{bye}"
    );
    match (via, end) {
        (Via::Ws, Some((frames, End::Closed(3001, _)))) => assert!(frames.is_empty()),
        (Via::Sse, Some((frames, End::Closed(0, _)))) => assert!(frames.is_empty()),
        (Via::Poll, None) => {}
        (_, end) => panic!("{end:?}"),
    }
    if via == Via::Poll {
        assert!(bye["id"].is_string());
    } else {
        assert_eq!((&bye["id"], &bye["id"]), (&json!(id), &head));
    }
    let drained = in_time("the end of the drain", drained).await;
    assert_eq!(drained.unwrap().unwrap().cut, 0);
}
