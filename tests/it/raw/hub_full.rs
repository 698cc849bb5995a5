//! A hub that is full for the moment: a refused client is informed when to retry, and is accepted then.

use serde_json::json;

use super::exact_bytes::{Server, eventually, post};
use super::refusals::assert_refused;
use super::ws_client::{TEXT, Ws, close, frame};

#[tokio::test]
async fn a_full_hub_asks_its_readers_to_reconnect_later() {
    let server = Server::with(|builder, _| builder.hub.hub_channels = Some(1));
    server.publish("a", "x").await;
    let mut refused = Ws::open(&server, "/ws/b").await;
    let (code, reason, before) = refused.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3007), "too_many_channels"));
    let bye = before[0].json();
    assert_eq!(
        (&bye["reconnect"], &bye["after_ms"], &bye["error"]["status"]),
        (&json!(true), &json!(5_000), &json!(503)),
        "{bye}"
    );
    refused.send(close(3007, "")).await;
    let mut reader = Ws::open(&server, "/ws/a").await;
    let hello = reader.json().await;
    let subscribe = json!({"type": "subscribe", "channel": "b"});
    let error = reader.command(subscribe).await["error"].clone();
    assert_eq!(
        (&error["code"], &error["status"]),
        (&json!("too_many_channels"), &json!(503))
    );
    // This refusal is temporary, so it does not use up the number. The same number works where there is room.
    let (id, key) = super::exact_bytes::session_of(&hello);
    for (channel, status) in [("b", 503), ("a", 201)] {
        let target = format!("/pub/{channel}?session={key}");
        let headers = [("Idempotency-Key", &*format!("{id}:1"))];
        let answer = server.ask(post(&target, &headers, b"x")).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 503 {
            assert_refused(&answer, 503, "too_many_channels");
        }
    }
}

#[tokio::test]
async fn large_bodies_in_flight_share_one_limit_and_small_ones_pass() {
    let server = Server::with(|builder, _| builder.session.bodies_total = Some(60_000));
    let held = async || server.metric("triway_bodies_bytes").await;
    let large = post("/pub/a", &[], &[b'x'; 60_000]);
    let (most, end) = large.split_at(large.len() - 1);
    let mut slow = server.send(most).await;
    eventually("its first 16 KiB are free", async || {
        held().await == 60_000.0 - 1.0 - 16.0 * 1_024.0
    })
    .await;
    let refused = server.ask(&large).await;
    let problem = assert_refused(&refused, 503, "too_many_bodies");
    assert!(problem["hint"].as_str().unwrap().contains("--bodies-total"));
    assert_eq!(refused.header("retry-after"), Some("2"));
    // A publish of usual size always finds room.
    let small = server.ask(post("/pub/a", &[], &[b'x'; 16_000])).await;
    assert_eq!(small.status, 201);
    slow.send(end).await;
    assert_eq!(slow.answer().await.status, 201);
    assert_eq!(held().await, 0.0, "given back");
    assert_eq!(server.ask(&large).await.status, 201);
    // The bytes of a cut request are released too.
    let cut = server.send(most).await;
    eventually("counted", async || held().await > 0.0).await;
    drop(cut);
    eventually("given back", async || held().await == 0.0).await;
}

/// Returns an unfinished text message: its first frame and half of its second.
fn unfinished(bytes: usize) -> Vec<u8> {
    let whole = frame(0, &vec![b'x'; 2 * bytes]);
    let half = whole.len() / 2;
    [frame(TEXT, b"\""), whole[..half].to_vec()].concat()
}

#[tokio::test]
async fn unfinished_messages_count_towards_the_same_limit() {
    let server = Server::with(|builder, _| builder.session.bodies_total = Some(400_000));
    let held = async || server.metric("triway_bodies_bytes").await;
    for format in ["full", "data"] {
        let bytes = if format == "full" { 100_000 } else { 30_000 };
        let mut peers = Vec::new();
        for _ in 0..40 {
            let mut ws = Ws::open(&server, &format!("/ws/a?format={format}")).await;
            if format == "full" {
                ws.json().await;
            }
            // The hub refuses the last peers. Their connections may be closed before everything is sent.
            let _ = ws.wire.try_send(unfinished(bytes)).await;
            peers.push(ws);
            assert!(held().await < 400_000.0 + 100_000.0);
        }
        eventually("some are told", async || {
            server
                .metric("triway_refusals_total{code=\"too_many_bodies\"}")
                .await
                >= 3.0
        })
        .await;
        // Messages of usual size always find room.
        let mut other = Ws::open(&server, "/ws/b").await;
        other.json().await;
        let publish = json!({"type": "publish", "channel": "b", "data": "x".repeat(10_000)});
        assert_eq!(other.command(publish).await["ok"], true);
        drop(peers);
        eventually("all is given back", async || held().await == 0.0).await;
    }
}

#[tokio::test]
async fn a_peer_whose_message_finds_no_room_gets_a_retry_time() {
    let server = Server::with(|builder, _| builder.session.bodies_total = Some(50_000));
    let mut first = Ws::open(&server, "/ws/a").await;
    first.json().await;
    first.send(unfinished(60_000)).await;
    eventually("the first one is alone", async || {
        server.metric("triway_bodies_bytes").await > 40_000.0
    })
    .await;
    let mut second = Ws::open(&server, "/ws/a").await;
    second.json().await;
    let _ = second.wire.try_send(unfinished(60_000)).await;
    let (code, reason, before) = second.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3007), "too_many_bodies"));
    let bye = before.last().unwrap().json();
    assert_eq!(
        (&bye["reconnect"], &bye["after_ms"]),
        (&json!(true), &json!(2_000))
    );
    assert_eq!(bye["error"]["code"], "too_many_bodies");
}

#[tokio::test]
async fn a_message_that_does_not_end_reserves_memory_only_for_a_while() {
    let server = Server::with(|builder, _| {
        builder.session.write_timeout = Some(std::time::Duration::from_secs(1));
    });
    let mut ws = Ws::open(&server, "/ws/a?heartbeat=1").await;
    ws.json().await;
    ws.send(unfinished(60_000)).await;
    // Pings and Pongs between its frames make no difference.
    let (code, reason, _) = ws.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3004), "slow"));
    eventually("all is given back", async || {
        server.metric("triway_bodies_bytes").await == 0.0
    })
    .await;
}
