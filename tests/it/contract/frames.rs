//! Frames, and their form on each transport.

use serde_json::{Value, json};

use super::{ids, poll, session, socket};
use crate::support::{Ask, Server, Via, in_time};

#[tokio::test]
async fn must_frame_1_hello_comes_first_with_its_nonce() {
    let server = Server::start();
    server.wire.publish("a", "1").await;
    for via in Via::ALL {
        let ask = Ask::of(["a"]).with("format", "full").since("all");
        let ask = if via == Via::Poll {
            ask
        } else {
            ask.with("nonce", "n-1")
        };
        let mut reader = server.wire.open(via, &ask).await;
        let hello = reader.expect().await;
        assert_eq!(
            (&hello["type"], &hello["magic"]),
            (&json!("hello"), &json!("triway/1"))
        );
        if via != Via::Poll {
            assert_eq!(hello["nonce"], "n-1", "{via:?}");
        }
    }
    let answer = server.wire.get_json("/poll/a?nonce=n-2").await;
    assert_eq!(
        (&answer["nonce"], &answer["frames"][0]["nonce"]),
        (&json!("n-2"), &json!("n-2"))
    );
}

#[tokio::test]
async fn must_frame_2_data_is_kept_as_it_was_sent() {
    let server = Server::start();
    let sent = "{\n  \"n\": 1.10, \"big\": 123456789012345678901234567890,\r\n\"s\": \"a\\nb\"}";
    server
        .wire
        .publish_as("a", "", "application/json", sent)
        .await;
    let kept = r#"{  "n": 1.10, "big": 123456789012345678901234567890,"s": "a\nb"}"#;
    for path in ["/poll/a?since=all", "/history/a"] {
        let text = server.wire.get(path).await.text();
        assert!(text.contains(&format!("\"data\":{kept},")), "{text}");
    }
}

#[tokio::test]
async fn must_frame_3_nobody_chooses_whom_an_event_is_from() {
    let server = Server::start();
    let mut reader = socket(&server, &Ask::of(["a"])).await;
    reader
        .send(&json!({"type":"publish","channel":"a","data":1,"from":"somebody"}))
        .await;
    let event = reader.expect_type("event").await;
    assert_eq!(event["from"], **reader.session_id.as_ref().unwrap());
    server.wire.publish_as("a", "", "", "x").await;
    assert_eq!(reader.expect_type("event").await["from"], Value::Null);
    let refused = server.wire.post("/pub/a?from=somebody", "", "x").await;
    assert_eq!(refused.json()["code"], "forbidden");
}

#[tokio::test]
async fn must_frame_4_time_never_falls() {
    let server = Server::start();
    for number in 0..50 {
        server.wire.publish(["a", "b"][number % 2], "x").await;
    }
    let frames = poll(&server, "a,b?since=all").await;
    let times: Vec<u64> = frames
        .iter()
        .map(|frame| frame["time"].as_u64().unwrap())
        .collect();
    assert_eq!(times.len(), 50);
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn must_frame_6_a_ping_comes_after_everything_up_to_it() {
    let server = Server::start();
    for via in [Via::Ws, Via::Sse] {
        let ask = Ask::of(["a"]).with("format", "full").with("heartbeat", 1);
        let mut reader = server.wire.open(via, &ask).await;
        reader.expect_type("hello").await;
        let last = server.wire.publish("a", "x").await;
        assert_eq!(reader.expect_type("event").await["id"], *last);
        assert_eq!(reader.expect_type("ping").await["id"], *last);
    }
}

#[tokio::test]
async fn must_frame_7_bye_is_the_last_frame() {
    let server = Server::start();
    let ask = Ask::of(["a"]).with("format", "full");
    let mut ws = socket(&server, &ask).await;
    let mut sse = server.wire.open(Via::Sse, &ask).await;
    sse.expect_type("hello").await;
    let wire = server.wire.clone();
    let head = server.wire.get_json("/poll/a").await;
    let path = format!("/poll/a?since={}&early=1", head["cursor"].as_str().unwrap());
    let polling = tokio::spawn(async move { wire.get_json(&path).await });
    crate::support::until("a poll that waits", async || {
        let metrics = server.wire.get("/metrics").await.text();
        metrics.contains("triway_readers{transport=\"poll\"} 1")
    })
    .await;
    let draining = server.drain();
    for reader in [&mut ws, &mut sse] {
        let (frames, _) = reader.expect_end().await;
        let bye = frames.last().unwrap();
        assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!(3001)));
        assert!(bye["after_ms"].as_u64().unwrap() < 2_200);
    }
    let answer = in_time("the poll", polling).await.unwrap();
    assert_eq!(
        answer["frames"].as_array().unwrap().last().unwrap()["type"],
        "bye"
    );
    in_time("the drain", draining).await.unwrap().unwrap();
}

#[tokio::test]
async fn must_sse_1_and_2_a_stream_has_its_headers_and_its_beginning() {
    let server = Server::start();
    let request = server.wire.request("GET", "/sse/a?since=all");
    let mut response = in_time("the head", request.send()).await.unwrap();
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache, no-store, no-transform"),
        ("x-accel-buffering", "no"),
        ("content-encoding", "identity"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert!(!response.headers().contains_key("content-length"));
    let first = in_time("the beginning", response.chunk())
        .await
        .unwrap()
        .unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    assert!(
        first.starts_with("retry: 2000\n\n: triway/1\n\nid: "),
        "{first}"
    );
    assert!(first.ends_with("-0\n\n"), "{first}");
}

#[tokio::test]
async fn the_probe_comes_whatever_else_flows() {
    let server = Server::start();
    let ask = Ask::of(["a"])
        .with("format", "full")
        .with("probe", 1)
        .with("heartbeat", 60);
    let mut reader = server.wire.open(Via::Sse, &ask).await;
    reader.expect_type("hello").await;
    let wire = server.wire.clone();
    let publishing = tokio::spawn(async move {
        loop {
            wire.publish("a", "x").await;
        }
    });
    reader.expect_type("event").await;
    reader.expect_type("ping").await;
    publishing.abort();
}

#[tokio::test]
async fn must_poll_1_and_2_who_goes_on_is_held_and_who_begins_is_not() {
    let server = Server::start();
    let (_, key) = session(&server).await;
    let head = server.wire.publish("a", "1").await;
    for query in [
        "since=now".to_owned(),
        format!("since=now&session={key}"),
        format!("since={head}&session=nonsense"),
    ] {
        let answer = server
            .wire
            .get_json(&format!("/poll/a?wait=60&{query}"))
            .await;
        assert_eq!(answer["frames"][0]["type"], "hello", "{query}");
    }
    for query in [
        format!("since={head}"),
        format!("since={head}&session={key}"),
    ] {
        let answer = server
            .wire
            .get_json(&format!("/poll/a?wait=0.2&{query}"))
            .await;
        assert_eq!(answer["frames"], json!([]), "{query}");
    }
    // The cursor of an empty response is current: it includes the events of other channels since then.
    let later = server.wire.publish("b", "2").await;
    let answer = server
        .wire
        .get_json(&format!("/poll/a?wait=0&since={head}"))
        .await;
    assert_eq!(answer["cursor"], *later);
}

#[tokio::test]
async fn must_poll_3_the_same_cursor_brings_the_same_frames() {
    let server = Server::start();
    let cursor = server.wire.publish("a", "0").await;
    let (one, two) = (
        server.wire.publish("a", "1").await,
        server.wire.publish("a", "2").await,
    );
    for _ in 0..3 {
        let frames = poll(&server, &format!("a?since={cursor}")).await;
        assert_eq!(ids(&frames), [&one, &two]);
    }
}

#[tokio::test]
async fn must_poll_4_an_answer_is_bounded_but_never_empty_of_what_is_there() {
    let server = Server::with(|builder| {
        builder.hub.history_events = None;
        builder.hub.history_bytes = None;
        builder.broker.max_data = 2 * 1024 * 1024;
    });
    let large = "x".repeat(1_500_000);
    server.wire.publish("large", &large).await;
    server.wire.publish("large", &large).await;
    let answer = server.wire.get_json("/poll/large?since=all").await;
    let frames = answer["frames"].as_array().unwrap();
    assert_eq!(
        (frames.len(), &answer["more"]),
        (2, &json!(true)),
        "hello and one event"
    );

    for _ in 0..1_100 {
        let text = triway::Data::text("x");
        server.hub.publish("many", text).await.unwrap();
    }
    let answer = server.wire.get_json("/poll/many?since=all").await;
    let first = answer["frames"].as_array().unwrap().len() - 1;
    let rest = poll(
        &server,
        &format!("many?since={}", answer["cursor"].as_str().unwrap()),
    )
    .await;
    assert_eq!((first, rest.len()), (1_000, 100));
}

#[tokio::test]
async fn must_poll_5_an_early_poll_breathes() {
    let server = Server::start();
    let head = server.wire.publish("a", "1").await;
    let path = format!("/poll/a?since={head}&early=1&wait=1.5");
    let answer = server.wire.get(&path).await;
    assert!(answer.text().starts_with(" {"), "{}", answer.text());
    assert_eq!(answer.json()["frames"], json!([]));
}

#[tokio::test]
async fn must_ws_2_replies_come_in_the_order_of_the_commands() {
    let server = Server::start();
    let mut reader = socket(&server, &Ask::of(["a"])).await;
    let kinds = ["ping", "history", "presence", "nonsense", "publish"];
    for number in 0..50 {
        let kind = kinds[number % kinds.len()];
        reader
            .send(&json!({"type":kind,"channel":"a","data":number,"ref":number}))
            .await;
    }
    for number in 0..50 {
        assert_eq!(reader.expect_type("reply").await["ref"], number);
    }
}

#[tokio::test]
async fn must_ws_6_beyond_the_rate_a_socket_is_read_later() {
    let server = Server::with(|builder| {
        builder.broker.rate = Some(triway::Rate {
            per_second: 20.0,
            burst: 2.0,
        });
    });
    let mut reader = socket(&server, &Ask::of(["a"])).await;
    for number in 0..8 {
        reader
            .send(&json!({"type":"publish","channel":"a","data":number,"ref":number}))
            .await;
    }
    for number in 0..8 {
        let reply = reader.expect_type("reply").await;
        assert_eq!(
            (&reply["ref"], &reply["ok"]),
            (&json!(number), &json!(true))
        );
    }
}
