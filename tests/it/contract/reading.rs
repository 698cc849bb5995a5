//! Paths, channel names, starts and gaps.

use serde_json::json;
use triway::Hub;

use super::{data, ids, poll, session, socket};
use crate::support::{Ask, Server, Via, in_time};

#[tokio::test]
async fn must_address_4_an_unknown_upgrade_is_ignored() {
    let server = Server::start();
    for path in ["/healthz", "/poll/lobby", "/history/lobby"] {
        let request = server
            .wire
            .request("GET", path)
            .header("connection", "Upgrade, HTTP2-Settings")
            .header("upgrade", "h2c");
        assert_eq!(server.wire.ask(request).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn must_address_5_any_prefix_will_do() {
    let hub = Hub::builder().build();
    let app = axum::Router::new().nest("/a/b", hub.router());
    let listener = triway::server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let wire = crate::support::Wire::at(listener.local_addr().unwrap());
    let options = triway::server::Options::default();
    let serving = tokio::spawn(triway::server::serve(
        listener,
        app,
        options,
        std::future::pending(),
        || {},
    ));
    let posted = wire.post("/a/b/pub/x", "", "hi").await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    for path in [
        "/a/b/poll/x?since=all",
        "/a/b/poll?channels=x&since=all",
        "/a/b/history/x",
    ] {
        let answer = wire.get_json(path).await;
        let frames = answer["frames"].as_array().unwrap();
        assert_eq!(frames.last().unwrap()["data"], "hi", "{path}");
    }
    for path in ["/a/b/client.mjs", "/a/b/healthz", "/a/b/presence/x"] {
        assert_eq!(wire.get(path).await.status, 200, "{path}");
    }
    serving.abort();
}

#[tokio::test]
async fn must_address_6_what_is_not_known_is_ignored() {
    let server = Server::start();
    let mut reader = socket(&server, &Ask::of(["a"]).with("later", "x")).await;
    reader
        .send(&json!({"type":"ping","ref":1,"later":{"a":[1]}}))
        .await;
    assert_eq!(reader.expect_type("reply").await["ok"], true);
}

#[tokio::test]
async fn must_channel_4_an_at_alone_is_ones_own_inboxes() {
    let server = Server::start();
    let mut reader = server
        .wire
        .open(Via::Sse, &Ask::of(["@"]).with("format", "full"))
        .await;
    let hello = reader.expect_type("hello").await;
    let inbox = format!("@{}", hello["session"]["id"].as_str().unwrap());
    assert_eq!(hello["channels"], json!([inbox]));
    server.wire.publish(&inbox, "psst").await;
    assert_eq!(reader.expect_type("event").await["channel"], *inbox);
    let refused = server.wire.post("/pub/@", "", "x").await;
    assert_eq!(refused.json()["code"], "bad_channel");
    let stranger = server.wire.get(&format!("/poll/{inbox}")).await;
    assert_eq!(stranger.json()["code"], "forbidden");
}

#[tokio::test]
async fn must_ids_1_and_2_ids_rise_across_channels() {
    let server = Server::start();
    for number in 0..20 {
        let channel = ["a", "b", "c"][number % 3];
        server.wire.publish(channel, &number.to_string()).await;
    }
    for via in Via::ALL {
        let ask = Ask::of(["a", "b", "c"]).with("format", "full");
        let ask = ask.since("all").since_of("b", "last:2");
        let mut reader = server.wire.open(via, &ask).await;
        let mut last = 0;
        for _ in 0..15 {
            let event = reader.expect_type("event").await;
            let (_, offset) = event["id"].as_str().unwrap().split_once('-').unwrap();
            let offset: u64 = offset.parse().unwrap();
            assert!(offset > last, "{via:?}: {offset} after {last}");
            last = offset;
        }
    }
}

#[tokio::test]
async fn must_ids_4_replies_move_nothing_and_hello_is_the_place_before() {
    let server = Server::start();
    let first = server.wire.publish("a", "1").await;
    let mut reader = server.wire.open(Via::Ws, &Ask::of(["a"])).await;
    let hello = reader.expect_type("hello").await;
    assert_eq!(hello["id"], *first, "the head, since the start is now");
    reader
        .send(&json!({"type":"publish","channel":"other","data":1,"ref":1}))
        .await;
    let reply = reader.expect_type("reply").await;
    assert_ne!(reply["id"], *first);
    let second = server.wire.publish("a", "2").await;
    let again = poll(
        &server,
        &format!("a?since={}", hello["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(ids(&again), [&second]);
}

#[tokio::test]
async fn must_ids_6_hello_names_the_places_that_are_further() {
    let server = Server::start();
    server.wire.publish("old", "1").await;
    let head = server.wire.publish("new", "2").await;
    let answer = server
        .wire
        .get_json("/poll/old,new?since=now&since.old=all")
        .await;
    let hello = &answer["frames"][0];
    assert_eq!(hello["places"], json!({"new": head}));
    // The reader is cut at once. With the position from hello, no event of `new` from before its start arrives.
    let id = hello["id"].as_str().unwrap();
    let frames = poll(
        &server,
        &format!("old,new?since={id}&since.new={head}&wait=0"),
    )
    .await;
    assert_eq!(data(&frames), ["1"]);
}

#[tokio::test]
async fn must_read_1_what_cannot_be_read_is_named() {
    let server = Server::start();
    for (query, code) in [
        ("since=yesterday", "bad_cursor"),
        ("heartbeat=61", "bad_parameter"),
        ("presence=yes", "bad_parameter"),
        ("info=x", "bad_json"),
    ] {
        let answer = server.wire.get(&format!("/sse/a?{query}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(code)));
    }
}

#[tokio::test]
async fn must_read_2_and_3_a_last_event_id_is_never_refused_and_wins() {
    let server = Server::start();
    let first = server.wire.publish("a", "1").await;
    let second = server.wire.publish("a", "2").await;
    let ask = Ask::of(["a"]).with("format", "full");
    let malformed = ask.clone().last_event_id("what is this");
    let mut reader = server.wire.open(Via::Sse, &malformed).await;
    let gap = reader.expect_told().await;
    assert_eq!(
        (&gap["type"], &gap["reason"]),
        (&json!("gap"), &json!("unknown"))
    );
    assert_eq!(reader.expect_told().await["id"], *first);

    let stale = ask
        .since("all")
        .since_of("a", "last:50")
        .last_event_id(&first);
    let mut reader = server.wire.open(Via::Sse, &stale).await;
    assert_eq!(reader.expect_told().await["id"], *second);
}

#[tokio::test]
async fn must_read_5_ones_own_events_are_left_out_and_end_no_poll() {
    let server = Server::start();
    let (id, key) = session(&server).await;
    let before = server.wire.publish("a", "1").await;
    let path = format!("/poll/a?since={before}&session={key}&echo=0&wait=10");
    let wire = server.wire.clone();
    let polling = tokio::spawn(async move { wire.get_json(&path).await });
    crate::support::until("a poll that waits", async || {
        let metrics = server.wire.get("/metrics").await.text();
        metrics.contains("triway_readers{transport=\"poll\"} 1")
    })
    .await;
    let own = json!([{"type":"publish","channel":"a","data":"own","key":format!("{id}:1")}]);
    server.wire.send(&key, &own).await;
    assert!(!polling.is_finished());
    let other = server.wire.publish("a", "2").await;
    let answer = in_time("the poll", polling).await.unwrap();
    assert_eq!(ids(answer["frames"].as_array().unwrap()), [&other]);
    assert_eq!(answer["cursor"], *other);
}

#[tokio::test]
async fn must_read_6_a_start_belongs_to_a_channel_that_is_read() {
    let server = Server::start();
    let answer = server.wire.get("/poll/a?since.b=all").await;
    assert_eq!(answer.json()["code"], "bad_parameter");
    server.wire.publish("a", "1").await;
    assert_eq!(poll(&server, "a,a?since=all").await.len(), 1);
}

#[tokio::test]
async fn must_history_1_a_page_holds_so_many_bytes_but_one_event() {
    let server = Server::start();
    for text in ["aaaa", "bbbb", "cccc"] {
        server.wire.publish("a", text).await;
    }
    // Text is counted as the JSON that is sent: six bytes each.
    for (bytes, expected) in [
        (1, &["aaaa"][..]),
        (11, &["aaaa"]),
        (12, &["aaaa", "bbbb"]),
        (1_048_576, &["aaaa", "bbbb", "cccc"]),
    ] {
        let path = format!("/history/a?bytes={bytes}");
        let page = server.wire.get_json(&path).await;
        assert_eq!(data(page["frames"].as_array().unwrap()), expected);
        assert_eq!(page["more"], expected.len() < 3, "{bytes}");
    }
    let mut reader = socket(&server, &Ask::of(["a"])).await;
    reader
        .send(&json!({"type":"history","channel":"a","since":"last:2","bytes":6}))
        .await;
    let page = reader.expect_type("reply").await;
    assert_eq!(data(page["frames"].as_array().unwrap()), ["bbbb"]);
    reader
        .send(&json!({"type":"history","channel":"a","bytes":0}))
        .await;
    let refused = reader.expect_type("reply").await;
    assert_eq!(refused["error"]["code"], "bad_parameter");
}

#[tokio::test]
async fn must_history_2_a_page_after_a_cursor_tells_its_gap() {
    let server = Server::with(|builder| builder.hub.history_events = Some(2));
    let first = server.wire.publish("a", "1").await;
    for text in ["2", "3", "4"] {
        server.wire.publish("a", text).await;
    }
    for since in [first.as_str(), "old-7"] {
        let told = poll(&server, &format!("a?since={since}")).await;
        let page = format!("/history/a?since={since}&limit=1");
        let page = server.wire.get_json(&page).await;
        let frames = page["frames"].as_array().unwrap();
        assert_eq!(frames[..], told[..2], "the gap, and one event");
        assert_eq!(frames[0]["type"], "gap");
    }
}
