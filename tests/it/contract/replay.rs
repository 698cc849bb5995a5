//! Readers that are further behind than their `replay` allows: they begin at the head, and hello reports it.

use serde_json::{Value, json};

use super::{data, ids, paths, poll};
use crate::support::{Ask, Server, Via, Wire};

/// Returns the first frames of a reader with this start: its hello, and the next event.
async fn opened(wire: &Wire, via: Via, ask: &Ask) -> (Value, Value) {
    let mut reader = wire.open(via, ask).await;
    let hello = reader.expect().await;
    assert_eq!(hello["type"], "hello", "{via:?}");
    wire.publish("a", "n").await;
    (hello, reader.expect_told().await)
}

#[tokio::test]
async fn must_replay_1_and_2_beyond_its_bytes_a_reader_begins_at_the_head() {
    for path in paths::all(|_| {}) {
        for via in Via::ALL {
            let first = path.wire.publish("a", "1111").await;
            path.wire.publish("b", "2222").await;
            let head = path.wire.publish("a", "3333").await;
            let ask = Ask::of(["a", "b"]).with("format", "full").since(&first);
            // Two texts of six bytes are after the first.
            let (hello, told) = opened(&path.wire, via, &ask.clone().with("replay", 11)).await;
            assert_eq!(hello["behind"], true, "{} {via:?}", path.name);
            assert_eq!(
                (&hello["id"], hello.get("places")),
                (&json!(head), None),
                "{} {via:?}",
                path.name
            );
            assert_eq!(told["data"], "n", "{} {via:?}", path.name);
        }
    }
}

#[tokio::test]
async fn within_its_bytes_a_reader_is_told_all() {
    let server = Server::start();
    let first = server.wire.publish("a", "1111").await;
    server.wire.publish("a", "2222").await;
    for via in [Via::Ws, Via::Sse] {
        let ask = Ask::of(["a"]).with("format", "full");
        let ask = ask.since(&first).with("replay", 6);
        let mut reader = server.wire.open(via, &ask).await;
        let hello = reader.expect_type("hello").await;
        assert_eq!((&hello["id"], hello.get("behind")), (&json!(first), None));
        assert_eq!(reader.expect_told().await["data"], "2222");
    }
    let frames = poll(&server, &format!("a?since={first}&replay=6")).await;
    assert_eq!(data(&frames), ["2222"]);
    let answer = server
        .wire
        .get_json("/poll/a?since=now&since.a=now&replay=0")
        .await;
    assert_eq!(
        answer["frames"][0].get("behind"),
        None,
        "nothing lies there"
    );
}

#[tokio::test]
async fn more_frames_than_one_batch_are_too_many_whatever_their_bytes() {
    let server = Server::with(|builder| builder.hub.history_events = None);
    let first = server.wire.publish("a", "0").await;
    for more in [1_000, 1] {
        for _ in 0..more {
            let text = triway::Data::text("");
            server.hub.publish("a", text).await.unwrap();
        }
        let path = format!("/poll/a?since={first}&replay=16777216");
        let answer = server.wire.get_json(&path).await;
        let is_behind = answer["frames"][0]["type"] == "hello";
        assert_eq!(is_behind, more == 1, "{more}");
    }
}

#[tokio::test]
async fn must_replay_3_gaps_before_the_head_are_left_to_history() {
    let server = Server::with(|builder| builder.hub.history_events = Some(2));
    let first = server.wire.publish("a", "1").await;
    for text in ["2", "3", "4"] {
        server.wire.publish("a", text).await;
    }
    for since in [first.as_str(), "old-7"] {
        for via in Via::ALL {
            let ask = Ask::of(["a"]).with("format", "full").since(since);
            let (hello, told) = opened(&server.wire, via, &ask.with("replay", 5)).await;
            assert_eq!(hello["behind"], true, "{via:?}");
            assert_eq!(told["data"], "n", "{via:?}: no gap: {told}");
        }
        let page = format!("/history/a?since={since}");
        let page = server.wire.get_json(&page).await;
        assert_eq!(page["frames"][0]["type"], "gap", "{since}");
    }
}

#[tokio::test]
async fn must_replay_4_a_held_poll_that_is_too_far_behind_gets_its_hello_at_once() {
    for path in paths::all(|_| {}) {
        let hello = path.wire.get_json("/poll/a").await["frames"][0].clone();
        let key = hello["session"]["key"].as_str().unwrap();
        let first = path.wire.publish("a", "1").await;
        let asked = |since: &str| format!("/poll/a?replay=2&session={key}&wait=60&since={since}");
        let head = path.wire.publish("a", "2").await;
        let answer = path.wire.get_json(&asked(&first)).await;
        assert_eq!(answer["frames"][0]["behind"], true, "{}", path.name);
        assert_eq!(answer["cursor"], *head, "{}", path.name);
        // A poll that is not behind is held.
        let wire = path.wire.clone();
        let held = asked(&head);
        let polling = tokio::spawn(async move { wire.get_json(&held).await });
        crate::support::until("a poll that waits", async || {
            let metrics = path.wire.get("/metrics").await.text();
            metrics.contains("triway_readers{transport=\"poll\"} 1")
        })
        .await;
        let next = path.wire.publish("a", "three").await;
        let answer = polling.await.unwrap();
        assert_eq!(ids(answer["frames"].as_array().unwrap()), [&next]);
    }
}

#[tokio::test]
async fn bare_data_has_no_hello_to_say_it() {
    let server = Server::start();
    for target in ["/sse/a?replay=5", "/sse/a?format=data&replay=5"] {
        let refused = server.wire.get(target).await;
        assert_eq!(refused.json()["code"], "bad_parameter", "{target}");
    }
}
