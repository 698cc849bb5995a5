//! Clients that close their sending side after a request: the request is still answered.

use serde_json::json;

use super::exact_bytes::{Server, Wire, get, post};
use super::process::Process;
use super::ws_client::{Ws, text};

/// Sends a request, closes the sending side at once, and repeats this `times` times. Returns the number of answered
/// requests.
async fn answered(connect: impl AsyncFn() -> Wire, request: &[u8], times: usize) -> usize {
    let mut count = 0;
    for _ in 0..times {
        let mut wire = connect().await;
        wire.send(request).await;
        wire.finish().await;
        let answer = wire.try_answer().await;
        count += usize::from(answer.is_some_and(|answer| answer.status < 300));
    }
    count
}

fn requests() -> Vec<Vec<u8>> {
    let mut all = vec![
        post("/pub/a", &[], b"x"),
        post("/send", &[], b"[{\"type\":\"ping\"}]"),
        post("/poll/a?since=all", &[], b"{}"),
    ];
    let gets = [
        "/history/a",
        "/presence/a",
        "/poll/a",
        "/poll/a?since=all",
        "/healthz",
        "/",
    ];
    all.extend(gets.iter().map(|target| get(target).into_bytes()));
    all
}

#[tokio::test]
async fn a_half_closed_request_is_answered() {
    for server in [
        Server::with(|builder, _| builder.broker.rate = None),
        Server::plain(|builder, _| builder.broker.rate = None),
    ] {
        server.publish("a", "x").await;
        for request in requests() {
            let count = answered(async || server.connect().await, &request, 100).await;
            assert_eq!(count, 100, "{}", String::from_utf8_lossy(&request));
        }
    }
    let process = Process::start(&["--publish-rate", "0"]).await;
    for request in requests() {
        let count = answered(async || process.connect().await, &request, 200).await;
        assert_eq!(count, 200, "{}", String::from_utf8_lossy(&request));
    }
}

#[tokio::test]
async fn a_held_poll_of_a_half_closed_client_is_answered_with_the_available_events() {
    for server in [Server::start(), Server::plain(|_, _| {})] {
        let (_, key) = server.session().await;
        let cursor = server.publish("a", "x").await;
        let target = format!("/poll/a?wait=60&session={key}&since={cursor}");
        for request in [get(&target).into_bytes(), post(&target, &[], b"{}")] {
            let mut wire = server.send(request).await;
            wire.finish().await;
            let answer = wire.answer().await.json();
            assert_eq!(answer, json!({"cursor": cursor, "frames": []}));
            assert_eq!(wire.rest().await, b"");
        }
    }
}

#[tokio::test]
async fn commands_before_the_end_of_a_socket_are_answered() {
    let server = Server::with(|builder, _| builder.broker.rate = None);
    for _ in 0..20 {
        let mut ws = Ws::open(&server, "/ws/a?echo=0").await;
        ws.json().await;
        let publish = text(&json!({"type": "publish", "channel": "b", "data": 1}).to_string());
        ws.send(publish.repeat(70)).await;
        ws.wire.finish().await;
        for _ in 0..70 {
            assert_eq!(ws.json().await["ok"], true);
        }
    }
    let held = server.get("/history/b?limit=1000").await.json();
    assert_eq!(held["frames"].as_array().unwrap().len(), 1_000);
}
